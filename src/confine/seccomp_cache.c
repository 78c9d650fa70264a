/* Compiled profiles on disk: what takes 15 ms to compile takes a tenth of one to read. */
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <seccomp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/buf.h"
#include "base/cleanup.h"
#include "base/fd.h"
#include "base/file.h"
#include "base/sha256.h"
#include "confine/seccomp.h"

enum { CACHE_VERSION = 2, CACHE_MAX = CONFINE_SECCOMP_JSON_MAX + (1 << 20) };

struct cache_header {
	char magic[8];
	uint32_t version, flags;
	uint64_t json_len, filter_len;
};

static const char magic[8] = "rprscmp";

/* The directory, if it is root's alone. */
static int open_dir(const char *dir)
{
	_cleanup_close_ int fd = -EBADF;
	struct stat st;

	if (mkdir(dir, 0700) < 0 && errno != EEXIST)
		return -errno;
	fd = open(dir, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &st) < 0)
		return -errno;
	if (st.st_uid != 0 || (st.st_mode & 077))
		return -EPERM;
	return TAKE_FD(fd);
}

/* Everything that the program depends on is in the name. */
static int cache_name(const char *json, size_t len, char ret_hex[65])
{
	_cleanup_(buf_done) struct buf b = BUF_INIT(CACHE_MAX);
	const struct scmp_version *v = seccomp_version();
	int r = buf_printf(&b, "%d %u %u.%u.%u ", CACHE_VERSION, seccomp_arch_native(),
		v ? v->major : 0, v ? v->minor : 0, v ? v->micro : 0);

	if (r == 0)
		r = buf_append(&b, json, len);
	if (r < 0)
		return r;
	sha256_hex(b.data, b.len, ret_hex);
	return 0;
}

static bool read_cached(
	int dir, const char *name, const char *json, size_t len, struct confine_seccomp *s)
{
	_cleanup_free_ char *data = NULL;
	struct cache_header h;
	size_t n = 0;

	if (file_read_at(dir, name, CACHE_MAX, &data, &n, NULL) < 0 || n < sizeof(h))
		return false;
	memcpy(&h, data, sizeof(h));
	if (memcmp(h.magic, magic, sizeof(magic)) != 0 || h.version != CACHE_VERSION ||
		h.json_len != len || h.filter_len == 0 ||
		h.filter_len % sizeof(struct sock_filter) != 0 ||
		h.filter_len != n - sizeof(h) - h.json_len ||
		memcmp(data + sizeof(h), json, len) != 0)
		return false;
	s->filter = malloc(h.filter_len);
	if (!s->filter)
		return false;
	memcpy(s->filter, data + sizeof(h) + len, h.filter_len);
	s->n = h.filter_len / sizeof(struct sock_filter);
	s->flags = h.flags;
	return true;
}

static void write_cached(
	int dir, const char *name, const char *json, size_t len, const struct confine_seccomp *s)
{
	_cleanup_(buf_done) struct buf b = BUF_INIT(CACHE_MAX);
	struct cache_header h = {.version = CACHE_VERSION,
		.flags = s->flags,
		.json_len = len,
		.filter_len = s->n * sizeof(struct sock_filter)};

	memcpy(h.magic, magic, sizeof(magic));
	/* a cache that cannot be written costs time, nothing else */
	if (buf_append(&b, &h, sizeof(h)) == 0 && buf_append(&b, json, len) == 0 &&
		buf_append(&b, s->filter, h.filter_len) == 0)
		(void)file_replace_at(dir, name, b.data, b.len, 0600, NULL);
}

int confine_seccomp_get(const char *dir, const char *json, size_t len,
	struct confine_seccomp *ret_s, bool *ret_hit, struct err *err)
{
	_cleanup_close_ int fd = dir ? open_dir(dir) : -EBADF;
	struct confine_seccomp s = CONFINE_SECCOMP_INIT;
	char name[65] = "";
	bool hit;
	int r;

	if (fd >= 0 && (len > CONFINE_SECCOMP_JSON_MAX || cache_name(json, len, name) < 0))
		fd_close(&fd);
	hit = fd >= 0 && read_cached(fd, name, json, len, &s);
	if (!hit) {
		r = confine_seccomp_compile(json, len, &s, err);
		if (r < 0)
			return r;
		if (fd >= 0)
			write_cached(fd, name, json, len, &s);
	}
	if (ret_hit)
		*ret_hit = hit;
	*ret_s = s;
	return 0;
}
