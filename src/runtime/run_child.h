/* The children of `run`: this program again, as `init` and as `hooks`. */
#pragma once

#include <stdbool.h>
#include "base/err.h"
#include "base/proc.h"

struct run_child {
	const char *bundle, *id, *ns;
	const int *stdio; /* three; NULL: /dev/null */
	bool new_pidns;
	int pidns_fd; /* >= 0: init is born in this one */
};

/* `init`; *ret_control is our end of its control socket, non-blocking (oci/init_contract.h). */
int run_child_init(
	const struct run_child *child, struct proc *ret_proc, int *ret_control, struct err *err);

/*
 * The hooks of one stage (HOOK_STAGE_…), to their end. `pid` of the first process, 0: it is gone.
 * A signal that asks this program to end (`signals` is its signalfd) ends the running hook:
 * ERR_CANCELED.
 */
int run_child_hooks(const struct run_child *child, const char *stage, pid_t pid, int signals,
	void (*note)(const char *text), struct err *err);
