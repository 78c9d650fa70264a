#include "stats/wire.h"

#include <endian.h>
#include <errno.h>
#include <string.h>
#include "base/macro.h"

enum wire_type { WIRE_VARINT = 0, WIRE_64BIT = 1, WIRE_LENGTH = 2 };

enum { VARINT_MAX = 10 };

void wire_done(struct wire *w)
{
	buf_done(&w->buf);
}

static void put(struct wire *w, const void *data, size_t len)
{
	if (!w->failed && buf_append(&w->buf, data, len) < 0)
		w->failed = true;
}

static void put_varint(struct wire *w, uint64_t v)
{
	uint8_t bytes[VARINT_MAX];
	size_t n = 0;

	for (; v >= 0x80; v >>= 7)
		bytes[n++] = (uint8_t)(v | 0x80);
	bytes[n++] = (uint8_t)v;
	put(w, bytes, n);
}

static void put_tag(struct wire *w, unsigned field, enum wire_type type)
{
	put_varint(w, (uint64_t)field << 3 | type);
}

static void put_bytes(struct wire *w, unsigned field, const void *data, size_t len)
{
	put_tag(w, field, WIRE_LENGTH);
	put_varint(w, len);
	if (len > 0)
		put(w, data, len);
}

void wire_u64(struct wire *w, unsigned field, uint64_t v)
{
	if (v == 0)
		return;
	put_tag(w, field, WIRE_VARINT);
	put_varint(w, v);
}

void wire_double(struct wire *w, unsigned field, double v)
{
	uint64_t bits;

	memcpy(&bits, &v, sizeof(bits));
	if (bits == 0)
		return;
	bits = htole64(bits);
	put_tag(w, field, WIRE_64BIT);
	put(w, &bits, sizeof(bits));
}

void wire_text(struct wire *w, unsigned field, const char *text)
{
	if (*text)
		put_bytes(w, field, text, strlen(text));
}

void wire_u64s(struct wire *w, unsigned field, const uint64_t *v, size_t n)
{
	struct wire packed = WIRE_INIT;

	for (size_t i = 0; i < n; i++)
		put_varint(&packed, v[i]);
	if (n > 0)
		wire_message(w, field, &packed);
}

void wire_message(struct wire *w, unsigned field, struct wire *part)
{
	w->failed |= part->failed;
	put_bytes(w, field, part->buf.data, part->buf.len);
	wire_done(part);
}

int wire_finish(struct wire *w, uint8_t **ret_data, size_t *ret_len)
{
	/* one byte at least, so that an empty message is not taken for none */
	if (w->failed || buf_reserve(&w->buf, 1) < 0) {
		wire_done(w);
		return -ENOMEM;
	}
	*ret_data = (uint8_t *)w->buf.data;
	*ret_len = w->buf.len;
	w->buf = (struct buf)BUF_INIT(WIRE_MAX);
	return 0;
}
