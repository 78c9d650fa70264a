/*
 * A group's upper directories on a disk instead of in memory (REAPER_UPPER_BASE):
 *
 *   UPPER_BASE              a mount point of its own: that file system's size is the limit
 *   UPPER_BASE/KEY          bound onto the group's BASE_DIR, where else the tmpfs is
 *   UPPER_BASE/KEY/boot     0600 the boot that made it, and whether a reboot keeps it
 *   UPPER_BASE/.old-NUMBER  of a group that was reset while containers used it; they still do
 *
 * What another boot left nobody can be using: it is removed when the next group is made, but for
 * what is to be kept.
 */
#pragma once

#include <stdbool.h>
#include "base/err.h"
#include "view/group.h"

/*
 * Makes UPPER_BASE/KEY, bound onto the group's BASE_DIR, and tells so in DIR/disk. With project
 * quotas it has the spec's limits; without them the file system's size is the limit of all, and a
 * spec that must have a limit of its own (most_bytes) is refused. ERR_PRECONDITION with the file
 * system's name for one that cannot hold an upper layer, for a directory that others may write,
 * and for one that is no mount point. `proc_fd`: a procfs where "self" is the caller. Under the
 * groups' lock.
 */
int disk_store_mount(const struct mount_group_spec *spec, int proc_fd, struct err *err);

/*
 * The rest of it for a directory `path` that is there: binds it onto the group's BASE_DIR and tells
 * so in DIR/disk.
 */
int disk_store_bind(const struct mount_group_spec *spec, const char *path, struct err *err);

/* What DIR/disk tells, in *ret_path (the caller frees). -ENOENT: the group is on no disk. */
int disk_store_path(const char *dir, char **ret_path, struct err *err);

/* Tells in DIR/disk that the directory is at `path` now. */
int disk_store_note(const char *dir, const char *path, struct err *err);

/* Puts the directory `name` in `base` aside, which containers may still use. -errno. */
int disk_store_put_aside(int base, const char *name);

/*
 * After the unmount of BASE_DIR: removes what `dir`/disk names, with everything in it, or, if
 * containers still write there (`in_use`), puts it aside until the next boot. Nothing noted is no
 * error.
 */
int disk_store_drop(const char *dir, bool in_use, struct err *err);
