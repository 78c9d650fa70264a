/* Whether this process looks at the node through a Reaper view, or is on the node itself. */
#pragma once

#include <stdbool.h>

/*
 * True inside a view, also with all privileges and whatever is mounted over /run: the root of the
 * caller is an overlay of ours, and mountinfo names its source. A pod that changed its root to the
 * host's (chroot into a hostPath of /) is outside. Without /proc the answer is false.
 */
bool mount_inside_view(void);
