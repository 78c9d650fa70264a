/*
 * The command line that systemd would start a unit with, read from its files: for a tree that is no
 * running system, and for a unit that does not run (systemctl shows variables unexpanded). Only
 * what containerd's units use: ExecStart=, Environment=, EnvironmentFile=, drop-ins. Source:
 * systemd.unit(5), systemd.service(5), systemd.exec(5).
 */
#pragma once

#include "base/err.h"

/*
 * The words of ExecStart= of `unit` below `root`, variables put in, in a new vector. 1, 0 if there
 * is no such unit or it starts nothing, or -errno.
 */
int unit_command(const char *root, const char *unit, char ***ret_argv);
