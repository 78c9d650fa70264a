/*
 * The snapshots of containerd's that a pod's containers come with. Nothing of them is mounted, and
 * what a pod writes into a view of its own lies in one of them (view/snapshot.h): this decides in
 * which.
 */
#pragma once

#include "proto/types.pb-c.h"

struct container;
struct shim;

/*
 * The directory that containerd counts as a container's writable layer, among the mounts that
 * Create names: an overlay's upper directory, or the writable directory that is bound where the
 * image has no layer. NULL: there is none (another kind of snapshotter). Borrowed from the mounts.
 */
const char *snapshot_of(Types__Mount *const *mounts, size_t n);

/* The container is there: from now on what its pod has written is counted as its. */
void snapshot_arrived(const struct container *c);

/* … or will not be any more, or never was: before containerd removes its snapshot. */
void snapshot_leaves(const struct container *c);
