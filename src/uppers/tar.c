#include "uppers/tar.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <sys/sysmacros.h>
#include "base/buf.h"
#include "base/cleanup.h"
#include "base/macro.h"
#include "base/str.h"

enum {
	BLOCK = 512,
	PAX_MAX = 8 << 20, /* bytes of one entry's records */
};

/* pax(1), "ustar Interchange Format": fields of a header block. */
struct header {
	char name[100], mode[8], uid[8], gid[8], size[12], mtime[12], checksum[8], type;
	char link[100], magic[6], version[2], user[32], group[32], major[8], minor[8];
	char prefix[155], rest[12];
};

_Static_assert(sizeof(struct header) == BLOCK, "a header is one block");

/* Whether it fits in the field with a NUL behind it. */
static bool put_octal(char *field, size_t size, uint64_t value)
{
	char text[32];
	int n = snprintf(text, sizeof(text), "%0*" PRIo64, (int)size - 1, value);

	if (n >= (int)size)
		return false;
	memcpy(field, text, (size_t)n + 1);
	return true;
}

/* One record: its length counts its own digits. */
static int put_record(struct buf *b, const char *key, const void *value, size_t len)
{
	size_t rest = strlen(key) + len + 3, total = rest + 1;
	char digits[24];

	while ((size_t)snprintf(digits, sizeof(digits), "%zu", total) + rest != total)
		total++;
	if (buf_printf(b, "%zu %s=", total, key) < 0 || buf_append(b, value, len) < 0)
		return -ENOMEM;
	return buf_append_str(b, "\n");
}

static int put_number(struct buf *pax, const char *key, char *field, size_t size, int64_t value)
{
	char text[32];

	if (value >= 0 && put_octal(field, size, (uint64_t)value))
		return 0;
	(void)put_octal(field, size, 0);
	(void)snprintf(text, sizeof(text), "%" PRId64, value);
	return put_record(pax, key, text, strlen(text));
}

/* A name that is too long, or no ASCII, stands in a record. */
static int put_name(struct buf *pax, const char *key, char *field, size_t size, const char *name)
{
	size_t len = strlen(name);
	bool plain = len <= size;

	for (const char *c = name; *c && plain; c++)
		plain = (unsigned char)*c < 0x80;
	memcpy(field, name, len < size ? len : size);
	return plain ? 0 : put_record(pax, key, name, len);
}

static int put_xattrs(struct buf *pax, const struct tar_entry *e)
{
	for (size_t i = 0; i < e->n_xattrs; i++) {
		_cleanup_free_ char *key = NULL;
		int r = str_printf(&key, TAR_XATTR_PREFIX "%s", e->xattrs[i].name);

		if (r == 0)
			r = put_record(pax, key, e->xattrs[i].value, e->xattrs[i].len);
		if (r < 0)
			return r;
	}
	return 0;
}

static int put_block(FILE *out, struct header *h)
{
	unsigned sum = 0;

	memcpy(h->magic, "ustar", 6);
	memcpy(h->version, "00", 2);
	memset(h->checksum, ' ', sizeof(h->checksum));
	for (size_t i = 0; i < BLOCK; i++)
		sum += ((const unsigned char *)h)[i];
	(void)snprintf(h->checksum, sizeof(h->checksum), "%06o", sum);
	h->checksum[7] = ' ';
	return fwrite(h, BLOCK, 1, out) == 1 ? 0 : -EIO;
}

static int put_pax(FILE *out, const struct buf *pax)
{
	struct header h = {.name = "PaxHeaders", .type = 'x'};

	if (pax->len == 0)
		return 0;
	(void)put_octal(h.mode, sizeof(h.mode), 0644);
	(void)put_octal(h.uid, sizeof(h.uid), 0);
	(void)put_octal(h.gid, sizeof(h.gid), 0);
	(void)put_octal(h.size, sizeof(h.size), pax->len);
	(void)put_octal(h.mtime, sizeof(h.mtime), 0);
	if (put_block(out, &h) < 0 || fwrite(pax->data, pax->len, 1, out) != 1)
		return -EIO;
	return tar_put_padding(out, pax->len);
}

int tar_put_header(FILE *out, const struct tar_entry *e)
{
	_cleanup_(buf_done) struct buf pax = BUF_INIT(PAX_MAX);
	struct header h = {.type = e->type};
	bool device = e->type == '3' || e->type == '4';
	int r = put_name(&pax, "path", h.name, sizeof(h.name), e->name);

	if (r == 0 && e->link)
		r = put_name(&pax, "linkpath", h.link, sizeof(h.link), e->link);
	(void)put_octal(h.mode, sizeof(h.mode), e->st.st_mode & 07777);
	if (r == 0)
		r = put_number(&pax, "uid", h.uid, sizeof(h.uid), e->st.st_uid);
	if (r == 0)
		r = put_number(&pax, "gid", h.gid, sizeof(h.gid), e->st.st_gid);
	if (r == 0)
		r = put_number(
			&pax, "size", h.size, sizeof(h.size), e->type == '0' ? e->st.st_size : 0);
	if (r == 0)
		r = put_number(&pax, "mtime", h.mtime, sizeof(h.mtime), e->st.st_mtim.tv_sec);
	if (r == 0)
		r = put_xattrs(&pax, e);
	if (r < 0)
		return -ENOMEM;
	(void)put_octal(h.major, sizeof(h.major), device ? major(e->st.st_rdev) : 0);
	(void)put_octal(h.minor, sizeof(h.minor), device ? minor(e->st.st_rdev) : 0);
	r = put_pax(out, &pax);
	return r < 0 ? r : put_block(out, &h);
}

int tar_put_padding(FILE *out, uint64_t size)
{
	static const char zeros[BLOCK];
	size_t n = (BLOCK - size % BLOCK) % BLOCK;

	return n == 0 || fwrite(zeros, n, 1, out) == 1 ? 0 : -EIO;
}

int tar_put_end(FILE *out)
{
	static const char zeros[2 * BLOCK];

	return fwrite(zeros, sizeof(zeros), 1, out) == 1 && fflush(out) == 0 ? 0 : -EIO;
}
