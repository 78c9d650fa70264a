/*
 * The kernel's out-of-memory killer in a cgroup. What counts is how many it has killed, not how
 * often memory was short: with one container in a pod it is the pod's limit that is hit, and only
 * the kill is counted in the container's own file.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include "base/err.h"
#include "cgroup/cgroup.h"

/* How many processes of this cgroup it has killed so far. -ENOENT: no memory controller, or the
 * cgroup is gone; -errno. */
int cgroup_oom_kills(const struct cgroup *cg, uint64_t *ret_kills);

struct cgroup_oom_watch {
	int fd;          /* -EBADF: none; the watch's own */
	uint32_t events; /* what epoll is to wait for */
	bool early;      /* it tells of the shortage, an instant before the kill is counted (v1) */
};

#define CGROUP_OOM_WATCH_INIT \
	{                     \
		.fd = -EBADF  \
	}

/*
 * A descriptor that becomes ready with every kill: memory.events itself on v2 (no inotify instance,
 * of which a user has 128), an eventfd at memory.oom_control on v1. One descriptor a container.
 * -ENOENT without a memory controller; an error names the file.
 */
int cgroup_oom_watch(const struct cgroup *cg, struct cgroup_oom_watch *ret_watch, struct err *err);

/*
 * Looks at it, so that it is quiet until the next one. Returns how often memory was short since it
 * was looked at before, which only v1 tells; there the end of the cgroup counts as once more.
 */
uint64_t cgroup_oom_seen(const struct cgroup_oom_watch *watch);

/* Closes it. Twice is allowed. */
void cgroup_oom_watch_done(struct cgroup_oom_watch *watch);
