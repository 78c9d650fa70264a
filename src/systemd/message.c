#include "systemd/message.h"

#include <string.h>

static const char little = 'l', big = 'B';

enum { PROTOCOL = 1, FIELD_PATH = 1, FIELD_INTERFACE, FIELD_MEMBER, FIELD_ERROR_NAME };
enum { NO_REPLY = 1 }; /* a flag of a call */

enum { FIELD_REPLY_SERIAL = 5, FIELD_DESTINATION, FIELD_SENDER, FIELD_SIGNATURE };

static char own_order(void)
{
	return __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__ ? little : big;
}

/* ---- writing ---- */

static void put(struct dbus_writer *w, const void *data, size_t len)
{
	if (w->full || w->size - w->len < len) {
		w->full = true;
		return;
	}
	if (len > 0)
		memcpy(w->data + w->len, data, len);
	w->len += len;
}

static void align(struct dbus_writer *w, size_t to)
{
	static const uint8_t zeroes[8];

	put(w, zeroes, (to - w->len % to) % to);
}

void dbus_put_u32(struct dbus_writer *w, uint32_t v)
{
	align(w, sizeof(v));
	put(w, &v, sizeof(v));
}

void dbus_put_u64(struct dbus_writer *w, uint64_t v)
{
	align(w, sizeof(v));
	put(w, &v, sizeof(v));
}

void dbus_put_bool(struct dbus_writer *w, bool v)
{
	dbus_put_u32(w, v);
}

void dbus_put_string(struct dbus_writer *w, const char *s)
{
	size_t len = strlen(s);

	dbus_put_u32(w, (uint32_t)len);
	put(w, s, len + 1);
}

void dbus_put_signature(struct dbus_writer *w, const char *s)
{
	uint8_t len = (uint8_t)strlen(s);

	put(w, &len, sizeof(len));
	put(w, s, (size_t)len + 1);
}

struct dbus_array dbus_begin_array(struct dbus_writer *w, size_t to)
{
	struct dbus_array a;

	dbus_put_u32(w, 0);
	a.length_at = w->len - sizeof(uint32_t);
	align(w, to);
	a.start = w->len;
	return a;
}

void dbus_end_array(struct dbus_writer *w, struct dbus_array a)
{
	uint32_t len = (uint32_t)(w->len - a.start);

	if (!w->full)
		memcpy(w->data + a.length_at, &len, sizeof(len));
}

void dbus_begin_struct(struct dbus_writer *w)
{
	align(w, 8);
}

void dbus_put_bytes(struct dbus_writer *w, const void *data, size_t len)
{
	struct dbus_array a = dbus_begin_array(w, 1);

	put(w, data, len);
	dbus_end_array(w, a);
}

/* A header field: its number and a variant of one basic type. */
static void put_field(struct dbus_writer *w, uint8_t field, const char *type, const char *value)
{
	dbus_begin_struct(w);
	put(w, &field, sizeof(field));
	dbus_put_signature(w, type);
	if (type[0] == 'g')
		dbus_put_signature(w, value);
	else
		dbus_put_string(w, value);
}

struct call {
	uint8_t flags;
	uint32_t serial;
	const char *path, *interface, *member, *signature;
	const uint8_t *body;
	size_t body_len;
};

static size_t format(uint8_t *out, size_t size, const struct call *c)
{
	struct dbus_writer w = {.data = out, .size = size};
	struct dbus_array fields;
	const uint8_t start[4] = {(uint8_t)own_order(), DBUS_CALL, c->flags, PROTOCOL};

	put(&w, start, sizeof(start));
	dbus_put_u32(&w, (uint32_t)c->body_len);
	dbus_put_u32(&w, c->serial);
	fields = dbus_begin_array(&w, 8);
	put_field(&w, FIELD_PATH, "o", c->path);
	put_field(&w, FIELD_INTERFACE, "s", c->interface);
	put_field(&w, FIELD_MEMBER, "s", c->member);
	put_field(&w, FIELD_DESTINATION, "s", "org.freedesktop.systemd1");
	if (c->signature)
		put_field(&w, FIELD_SIGNATURE, "g", c->signature);
	dbus_end_array(&w, fields);
	align(&w, 8);
	if (c->body_len > 0)
		put(&w, c->body, c->body_len);
	return w.full ? 0 : w.len;
}

