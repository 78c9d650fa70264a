/* What containerd runs this program for, besides the daemon itself. Each returns the exit status,
 * prints its answer on stdout and an error as one line on stderr. */
#pragma once

#include "shim/options.h"

/* `start`: the pod's shim, a new one or the one that is there; its address on stdout. Leaves
 * nothing else on stdout or stderr. */
int action_start(const struct shim_options *opts);

/* `delete`: ends what is left of one container, whoever left it; a DeleteResponse on stdout.
 * Idempotent. */
int action_delete(const struct shim_options *opts);

/* `-info`: a RuntimeInfo on stdout. */
int action_info(void);
