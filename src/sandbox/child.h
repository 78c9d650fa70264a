/*
 * The sandbox task: what holds a pod's namespaces. It is a fork of the shim that never execs: the
 * pause image's program is not run (a host-view runtime has no /pause), and its containers join
 * /proc/<its pid>/ns/…, so it must be a real process that has entered or made every namespace of
 * the sandbox's spec (contract §6.4).
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include "systemd/scope.h"

/* Everything is computed before the fork; the child makes system calls only, unless there is a
 * scope to be started: it is a fork of a program without threads, and may allocate. */
struct sandbox_child {
	int control; /* its end of the control socket (oci/init_contract.h) */
	uint64_t
		unshare_flags; /* CLONE_NEWNET, NEWIPC, NEWUTS, NEWCGROUP that the spec wants new */
	int join_fds[4];       /* namespaces the spec names by path; -EBADF: none */
	const char *hostname;  /* set only in a uts namespace of its own; NULL: leave it */
	const char *oom_score_adj; /* decimal text; NULL: leave it */
	struct cgroup *cgroup;     /* to join; the child's copy may lose what cannot be used here */
	bool born_in_cgroup;       /* in its v2 directory */
	const struct systemd_scope *scope; /* to be started first; NULL: the cgroup is made */
	char *const
		*sysctl_paths; /* /proc/sys/… files and their values, pairwise; NULL-terminated */
	char *const *sysctl_values;
	const char *title; /* for ps(1) */
};

/* The child's life; for proc_spec.run. `arg` is a struct sandbox_child. Never returns before a
 * signal ends it. */
int sandbox_child_main(void *arg);
