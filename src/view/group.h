/*
 * The group: one view of the host that containers share. It is an overlay over the host's root (and
 * one over each further local file system), whose upper directories lie on a sized tmpfs of the
 * group's own, in a mount namespace that nobody lives in: a file below the `ns` directory pins it.
 * The first container makes the group, each container enters it and unshares a clone for itself.
 *
 *   /run/reaper            its flock orders everybody who makes, enters or removes a group
 *   /run/reaper/ns         bound onto itself and made unbindable: below a shared mount the kernel
 *                          refuses to bind a mount namespace (EINVAL, measured)
 *   /run/reaper/ns/NAME    the mount namespace (nsfs)
 *   BASE_DIR               the tmpfs: upper/ and work/ of the root, sub/NUMBER/{upper,work} of the
 *                          other file systems; view/ is empty, only in the group's namespace the
 *                          view is put together there. /run/reaper/overlay for the node's group,
 *                          /run/reaper/groups/KEY/overlay for the others
 *
 * All functions want root, and a process with one thread: they change the mount namespace of the
 * caller and, where not said otherwise, change it back.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/err.h"
#include "mask/rules.h"

/* Where a group lives and how large it may become. All strings are borrowed; run_dir is there
 * already (store_layout_prepare). */
struct mount_group_spec {
	const char *name;     /* its key, one path component: "node" */
	const char *run_dir;  /* "/run/reaper" */
	const char *ns_dir;   /* "/run/reaper/ns" */
	const char *dir;      /* "/run/reaper/groups/node": made and removed with the group, and the
				 files in it, too */
	const char *base_dir; /* "/run/reaper/overlay": becomes the tmpfs's mount point */
	uint64_t size_bytes;  /* limit of the tmpfs, not 0; gc and inspect do not look at it */
	uint64_t most_bytes;  /* a group that is there and may write more is refused; 0: none is */
	uint64_t inodes;      /* limit of its files; 0: one for each 16 KiB, at least 16384 */
	const char
		*upper_base;  /* REAPER_UPPER_BASE, disk.h; NULL: a tmpfs. gc does not look at it */
	const char *snapshot; /* snapshot.h; NULL: not in one. gc does not look at it */
	bool upper_keep;      /* what a reboot does to it */
	char *const *submounts; /* the site's rules, submounts.h; NULL: none */
	struct mask_rules mask; /* what of the host does not exist in the view */
};

/*
 * Enters the group's mount namespace, making the group first if nobody has. After it the caller's
 * root and working directory are the view's root, still in the namespace of the *group*: it must
 * clone its own (mount_share_clone) before it mounts anything. The flock is held until the entering
 * is done (shared, unless the group has to be made), so that mount_group_gc never takes away a
 * group that somebody is about to enter.
 *
 * `proc_fd` is an open /proc in which "self" is the caller. If the view cannot be made, the reason
 * is in `err`, the caller is where it was and everything that was made is gone again.
 */
int mount_group_enter(const struct mount_group_spec *spec, int proc_fd, struct err *err);

/* What one group is and uses. */
struct mount_group_info {
	bool pinned;                     /* its mount namespace is there */
	bool mounted;                    /* its tmpfs is there */
	uint64_t size_bytes, used_bytes; /* of the tmpfs; a size of 0: no limit of its own */
	uint64_t inodes, used_inodes;
	unsigned processes; /* in this view, at the moment of asking */
};

/* Fills `ret_info` for one group; ERR_NOT_FOUND if there is neither a pin nor a tmpfs. */
int mount_group_inspect(
	const struct mount_group_spec *spec, struct mount_group_info *ret_info, struct err *err);

/*
 * Begins a new generation: the pin and the tmpfs are taken away, also while containers use them.
 * Those keep what they see until they end, and with the last one the memory is free; the next
 * container makes the group anew, empty. How many processes keep the former generation is in
 * *ret_processes. 1, or 0 if there was nothing.
 */
int mount_group_reset(
	const struct mount_group_spec *spec, unsigned *ret_processes, struct err *err);

enum mount_group_gc_result { MOUNT_GROUP_REMOVED = 1, MOUNT_GROUP_IN_USE = 2 };

/*
 * Removes the pin, the tmpfs with everything the workloads wrote, base_dir and dir; with the last
 * group the self-bind of ns_dir and ns_dir too. run_dir stays. Returns MOUNT_GROUP_REMOVED;
 * MOUNT_GROUP_IN_USE when a process still has the view as its root (nothing was touched then); 0 if
 * there was nothing.
 */
int mount_group_gc(const struct mount_group_spec *spec, struct err *err);
