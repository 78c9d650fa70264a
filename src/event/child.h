/* The end of an own child as an event: its pidfd becomes readable, it is reaped at once. */
#pragma once

#include "base/proc.h"
#include "event/loop.h"

struct event_child {
	struct event_source source;
	struct proc *proc; /* borrowed */
	void (*on_exit)(struct event_child *c, int error, uint32_t status);
};

#define EVENT_CHILD_INIT                     \
	{                                    \
		.source = EVENT_SOURCE_INIT, \
	}

/*
 * Watches `proc`, an own child with its pidfd, which must stay where it is until the callback or
 * event_child_forget(). When the child has ended it is reaped and `on_exit` is called once: `error`
 * 0 and the shell's view of the status (exit code, or 128 + signal), or -errno when it could not be
 * reaped (-ECHILD: somebody else did). The source is out of the loop by then; the pidfd is still
 * open. `on_exit` may free everything. -errno.
 */
int event_child_watch(struct event_child *c, struct event_loop *loop, struct proc *proc,
	void (*on_exit)(struct event_child *c, int error, uint32_t status));

/* Stops watching without reaping. NULL and twice are allowed. */
void event_child_forget(struct event_child *c);
