/*
 * struct err: what went wrong, of which kind, in words for a person.
 *
 * Owned by the caller, of fixed size and without pointers: it can be filled between fork and exec,
 * and the same bytes cross the pipe from the workload's child to the shim, become the ttrpc status
 * (ttrpc/status.h maps kinds to gRPC codes) and the text that `kubectl describe` shows.
 */
#pragma once

#include <stdint.h>
#include "base/macro.h"

/* Kind of an error: what a caller can do about it. The names are containerd's errdefs. */
#define ERR_KINDS(X)                           \
	X(NONE, "ok")                          \
	X(UNKNOWN, "unknown")                  \
	X(INVALID, "invalid argument")         \
	X(NOT_FOUND, "not found")              \
	X(EXISTS, "already exists")            \
	X(PERMISSION, "permission denied")     \
	X(EXHAUSTED, "resource exhausted")     \
	X(PRECONDITION, "failed precondition") \
	X(DEADLINE, "deadline exceeded")       \
	X(UNIMPLEMENTED, "not implemented")    \
	X(INTERNAL, "internal")                \
	X(UNAVAILABLE, "unavailable")          \
	X(CANCELED, "canceled")

enum err_kind {
#define X(kind, name) ERR_##kind,
	ERR_KINDS(X)
#undef X
		_ERR_KIND_MAX
};

enum { ERR_TEXT_MAX = 1024 };

struct err {
	uint32_t kind;           /* enum err_kind; fixed width because the struct crosses a pipe */
	int32_t errnum;          /* positive errno value, 0 when no system call failed */
	char text[ERR_TEXT_MAX]; /* NUL-terminated, cut at the end when too long */
};

#define ERR_INIT                 \
	{                        \
		.kind = ERR_NONE \
	}

/*
 * Fills `err` (NULL is allowed: only the return value counts then) and returns -errnum, so that a
 * function can say `return err_setf(err, ERR_INVALID, EINVAL, "process.cwd: not absolute")`.
 * `errnum` is positive. Control characters (in values from outside) become '?': a text is one line.
 * Does not allocate: usable between fork and exec.
 */
int err_setf(struct err *err, enum err_kind kind, int errnum, const char *fmt, ...)
	PRINTF_LIKE(4, 5);

/*
 * As err_setf for a failed system call: the kind follows from `errnum` (ENOENT: not found, EPERM
 * and EACCES: permission, ENOMEM, EMFILE, ENOSPC …: exhausted, else unknown) and the text ends in
 * ": " and the name of the errno.
 */
int err_sysf(struct err *err, int errnum, const char *fmt, ...) PRINTF_LIKE(3, 4);

/* Puts "what: " before the text that is there. Returns -errnum of `err` (or -EIO if there was
 * none). */
int err_wrapf(struct err *err, const char *fmt, ...) PRINTF_LIKE(2, 3);

/* The words for a kind, as containerd's errdefs has them ("not found"). */
const char *err_kind_name(enum err_kind kind);

/* The kind that a bare errno value maps to; see err_sysf. */
enum err_kind err_kind_of(int errnum);

/*
 * What compilers and analyzers cannot see from another file: these never return 0 or more, so that
 * behind `if (r < 0) return r;` the outputs of a function that failed with err_setf are known to be
 * unused.
 */
static inline int err_negative(int r)
{
	if (r >= 0)
		__builtin_unreachable();
	return r;
}

#define err_setf(...)  err_negative(err_setf(__VA_ARGS__))
#define err_sysf(...)  err_negative(err_sysf(__VA_ARGS__))
#define err_wrapf(...) err_negative(err_wrapf(__VA_ARGS__))
