/* Small compile-time helpers; nothing here costs anything at run time. */
#pragma once

#include <stddef.h>

#define ARRAY_LEN(a) (sizeof(a) / sizeof((a)[0]))

/* The struct that embeds `member` at `ptr`. */
#define container_of(ptr, type, member) ((type *)((char *)(ptr)-offsetof(type, member)))

/* printf-style checking: `fmt` is the number of the format argument, `args` of the first value. */
#define PRINTF_LIKE(fmt, args) __attribute__((format(printf, fmt, args)))

#define NORETURN __attribute__((noreturn))
#define UNUSED   __attribute__((unused))

/* Repeats a system call that a signal interrupted. Never for close(). */
#define RETRY_EINTR(expr)                                 \
	({                                                \
		long _retry_r;                            \
		do {                                      \
			_retry_r = (long)(expr);          \
		} while (_retry_r < 0 && errno == EINTR); \
		_retry_r;                                 \
	})
