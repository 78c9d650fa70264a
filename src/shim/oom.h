/* Tells the world when the kernel's out-of-memory killer has ended something of a container
 * (/tasks/oom, which CRI turns into OOMKilled): once for each time the count of kills has grown. */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include "cgroup/oom.h"
#include "event/loop.h"
#include "event/timer.h"
#include "shim/events.h"

struct container;

/* A container's; start from OOM_INIT. */
struct oom {
	struct cgroup_oom_watch watch;
	struct event_source source;
	struct event_timer look;
	uint64_t look_usec; /* how long the next look is away; 0: none is */
	uint64_t kills;     /* that the world knows of, or that were before us */
	uint64_t shortages; /* told, and no kill counted for them (v1); the cgroup's end is one, too
			     */
	bool doubt;         /* the cgroup is gone, and whether there was a kill will show */
	bool decided;       /* it has shown, or did not in time */
	struct event_receipt receipt;
};

#define OOM_INIT                                                            \
	{                                                                   \
		.watch = CGROUP_OOM_WATCH_INIT, .source = EVENT_SOURCE_INIT \
	}

/* From when its cgroup is there, before its program runs. A host that does not count gets a line in
 * the log. */
void oom_watch(struct container *c);

/*
 * Looks now: when a process that may have been killed is reaped, and before its exit is published.
 * systemd takes a scope away as soon as nothing runs in it, on a busy host before we have read its
 * count. Then the kernel's word that memory was short decides, if SIGKILL has ended the first
 * process; it may come a moment later, so that oom_told() says no meanwhile.
 */
void oom_check(struct container *c);

/*
 * Whether containerd has taken what there is to tell, so that the end can be told. CRI takes the
 * reason from the event and the end from Wait, each by a way of its own, and the kubelet keeps what
 * it sees first. False: container_oom_told() follows.
 */
bool oom_told(const struct container *c);

/* Twice is allowed. */
void oom_cancel(struct container *c);
