/*
 * Hooks of the runtime's namespaces (prestart, createRuntime, poststart, poststop), for a loop that
 * must not wait: a child of the shim's, `reaper-runtime hooks`, runs them and reports
 * (oci/init_contract.h). Hooks of the container's namespaces are init's.
 */
#pragma once

#include <stdbool.h>
#include <sys/types.h>
#include "base/err.h"
#include "base/proc.h"
#include "event/loop.h"
#include "oci/spec.h"

struct container;

/* Which stages a spec has hooks for. */
enum { HOOKS_CREATE = 1, HOOKS_POSTSTART = 2, HOOKS_POSTSTOP = 4 };

unsigned hooks_of_spec(const struct oci_spec *spec);

/* One stage under way. */
struct hooks {
	struct event_source source;
	struct container *container;
	int control;
	struct proc runner;
	bool answered, failed;
	struct err failure;
	void (*on_done)(struct container *c, const struct err *failure);
};

#define HOOKS_INIT                                                                  \
	{                                                                           \
		.source = EVENT_SOURCE_INIT, .control = -EBADF, .runner = PROC_INIT \
	}

/*
 * Begins a stage (HOOK_STAGE_…) for the container; `pid` 0: its first process is gone. `on_done` is
 * called once, from the loop, with NULL or why it failed; it may begin the next stage in `h` or
 * free what contains it. On -errno nothing runs. A stage that is under way is cancelled first.
 */
int hooks_begin(struct hooks *h, struct container *c, const char *stage, pid_t pid,
	void (*on_done)(struct container *c, const struct err *failure), struct err *err);

bool hooks_running(const struct hooks *h);

/* Lets go of it: the runner kills its hook and ends. on_done is not called. Twice is allowed. */
void hooks_cancel(struct hooks *h);
