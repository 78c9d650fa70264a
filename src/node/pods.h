/* The Reaper pods of this node, as its processes show them: no daemon is asked. */
#pragma once

/* How many shims run: one per pod. Those of another root (a node in a container, a chroot) do not
 * count. */
unsigned pods_count(void);