size_t dbus_format_call(uint8_t *out, size_t size, uint32_t serial, const char *member,
	const char *signature, const uint8_t *body, size_t body_len)
{
	const struct call c = {0, serial, "/org/freedesktop/systemd1",
		"org.freedesktop.systemd1.Manager", member, signature, body, body_len};

	return format(out, size, &c);
}

size_t dbus_format_ping(uint8_t *out, size_t size)
{
	const struct call c = {
		NO_REPLY, UINT32_MAX, "/", "org.freedesktop.DBus.Peer", "Ping", NULL, NULL, 0};

	return format(out, size, &c);
}

/* ---- reading ---- */

static const uint8_t *take(struct dbus_reader *r, size_t to, size_t len)
{
	size_t pad = (to - r->at % to) % to;
	const uint8_t *p;

	if (r->bad || r->len - r->at < pad || r->len - r->at - pad < len) {
		r->bad = true;
		return NULL;
	}
	p = r->data + r->at + pad;
	r->at += pad + len;
	return p;
}

uint32_t dbus_get_u32(struct dbus_reader *r)
{
	const uint8_t *p = take(r, sizeof(uint32_t), sizeof(uint32_t));
	uint32_t v = 0;

	if (p)
		memcpy(&v, p, sizeof(v));
	return v;
}

/* `len` bytes without a NUL, and the NUL behind them. */
static const char *text(struct dbus_reader *r, size_t len)
{
	const uint8_t *p;

	if (len >= DBUS_SIZE_MAX)
		r->bad = true;
	p = take(r, 1, len + 1);
	if (p && (p[len] != '\0' || memchr(p, '\0', len))) {
		r->bad = true;
		p = NULL;
	}
	return p ? (const char *)p : "";
}

const char *dbus_get_string(struct dbus_reader *r)
{
	size_t len = dbus_get_u32(r);

	return text(r, len);
}

static const char *get_signature(struct dbus_reader *r)
{
	const uint8_t *len = take(r, 1, 1);

	return len ? text(r, *len) : "";
}

static uint32_t number_at(const uint8_t *p)
{
	uint32_t v;

	memcpy(&v, p, sizeof(v));
	return v;
}

size_t dbus_message_size(const uint8_t *data)
{
	uint32_t body = number_at(data + 4), fields = number_at(data + 12);

	if (data[0] != (uint8_t)own_order() || data[3] != PROTOCOL || body > DBUS_SIZE_MAX / 2 ||
		fields > DBUS_SIZE_MAX / 2)
		return 0;
	return DBUS_HEADER + ((size_t)fields + 7) / 8 * 8 + body;
}

static void parse_field(struct dbus_reader *r, struct dbus_message *m)
{
	const uint8_t *code = take(r, 8, 1);
	const char *type = get_signature(r), *string = NULL;
	uint32_t number = 0;

	if (type[0] == 's' || type[0] == 'o')
		string = dbus_get_string(r);
	else if (type[0] == 'g')
		string = get_signature(r);
	else if (type[0] == 'u')
		number = dbus_get_u32(r);
	else
		r->bad = true; /* no header field has another type */
	if (r->bad || !code || type[1] != '\0') {
		r->bad = true;
		return;
	}
	if (*code == FIELD_MEMBER && string)
		m->member = string;
	else if (*code == FIELD_ERROR_NAME && string)
		m->error_name = string;
	else if (*code == FIELD_SIGNATURE && string)
		m->signature = string;
	else if (*code == FIELD_REPLY_SERIAL && !string)
		m->reply_serial = number;
}

bool dbus_parse(const uint8_t *data, size_t len, struct dbus_message *ret)
{
	struct dbus_reader r = {.data = data, .at = DBUS_HEADER};
	struct dbus_message m = {0};

	if (len < DBUS_HEADER || dbus_message_size(data) != len)
		return false;
	r.len = DBUS_HEADER + number_at(data + 12);
	while (!r.bad && r.at < r.len)
		parse_field(&r, &m);
	if (r.bad)
		return false;
	m.type = data[1];
	m.body_len = number_at(data + 4);
	m.body = data + len - m.body_len;
	*ret = m;
	return true;
}
