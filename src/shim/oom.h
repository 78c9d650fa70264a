/* Tells the world when the kernel's out-of-memory killer has ended something of a container
 * (/tasks/oom, which CRI turns into OOMKilled): once for each time the count of kills has grown. */
#pragma once

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
	struct event_receipt receipt;
};

#define OOM_INIT                                                            \
	{                                                                   \
		.watch = CGROUP_OOM_WATCH_INIT, .source = EVENT_SOURCE_INIT \
	}

/* From when its cgroup is there, before its program runs. A host that does not count gets a line in
 * the log. */
void oom_watch(struct container *c);

/* Looks now: when a process that may have been killed is reaped, and before its exit is published.
 * A scope of systemd's may be gone soon after. */
void oom_check(struct container *c);

/*
 * Whether containerd has taken what there is to tell, so that the end can be told. CRI takes the
 * reason from the event and the end from Wait, each by a way of its own, and the kubelet keeps what
 * it sees first. False: container_oom_told() follows.
 */
bool oom_told(const struct container *c);

/* Twice is allowed. */
void oom_cancel(struct container *c);
