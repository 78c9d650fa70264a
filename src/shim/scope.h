/*
 * Requests to systemd from the shim's loop: nothing here blocks. A job calls back once, from the
 * loop, or is cancelled; either ends it.
 */
#pragma once

#include <stdint.h>
#include "base/err.h"
#include "event/loop.h"

struct scope_job;

/* `err` is NULL when it went well. The job is gone already. */
typedef void scope_done_fn(void *ctx, const struct err *err);

/*
 * Stops the unit of a container whose cgroup is empty. 0 and the job; -errno: nothing was begun.
 * After `limit_usec` without an answer it ends with ERR_DEADLINE.
 */
int scope_stop(struct event_loop *loop, const char *unit, uint64_t limit_usec, scope_done_fn *done,
	void *ctx, struct scope_job **ret_job, struct err *err);

/* Ends a job without its callback; NULL is allowed. */
void scope_cancel(struct scope_job *job);
