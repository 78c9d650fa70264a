/*
 * A Landlock domain for workloads that share a namespace with the host's processes. In the pid
 * namespace of the host a workload with CAP_SETUID takes the ids of any process that has no
 * capabilities and reaches the host's real root through /proc/PID/root, past the view: the kernel's
 * check (ptrace_may_access) asks for equal ids and no more rights, and nothing else. A process in a
 * domain may look only into those of its own domain. In the network namespace of the host the
 * abstract sockets of the host's daemons can be connected to; a domain can close that (Linux 6.12).
 *
 * https://docs.kernel.org/userspace-api/landlock.html (ptrace restrictions, IPC scoping)
 */
#pragma once

#include <stdbool.h>
#include "base/err.h"

enum confine_landlock_result {
	CONFINE_LANDLOCK_DONE = 0,
	CONFINE_LANDLOCK_LESS = 1, /* the kernel can only do a part, or nothing */
};

/*
 * In the child, while it still is root, in the workload's view: no_new_privs is not needed.
 * `host_pids`: no process outside may be looked into; `host_sockets`: no abstract socket outside
 * may be connected to. File access is not changed by it; mounting is forbidden with host_pids, so
 * that it is not for who may mount.
 */
int confine_landlock(bool host_pids, bool host_sockets, struct err *err);

/* Whether this kernel can do all of it. Nothing is changed. */
bool confine_landlock_can(bool host_pids, bool host_sockets);
