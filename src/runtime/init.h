/*
 * `reaper-runtime init`: the shim's child prepares everything, reports, waits at the gate and
 * becomes the workload by exec (oci/init_contract.h).
 */
#pragma once

#include <stdbool.h>

struct init_args {
	const char *bundle, *id, *ns;
	const char *exec_id; /* NULL: the container's first process */
	bool born_in_cgroup; /* in its cgroup v2 directory */
};

/*
 * Returns only when no program was run: the exit status. The reason has been sent over the control
 * socket. Never writes to the descriptors 0 to 2: they are the workload's.
 */
int runtime_init(const struct init_args *args, char *const *env);
