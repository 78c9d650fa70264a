/*
 * `reaperctl containerd verify`: the rows of the table of checks that are about containerd. Where
 * all of them hold, the image of host pods is imported once more if the daemon has lost it.
 */
#pragma once

#include "cli/cli.h"

/* Prints what was found; the exit status (cli/report.h). */
int containerd_verify(const struct cli_args *args);
