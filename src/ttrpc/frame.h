/*
 * Frames of the ttrpc protocol (containerd/ttrpc PROTOCOL.md): ten bytes of header, then data.
 *
 *	0-3 length of the data   4-7 stream id   8 type   9 flags      (numbers big-endian)
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/buf.h"

enum {
	TTRPC_HEADER_SIZE = 10,
	TTRPC_DATA_MAX = 4 * 1024 * 1024, /* more must be discarded by who receives it */
};

/* Types; unknown ones are ignored. */
enum { TTRPC_REQUEST = 1, TTRPC_RESPONSE = 2, TTRPC_DATA = 3 };

/* Flags: the first two make a Request the start of a stream, the third belongs to Data. */
enum { TTRPC_REMOTE_CLOSED = 1, TTRPC_REMOTE_OPEN = 2, TTRPC_NO_DATA = 4 };

struct ttrpc_header {
	uint32_t length;
	uint32_t stream;
	uint8_t type, flags;
};

void ttrpc_header_encode(const struct ttrpc_header *h, uint8_t ret_bytes[TTRPC_HEADER_SIZE]);
void ttrpc_header_decode(const uint8_t bytes[TTRPC_HEADER_SIZE], struct ttrpc_header *ret_h);

/* A received frame. */
struct ttrpc_frame {
	struct ttrpc_header header;
	const uint8_t *data; /* header.length bytes that belong to the decoder; NULL when lost */
	int lost; /* 0, or why the data was read and thrown away: -EMSGSIZE (over TTRPC_DATA_MAX),
		     -ENOMEM */
};

/* Puts frames together from pieces of any size. Memory grows with what has arrived, never with
 * what a header promises. */
struct ttrpc_decoder {
	uint8_t head[TTRPC_HEADER_SIZE];
	size_t head_len;
	struct ttrpc_header header;
	struct buf data;
	uint32_t left; /* of the data of the frame that is being received */
	int lost;
	bool delivered; /* the last feed ended a frame, whose data is dropped by the next one */
};

void ttrpc_decoder_init(struct ttrpc_decoder *d);

/* NULL and twice are allowed. */
void ttrpc_decoder_done(struct ttrpc_decoder *d);

/*
 * Takes from `data` what belongs to the frame in progress, at most to its end, and says in
 * *ret_used how much that was. True: the frame is complete in *ret_frame, valid until the next feed
 * or done. False: all `len` bytes are used and more are wanted.
 */
bool ttrpc_decoder_feed(struct ttrpc_decoder *d, const void *data, size_t len, size_t *ret_used,
	struct ttrpc_frame *ret_frame);
