/*
 * Ending everything that is in a cgroup, without blocking: kill a round, wait for the pidfds of
 * those that were there, again, until nobody is left. With a grace, a SIGTERM goes before the first
 * round.
 */
#pragma once

#include <stdint.h>
#include "base/list.h"
#include "cgroup/cgroup.h"
#include "event/loop.h"
#include "event/timer.h"

struct ending {
	struct event_loop *loop;
	const struct cgroup *cgroup;
	struct list members; /* who is waited for */
	bool active;
	struct event_post next;
	struct event_timer grace;
	void (*on_empty)(struct ending *e);
};

/*
 * Begins. Members that have not ended `grace_ms` after a SIGTERM are killed; 0 kills at once.
 * `on_empty` is called once, from the loop (never from here). Beginning again while it is active
 * changes nothing.
 */
void ending_begin(struct ending *e, struct event_loop *loop, const struct cgroup *cgroup,
	uint64_t grace_ms, void (*on_empty)(struct ending *e));

/* Stops waiting; what was killed stays killed. Twice is allowed. */
void ending_cancel(struct ending *e);
