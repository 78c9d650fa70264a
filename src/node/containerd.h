/*
 * The commands of `reaperctl containerd`. Each prints what it found or did and returns the exit
 * status (node/report.h).
 */
#pragma once

#include "node/cli.h"

int containerd_plan(const struct cli_args *args);
int containerd_apply(const struct cli_args *args);
int containerd_verify(const struct cli_args *args);
int containerd_undo(const struct cli_args *args);
int containerd_status(const struct cli_args *args);
