/* `reaperctl top`: what each pod uses of the node at this moment. */
#pragma once

#include "cli/cli.h"

/*
 * Reads the counters of all containers' cgroups twice, --interval seconds apart, and prints a
 * table, or with --json an object {"interval_ms", "pods": [{…}]}: once, or with --batch until it is
 * interrupted. With -o wide a row is a container. No daemon and no shim is asked. Exit status 1
 * when the containers cannot be listed.
 */
int top_command(const struct cli_args *args);
