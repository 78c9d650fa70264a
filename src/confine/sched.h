/*
 * How the kernel schedules the workload: policy and nice value, I/O priority, CPUs; and the
 * execution domain. What the spec does not give is set to what a fresh process of the machine has:
 * nothing comes from containerd's unit (Nice=, CPUSchedulingPolicy=, IOSchedulingClass=,
 * CPUAffinity=, NUMAPolicy=, TimerSlackNSec=, Personality=).
 * (runtime-spec config.md#linux-process, config-linux.md#personality; sched(7), ioprio_set(2))
 */
#pragma once

#include <sched.h>
#include <stdbool.h>
#include <stdint.h>
#include "base/err.h"

struct confine_sched {
	uint32_t policy; /* SCHED_* */
	int32_t nice;
	uint32_t priority;
	uint64_t flags;                     /* SCHED_FLAG_* of sched_setattr(2) */
	uint64_t runtime, deadline, period; /* nanoseconds, SCHED_DEADLINE only */
	int io_priority;                    /* ioprio_set(2); 0: follows the nice value */
	unsigned long persona;              /* personality(2) */
};

/* What a process has that nobody has changed. */
#define CONFINE_SCHED_INIT             \
	{                              \
		.policy = 0, .nice = 0 \
	}

/* "SCHED_FIFO", "SCHED_FLAG_RESET_ON_FORK", "IOPRIO_CLASS_BE" with 0…7, "LINUX32". ERR_INVALID for
 * a word that Linux does not have. */
int confine_sched_policy(const char *name, uint32_t *ret_policy, struct err *err);
int confine_sched_flag(const char *name, uint64_t *flags, struct err *err);
int confine_io_priority(const char *class_name, int level, int *ret_priority, struct err *err);
int confine_persona(const char *domain, unsigned long *ret_persona, struct err *err);

/* A set of CPUs, as the kernel writes them: "0-3,7". */
struct confine_cpus {
	cpu_set_t set;
};

/* ERR_INVALID for anything that is no such list, or a number beyond CPU_SETSIZE. */
int confine_cpus_parse(const char *list, struct confine_cpus *ret_cpus, struct err *err);

/*
 * On the calling process, while it has its capabilities. A value that was asked for and is refused
 * is ERR_PERMISSION or what the kernel says; what is only reset and is refused stays, and
 * *ret_kept (may be NULL) says so.
 */
int confine_sched_apply(const struct confine_sched *s, bool *ret_kept, struct err *err);

/* Where it may run; NULL: on every CPU of its cpuset, whatever was inherited. */
int confine_cpus_apply(const struct confine_cpus *cpus, struct err *err);
