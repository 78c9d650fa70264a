/*
 * A workload's scope: a unit of systemd's that it is in, so that systemd neither removes nor
 * resets its cgroup and everything that asks systemd (systemctl, kubelet) finds the pod.
 */
#pragma once

#include "base/err.h"
#include "cgroup/cgroup.h"
#include "systemd/call.h"

enum { SYSTEMD_SCOPE_SECONDS = 30 }; /* for a start: as runc and systemd-run have it */

/*
 * Starts the scope with the calling process in it, makes what systemd does not make (the
 * hierarchies it does not use, the level for v1 device rules) and joins all of it. `cg` is from
 * cgroup_plan and cgroup_delegate, or its record; what is left out of it is named in *notes (see
 * cgroup_create). Blocks: only for a fresh child, before it changes its root.
 */
int systemd_join_scope(
	const struct systemd_scope *scope, struct cgroup *cg, char ***notes, struct err *err);

/* Makes limits known to systemd (systemd_set_limits). Blocks until `deadline_usec`. */
int systemd_limit_scope(const char *unit, const struct cgroup *cg,
	const struct cgroup_limits *limits, uint64_t deadline_usec, struct err *err);

/* Stops a unit and waits for it until `deadline_usec`. No such unit is success. Blocks. */
int systemd_end_scope(const char *unit, uint64_t deadline_usec, struct err *err);
