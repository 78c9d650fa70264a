/*
 * The shim's side of `reaper-runtime init`: which program that is, held open from the shim's birth,
 * and how a child is cloned that runs it (oci/init_contract.h).
 */
#pragma once

#include "base/err.h"
#include "base/proc.h"

/*
 * The runtime this shim was born with: *ret_fd is close-on-exec and executable by descriptor. It is
 * looked for beside the shim's own file, then on PATH. A package upgrade under a running pod cannot
 * change it, and a workload cannot write to it through /proc/PID/exe: the descriptor leads through
 * a detached read-only mount (Linux 5.12), before that to a sealed memfd.
 */
int runtime_hold(int *ret_fd, struct err *err);

/* What one child needs. Strings are borrowed for the call. */
struct runtime_child {
	int runtime_fd;
	const char *bundle, *id, *ns;
	const char *exec_id; /* NULL: the container's first process */
	int target_pidfd;    /* exec only: the first process */
	int process_fd;      /* exec only: memfd with the OCI process object */
	int stdio[3];        /* the child's ends; -EBADF is /dev/null */
	bool new_pidns;      /* the child is process 1 of a new pid namespace */
	int pidns_fd;        /* >= 0: it is born in this one */
	int cgroup_fd;       /* >= 0: it is born in this cgroup v2 directory */
};

/* Clones it, and does not wait until it runs. *ret_control is the shim's end of the control socket,
 * non-blocking; a child that cannot get to its program sends INIT_FAILED, too. */
int runtime_spawn(const struct runtime_child *child, struct proc *ret_proc, int *ret_control,
	struct err *err);

/* Lets a child go on that reported INIT_PREPARED. -EPIPE when it is dead. */
int runtime_go_on(int control);

/* `reaper-runtime hooks`: one stage of hooks. Strings are borrowed for the call. */
struct runtime_hooks {
	int runtime_fd;
	const char *bundle, *id, *ns;
	const char *stage; /* HOOK_STAGE_… of oci/init_contract.h */
	pid_t pid;         /* of the first process; 0: it is gone */
};

/* Clones and execs it; *ret_control as above. It ends itself when that is closed. */
int runtime_spawn_hooks(const struct runtime_hooks *hooks, struct proc *ret_proc, int *ret_control,
	struct err *err);

/* Opens the gate of a child that reported INIT_READY. -EPIPE when it is dead. */
int runtime_open_gate(int control);
