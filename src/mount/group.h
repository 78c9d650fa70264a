/*
 * The group: one view of the host that containers share. It is an overlay over the host's root (and
 * one over each further local file system), whose upper directories lie on a sized tmpfs of the
 * group's own, in a mount namespace that nobody lives in: a file below the `ns` directory pins it.
 * The first container makes the group, each container enters it and unshares a clone for itself.
 *
 *   /run/reaper            0700, its flock orders everybody who makes or removes a group
 *   /run/reaper/ns         bound onto itself and made private: below a shared mount the kernel
 *                          refuses to bind a mount namespace (experiments: pin-mount-namespace)
 *   /run/reaper/ns/NAME    the mount namespace (nsfs)
 *   /run/reaper/overlay    the tmpfs: upper/ and work/ of the root, sub/NUMBER/{upper,work,point}
 *                          of the other file systems, view/ where the tree is put together
 *
 * All functions want root, and a process with one thread: they change the mount namespace of the
 * caller and, where not said otherwise, change it back.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include "base/err.h"

/* Where a group lives and how large it may become. All strings are borrowed. */
struct mount_group_spec {
	const char *name;     /* one path component: "node" */
	const char *run_dir;  /* "/run/reaper" */
	const char *ns_dir;   /* "/run/reaper/ns" */
	const char *base_dir; /* "/run/reaper/overlay": becomes the tmpfs's mount point */
	uint64_t size_bytes;  /* limit of the tmpfs; 0: a tenth of the machine's memory */
	uint64_t inodes;      /* limit of its files; 0: one for each 8 KiB, at least 16384 */
};

/* A tenth of the machine's memory, and how many inodes go with a size: see struct mount_group_spec.
 */
uint64_t mount_group_default_size(void);
uint64_t mount_group_default_inodes(uint64_t size_bytes);

/*
 * Enters the group's mount namespace, making the group first if nobody has. After it the caller's
 * root and working directory are the view's root, still in the namespace of the *group*: it must
 * unshare(CLONE_NEWNS) before it mounts anything. The flock is held until the entering is done, so
 * that mount_group_gc never takes away a group that somebody is about to enter.
 *
 * `proc_fd` is an open /proc of the caller's own mount namespace. If the view cannot be made, the
 * reason is in `err` and everything that was made is gone again.
 */
int mount_group_enter(const struct mount_group_spec *spec, int proc_fd, struct err *err);

/* What one group is and uses. */
struct mount_group_info {
	char name[80];
	char upper[256];                 /* path of the root's upper directory */
	bool pinned;                     /* its mount namespace is there */
	bool mounted;                    /* its tmpfs is there */
	uint64_t size_bytes, used_bytes; /* of the tmpfs */
	uint64_t inodes, used_inodes;
	unsigned processes; /* whose root is this view, at the moment of asking */
};

/* Fills `ret_info` for one group; ERR_NOT_FOUND if there is neither a pin nor a tmpfs. */
int mount_group_inspect(
	const struct mount_group_spec *spec, struct mount_group_info *ret_info, struct err *err);

/*
 * The names of the groups that have a pin in `ns_dir`, or whose making was interrupted, as a new
 * NULL-terminated vector (strv_free). An empty list if the directory is not there.
 */
int mount_group_list(const char *ns_dir, char ***ret_names, struct err *err);

enum mount_group_gc_result { MOUNT_GROUP_REMOVED = 1, MOUNT_GROUP_IN_USE = 2 };

/*
 * Removes the pin, the tmpfs with everything the workloads wrote, and the directories; `ns_dir` and
 * its self-bind too when it was the last group. Returns MOUNT_GROUP_REMOVED; MOUNT_GROUP_IN_USE
 * when a process still has the view as its root (nothing was touched then); 0 if there was nothing.
 */
int mount_group_gc(const struct mount_group_spec *spec, struct err *err);
