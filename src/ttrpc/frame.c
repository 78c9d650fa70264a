#include "ttrpc/frame.h"

#include <errno.h>
#include <string.h>

enum { KEEP_MAX = 64 * 1024 }; /* memory of a larger frame is given back */

static void put_be32(uint8_t *p, uint32_t v)
{
	p[0] = (uint8_t)(v >> 24);
	p[1] = (uint8_t)(v >> 16);
	p[2] = (uint8_t)(v >> 8);
	p[3] = (uint8_t)v;
}

static uint32_t get_be32(const uint8_t *p)
{
	return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

void ttrpc_header_encode(const struct ttrpc_header *h, uint8_t ret_bytes[TTRPC_HEADER_SIZE])
{
	put_be32(ret_bytes, h->length);
	put_be32(ret_bytes + 4, h->stream);
	ret_bytes[8] = h->type;
	ret_bytes[9] = h->flags;
}

void ttrpc_header_decode(const uint8_t bytes[TTRPC_HEADER_SIZE], struct ttrpc_header *ret_h)
{
	*ret_h = (struct ttrpc_header) {
		.length = get_be32(bytes),
		.stream = get_be32(bytes + 4),
		.type = bytes[8],
		.flags = bytes[9],
	};
}

void ttrpc_decoder_init(struct ttrpc_decoder *d)
{
	*d = (struct ttrpc_decoder) {.head_len = 0};
	buf_init(&d->data, TTRPC_DATA_MAX);
}

void ttrpc_decoder_done(struct ttrpc_decoder *d)
{
	if (d)
		buf_done(&d->data);
}

/* Forgets the frame that was handed out, to begin the next. */
static void restart(struct ttrpc_decoder *d)
{
	d->head_len = 0;
	d->lost = 0;
	d->delivered = false;
	if (d->data.cap > KEEP_MAX)
		buf_done(&d->data);
	else
		buf_clear(&d->data);
}

static size_t take_header(struct ttrpc_decoder *d, const uint8_t *data, size_t len)
{
	size_t n = TTRPC_HEADER_SIZE - d->head_len;

	if (n > len)
		n = len;
	memcpy(d->head + d->head_len, data, n);
	d->head_len += n;
	if (d->head_len == TTRPC_HEADER_SIZE) {
		ttrpc_header_decode(d->head, &d->header);
		d->left = d->header.length;
		d->lost = d->left > TTRPC_DATA_MAX ? -EMSGSIZE : 0;
	}
	return n;
}

static size_t take_data(struct ttrpc_decoder *d, const uint8_t *data, size_t len)
{
	size_t n = len < d->left ? len : d->left;
	int r;

	if (!d->lost && n > 0) {
		r = buf_append(&d->data, data, n);
		if (r < 0) {
			d->lost = r;
			buf_done(&d->data);
		}
	}
	d->left -= (uint32_t)n;
	return n;
}

bool ttrpc_decoder_feed(struct ttrpc_decoder *d, const void *data, size_t len, size_t *ret_used,
	struct ttrpc_frame *ret_frame)
{
	const uint8_t *p = data;
	size_t used = 0;

	if (d->delivered)
		restart(d);
	if (d->head_len < TTRPC_HEADER_SIZE && len > 0)
		used = take_header(d, p, len);
	if (d->head_len == TTRPC_HEADER_SIZE && used < len)
		used += take_data(d, p + used, len - used);
	*ret_used = used;
	if (d->head_len < TTRPC_HEADER_SIZE || d->left > 0)
		return false;
	d->delivered = true;
	*ret_frame = (struct ttrpc_frame) {
		.header = d->header,
		/* never NULL for a frame that is whole, even without data */
		.data = d->lost        ? NULL
			: d->data.data ? (const uint8_t *)d->data.data
				       : d->head,
		.lost = d->lost,
	};
	return true;
}
