/*
 * process.rlimits. Limits that are not given are not inherited either: containerd's unit says
 * LimitNOFILE=infinity on one node and nothing on the next. They become what systemd gives to a
 * service that says nothing (systemd-system.conf(5), DefaultLimit…=).
 */
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
 * Sets every limit that is not among these to its default. A hard limit that is lower already and
 * cannot be raised (no CAP_SYS_RESOURCE) stays. `processes`: the default of RLIMIT_NPROC and
 * RLIMIT_SIGPENDING, which the kernel makes of the machine's memory (half of kernel.threads-max);
 * 0: not known, these two stay.
 */
int confine_rlimits_reset(
	const struct confine_rlimit *given, size_t n, uint64_t processes, struct err *err);

/*
 * Sets them on the calling process. Raising a hard limit without CAP_SYS_RESOURCE, or beyond
 * fs.nr_open, is ERR_PERMISSION and names limit and value. Async-signal-safe.
 */
int confine_rlimits_apply(const struct confine_rlimit *limits, size_t n, struct err *err);
