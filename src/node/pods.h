/* The Reaper pods of this node, as its processes show them: no daemon is asked. */
#pragma once

/* How many shims run: one per pod. */
unsigned pods_count(void);
