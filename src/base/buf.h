/*
 * struct buf: a growing byte buffer with a hard maximum that its owner chooses. Always
 * NUL-terminated behind `len`, so that text in it can be used as a string.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>
#include "base/macro.h"

struct buf {
	char *data; /* NULL while nothing was ever put in */
	size_t len, cap, max;
};

#define BUF_INIT(maximum)        \
	{                        \
		.max = (maximum) \
	}

/* Makes an empty buffer that will never hold more than `max` bytes. */
void buf_init(struct buf *b, size_t max);

/* Frees the bytes; the buffer is empty and usable again. NULL is allowed. */
void buf_done(struct buf *b);

/* Makes room for `more` further bytes. -ENOMEM, or -EMSGSIZE when the maximum would be passed. */
int buf_reserve(struct buf *b, size_t more);

/* Appends. Errors as buf_reserve; on error nothing was appended. */
int buf_append(struct buf *b, const void *data, size_t len);
int buf_append_str(struct buf *b, const char *s);
int buf_printf(struct buf *b, const char *fmt, ...) PRINTF_LIKE(2, 3);

/* Drops the first `n` bytes (n <= len) by moving the rest down. */
void buf_consume(struct buf *b, size_t n);

/* Forgets the content, keeps the memory. */
void buf_clear(struct buf *b);
