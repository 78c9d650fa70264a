/* The last part of init, in the container's namespaces: from root to the workload's user, to the
 * gate, to exec. */
#pragma once

#include "base/err.h"

struct init;

/*
 * Returns 0 when the shim went away before the gate was opened (nothing was run), or -errno with
 * the reason in `err` and the exit status in the struct. Otherwise the caller's program is the
 * workload.
 */
int become_workload(struct init *in, struct err *err);
