/* `reaper-runtime hooks`: the hooks that run in the runtime's own namespaces. See
 * oci/init_contract.h. */
#pragma once

struct hook_stage_args {
	const char *bundle, *id;
	const char *stage; /* HOOK_STAGE_… */
	const char *pid;   /* of the container's first process; NULL: it is gone */
};

/* Runs them and reports on INIT_FD_CONTROL. The exit status: 0, or 1 when one of them failed. */
int runtime_hook_stage(const struct hook_stage_args *args);
