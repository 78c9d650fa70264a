/*
 * The upper directories of a group that is one pod's own, in the snapshot of one of its containers
 * (REAPER_UPPER_BASE=auto): containerd counts what is there as that container's writable layer, so
 * that CRI reports it, kubelet's limits of ephemeral storage hold, and nothing outlives the pod.
 *
 *   SNAPSHOT                  a snapshot's upper directory: nothing else is in it
 *   SNAPSHOT/.reaper/KEY      0700 bound onto the group's BASE_DIR, noted in DIR/disk (disk.h)
 *   SNAPSHOT/.reaper/.old-…   of a group that was reset while containers used it; they still do
 *
 * A snapshot is removed with its container, and the pod lives on: before that, everything moves to
 * another container's, or to the sandbox's, which is the last to go. For the overlays a rename
 * changes nothing: they hold directories, not paths.
 */
#pragma once

#include "base/err.h"
#include "view/group.h"

/*
 * Whether the directory `snapshot` can hold upper directories that can move to `home`, the
 * sandbox's: both are on one file system, and it is one that an overlay can write to.
 */
bool snapshot_can_hold(const char *snapshot, const char *home);

/* Makes SNAPSHOT/.reaper/KEY for the spec, bound onto its BASE_DIR. Under the groups' lock. */
int snapshot_store_mount(const struct mount_group_spec *spec, struct err *err);

/*
 * Moves all that is in the snapshot `from` to the snapshot `to`; `groups_dir` has the groups'
 * directories. Nothing there is no error. Without the groups' lock, for the caller must not wait:
 * of a group that is being removed at the same moment a directory may stay, which goes with the
 * snapshot.
 */
int snapshot_move(const char *groups_dir, const char *from, const char *to, struct err *err);

/*
 * What the group has written in a snapshot, counted as containerd counts it: file by file, for the
 * file system is others' too. 1, or 0 and nothing counted if it does not write to one. Can take a
 * while, and wants no lock.
 */
int snapshot_usage(const struct mount_group_spec *spec, uint64_t *ret_bytes, uint64_t *ret_inodes);

/* Removes `dir` if it is the empty SNAPSHOT/.reaper. */
void snapshot_tidy(const char *dir);
