/*
 * The commands of `reaperctl containerd`; `verify` is doctor/verify.h. Each prints what it found or
 * did and returns the exit status (cli/report.h).
 */
#pragma once

#include "cli/cli.h"

int containerd_plan(const struct cli_args *args);
int containerd_apply(const struct cli_args *args);
int containerd_undo(const struct cli_args *args);
int containerd_status(const struct cli_args *args);
