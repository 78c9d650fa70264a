/* `reaperctl ps` and `inspect`: what runs on this node, also when containerd is down (running.h).
 */
#pragma once

#include "cli/cli.h"

/* A table, or with --json one object with the list `containers`. --wide adds pid and id. */
int ps_command(const struct cli_args *args);

/*
 * All of one container, or of all of a pod: the operand is an id, the beginning of one, a pod's
 * name, or NAMESPACE/POD. Also the command lines for its logs, an exec and its end, of whatever
 * made it. Exit status 1 when there is none.
 */
int inspect_command(const struct cli_args *args);
