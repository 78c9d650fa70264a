#include "recorder/entry.h"

#include <assert.h>
#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include "base/cleanup.h"
#include "base/json.h"
#include "base/str.h"
#include "base/utf8.h"

static struct entry_field *next_field(struct entry *e, const char *name, enum entry_kind kind)
{
	assert(e->n < ENTRY_FIELDS_MAX);
	e->fields[e->n] = (struct entry_field) {.name = name, .kind = kind};
	return &e->fields[e->n++];
}

void entry_str(struct entry *e, const char *name, const char *s)
{
	if (s)
		next_field(e, name, ENTRY_STR)->s = s;
}

void entry_strv(struct entry *e, const char *name, char *const *v)
{
	if (v)
		next_field(e, name, ENTRY_STRV)->v = v;
}

void entry_i64(struct entry *e, const char *name, int64_t n)
{
	next_field(e, name, ENTRY_I64)->n = n;
}

void entry_bool(struct entry *e, const char *name, bool v)
{
	next_field(e, name, ENTRY_BOOL)->n = v;
}

/* A text that was cut may end in the middle of a character. */
static int clean(const char *s, char **ret_clean)
{
	int r = str_dup(ret_clean, s);

	if (r == 0)
		utf8_clean(*ret_clean);
	return r;
}

static int put_strv(struct json_object *o, const char *name, char *const *v)
{
	_cleanup_strv_ char **all = NULL;

	for (; *v; v++) {
		_cleanup_free_ char *text = NULL;

		if (clean(*v, &text) < 0 || strv_append(&all, text) < 0)
			return -ENOMEM;
	}
	return json_put_strv(o, name, all);
}

static int put_field(struct json_object *o, const struct entry_field *f)
{
	_cleanup_free_ char *text = NULL;

	switch (f->kind) {
	case ENTRY_STR:
		return clean(f->s, &text) < 0 ? -ENOMEM : json_put_str(o, f->name, text);
	case ENTRY_STRV:
		return put_strv(o, f->name, f->v);
	case ENTRY_I64:
		return json_put_i64(o, f->name, f->n);
	case ENTRY_BOOL:
		return json_put_bool(o, f->name, f->n != 0);
	}
	return -EINVAL;
}

int entry_json(const struct entry *e, char **ret_line, size_t *ret_len)
{
	_cleanup_(json_object_freep) struct json_object *o = json_new_object();
	int r = o ? 0 : -ENOMEM;

	for (size_t i = 0; r == 0 && i < e->n; i++)
		r = put_field(o, &e->fields[i]);
	if (r == 0)
		r = json_write(o, JSON_COMPACT, ret_line, ret_len);
	if (r == 0 && *ret_len > ENTRY_TEXT_MAX) {
		free(*ret_line);
		*ret_line = NULL;
		return -EMSGSIZE;
	}
	return r;
}

/* NAME, newline, the length in eight bytes, the value, newline: any byte may be in the value. */
static int put_value(struct buf *out, const char *name, const char *value, size_t len)
{
	uint8_t size[8];
	int r = buf_append_str(out, "REAPER_");

	for (size_t i = 0; i < sizeof(size); i++)
		size[i] = (uint8_t)((uint64_t)len >> (8 * i));
	for (; r == 0 && *name; name++) {
		char c = (char)toupper((unsigned char)*name);

		r = buf_append(out, &c, 1);
	}
	if (r == 0)
		r = buf_append(out, "\n", 1);
	if (r == 0)
		r = buf_append(out, size, sizeof(size));
	if (r == 0)
		r = buf_append(out, value, len);
	return r < 0 ? r : buf_append(out, "\n", 1);
}

static int put_journal_field(struct buf *out, const struct entry_field *f)
{
	_cleanup_(buf_done) struct buf text = BUF_INIT(ENTRY_TEXT_MAX);
	int r = 0;

	if (f->kind == ENTRY_STR)
		return put_value(out, f->name, f->s, strlen(f->s));
	if (f->kind == ENTRY_I64)
		r = buf_printf(&text, "%" PRId64, f->n);
	else if (f->kind == ENTRY_BOOL)
		r = buf_append_str(&text, f->n ? "true" : "false");
	for (size_t i = 0; r == 0 && f->kind == ENTRY_STRV && f->v[i]; i++)
		r = buf_printf(&text, "%s%s", i ? " " : "", f->v[i]);
	return r < 0 ? r : put_value(out, f->name, text.data ? text.data : "", text.len);
}

int entry_datagram(const struct entry *e, const char *message, bool failure, struct buf *out)
{
	char line[1024];
	int r;

	(void)snprintf(line, sizeof(line), "%s", message);
	for (char *p = line; *p; p++) {
		if (*p == '\n')
			*p = ' ';
	}
	r = buf_printf(
		out, "MESSAGE=%s\nPRIORITY=%d\nSYSLOG_IDENTIFIER=reaper\n", line, failure ? 4 : 6);
	for (size_t i = 0; r == 0 && i < e->n; i++)
		r = put_journal_field(out, &e->fields[i]);
	return r;
}

int entry_send(const char *path, const struct buf *datagram)
{
	_cleanup_close_ int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	struct sockaddr_un to = {.sun_family = AF_UNIX};

	if (fd < 0)
		return -errno;
	if (strlen(path) >= sizeof(to.sun_path))
		return -ENAMETOOLONG;
	memcpy(to.sun_path, path, strlen(path) + 1);
	if (sendto(fd, datagram->data, datagram->len, MSG_DONTWAIT | MSG_NOSIGNAL,
		    (const struct sockaddr *)&to, sizeof(to)) >= 0)
		return 0;
	return errno == ENOENT || errno == ECONNREFUSED || errno == EAGAIN || errno == ENOBUFS
		       ? 0
		       : -errno;
}
