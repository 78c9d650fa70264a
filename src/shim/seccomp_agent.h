/*
 * The agent of a seccomp profile with SCMP_ACT_NOTIFY: it gets the descriptor on which the filter
 * asks, with the container process state (runtime-spec config-linux.md#containerprocessstate).
 */
#pragma once

#include "base/err.h"
#include "shim/process.h"

/*
 * Takes descriptor `number` of the process and sends it to the socket at listenerPath of the
 * container's spec. Never waits: an agent that has no place in its queue, or does not read, is an
 * error like one that is not there, and the error names the path.
 */
int seccomp_agent_tell(const struct process *p, int number, struct err *err);
