/* process.rlimits. Limits that are not given are inherited from the caller. */
#pragma once

#include <stddef.h>
#include <stdint.h>
#include "base/err.h"

struct confine_rlimit {
	int resource;        /* RLIMIT_* */
	uint64_t soft, hard; /* UINT64_MAX: RLIM_INFINITY */
};

enum { CONFINE_RLIMITS_MAX = 64 };

/* "RLIMIT_NOFILE" as RLIMIT_NOFILE. ERR_INVALID for a name that Linux does not have. */
int confine_rlimit_from_name(const char *name, int *ret_resource, struct err *err);

/* "RLIMIT_NOFILE", or "RLIMIT_?" for a number that is none. */
const char *confine_rlimit_name(int resource);

/*
 * Sets them on the calling process. Raising a hard limit without CAP_SYS_RESOURCE, or beyond
 * fs.nr_open, is ERR_PERMISSION and names limit and value. Async-signal-safe.
 */
int confine_rlimits_apply(const struct confine_rlimit *limits, size_t n, struct err *err);
