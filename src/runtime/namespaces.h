/* Namespaces of the workload (but pid, which the shim has made, and mount): opened while the host's
 * paths are in sight, entered or made, and then given their hostname and sysctls. */
#pragma once

#include "base/err.h"
#include "runtime/plan.h"

struct namespaces {
	int join[_PLAN_NS_MAX]; /* open nsfs files; -EBADF: none */
	int host[_PLAN_NS_MAX]; /* the ones that the process was born in */
};

#define NAMESPACES_INIT                                \
	{                                              \
		{-EBADF, -EBADF, -EBADF, -EBADF},      \
		{                                      \
			-EBADF, -EBADF, -EBADF, -EBADF \
		}                                      \
	}

/* Opens what the plan joins; ERR_NOT_FOUND says which path is gone. `proc_fd`: see plan. */
int namespaces_open(
	const struct plan *plan, int proc_fd, struct namespaces *ret_ns, struct err *err);
void namespaces_done(struct namespaces *ns);

/* The inode of the caller's network namespace; 0 if it cannot be told. `proc_fd`: a procfs where
 * "self" is the caller. */
uint64_t namespaces_own_net(int proc_fd);

/* Joins and makes them. */
int namespaces_enter(const struct plan *plan, const struct namespaces *ns, struct err *err);

/*
 * Hostname, domain name and sysctls: only in namespaces that are not the host's. A hostname for the
 * host's is left alone (CRI writes the node's own into pods with host network); a sysctl for the
 * host's is refused by name.
 */
int namespaces_configure(
	const struct plan *plan, const struct namespaces *ns, int proc_fd, struct err *err);
