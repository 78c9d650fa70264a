/*
 * Ending everything in a cgroup. v2 has cgroup.kill; v1 is frozen, every member is killed through
 * its pidfd, then it is thawed, so that nobody can fork away in between. Works on a cgroup that is
 * already frozen (paused), also in levels that the workload froze itself.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>
#include "base/err.h"
#include "base/proc.h"
#include "cgroup/cgroup.h"

/* One round returns at most this many members to wait for; more are killed all the same. */
enum { CGROUP_KILL_MEMBERS = 64 };

/*
 * Kills everything that is in it now, without waiting, and returns members that are still dying
 * with their pidfds (start_ticks is 0): the caller waits until these are readable, drops them with
 * cgroup_members_free and calls again, until *ret_n is 0. *ret_n == 0 means that no visible process
 * is left. The calling process itself is never killed. A member may be the caller's own child: it
 * is still the caller's to reap. Errors: what could not be listed or signalled; the caller may try
 * again.
 */
int cgroup_kill_round(
	const struct cgroup *cg, struct proc **ret_members, size_t *ret_n, struct err *err);

/* Closes the pidfds and frees the array; NULL is allowed. Returns NULL. */
struct proc *cgroup_members_free(struct proc *members, size_t n);

/*
 * Rounds until it is empty, then cgroup_remove: for `delete`, where nothing else is to be done.
 * Blocks in poll() on the members' pidfds. ERR_DEADLINE with the pids that would not die when
 * CLOCK_BOOTTIME passes `deadline_usec` (base/clock.h). Never in the shim's loop.
 */
int cgroup_kill_and_remove(const struct cgroup *cg, uint64_t deadline_usec, struct err *err);

/* Sends `sig` once to every process in it now (SIGKILL: as a kill round). -ESRCH if there was none.
 */
int cgroup_signal_all(const struct cgroup *cg, int sig, struct err *err);
