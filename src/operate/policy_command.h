/* `reaperctl policy`: the rules of /etc/reaper/policy.d, and what they say of a pod. */
#pragma once

#include "cli/cli.h"
#include "policy/policy.h"

int policy_check_command(const struct cli_args *args);
int policy_list_command(const struct cli_args *args);
int policy_test_command(const struct cli_args *args);
