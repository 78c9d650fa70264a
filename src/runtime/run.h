/*
 * `reaper-runtime run`: one bundle in the foreground, without containerd and without a shim. The
 * workload is the same as a shim's (it is made by the same `init`): host view, cgroup, namespaces,
 * credentials. Its streams are the caller's own.
 */
#pragma once

#include "base/err.h"

#define RUN_NAMESPACE "run"

struct run_args {
	const char *bundle;
	const char *id; /* NULL: the name of the bundle's directory */
	const char *ns; /* NULL: RUN_NAMESPACE */
};

/*
 * Runs it to its end. Signals of the caller are passed on to the workload. When it has ended,
 * everything else in its cgroup is killed, and cgroup and record are removed. *ret_status is the
 * exit status as a shell has it: the workload's, or 126 to 128 with `err` when no program was run
 * (oci/init_contract.h). `notes` is called for each thing that is not as the spec has it.
 *
 * Refused with ERR_EXISTS: a bundle that runs already, or that a shim serves. What an earlier run
 * left that was killed (SIGKILL) is ended first.
 */
int runtime_run(const struct run_args *args, char *const *env, void (*note)(const char *text),
	int *ret_status, struct err *err);
