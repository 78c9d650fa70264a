/*
 * protobuf's wire format, for messages that are only ever written: fields by number, no generated
 * code, and no descriptors, whose relocations would cost every shim memory of its own.
 *
 * A message is built in a struct wire. What fails makes the whole of it fail: the functions do
 * nothing any more, and wire_finish or the message that it becomes a part of tells.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/buf.h"

enum { WIRE_MAX = 16 << 20 }; /* what one message may hold */

struct wire {
	struct buf buf;
	bool failed; /* no memory, or larger than WIRE_MAX */
};

#define WIRE_INIT                         \
	{                                 \
		.buf = BUF_INIT(WIRE_MAX) \
	}

/* Frees what is built. Twice is allowed. */
void wire_done(struct wire *w);

/* Numbers; 0 is left out, as proto3 has it. uint32 and uint64 are the same on the wire. */
void wire_u64(struct wire *w, unsigned field, uint64_t v);
void wire_double(struct wire *w, unsigned field, double v);

/* A string; an empty one is left out. */
void wire_text(struct wire *w, unsigned field, const char *text);

/* A repeated uint64, packed as proto3 has it. */
void wire_u64s(struct wire *w, unsigned field, const uint64_t *v, size_t n);

/* A message (also an empty one), or one more of a repeated field; `part` is done with. */
void wire_message(struct wire *w, unsigned field, struct wire *part);

/* The bytes, which are the caller's to free. -ENOMEM. */
int wire_finish(struct wire *w, uint8_t **ret_data, size_t *ret_len);
