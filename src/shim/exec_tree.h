/*
 * What an exec has started: a time-out of a probe or of ExecSync must end all of it, not only the
 * shell in front, or every time-out leaves something behind in the container.
 */
#pragma once

#include "shim/process.h"

/*
 * Sends `sig` to the exec and its descendants: everything in the container's cgroup that is in its
 * session or descends from it at this moment. What has left its session and lost its parent is the
 * container's, as anything that the container starts by itself. Each is signalled through a pidfd.
 * For SIGKILL it looks again until it finds nobody, a few times at most. The answer is that of the
 * exec's own process: 0, -ESRCH when it is gone.
 */
int exec_tree_signal(const struct process *exec, int sig);
