/*
 * The pieces of a group's view: the tmpfs that takes the writes, and overlays that are put together
 * in the mount namespace of the caller. Only group.c calls this.
 */
#pragma once

#include <stdint.h>
#include "base/err.h"
#include "view/group.h"

/* What mountinfo shows as the source of every overlay of ours. */
#define OVERLAY_SOURCE "reaper"

/*
 * Mounts a tmpfs of at most this size on `dir` (0700) and makes upper/ and work/ in it. On error
 * nothing is left mounted.
 */
int overlay_store_mount(const char *dir, uint64_t size_bytes, uint64_t inodes, struct err *err);

/* ERR_PRECONDITION with the file system's name if it cannot hold an upper layer. */
int overlay_check_upper(const char *upper, struct err *err);

/* The inodes that go with a size when nobody said: one for each 16 KiB, at least 16384. */
uint64_t overlay_default_inodes(uint64_t size_bytes);

/*
 * Mounts an overlay of directory `lower` (a mount point of the caller's namespace, "/" allowed) on
 * `target`, with DIR/upper and DIR/work. `masks`: directories that lie above `lower` and below the
 * upper one, the topmost first, NULL-terminated (NULL: none), each on another file system than
 * `lower` (the kernel answers ELOOP: measured). The root gets the owner and mode of `lower`, and
 * the mount the nosuid, nodev and noexec of the lower mount. What the kernel does not take is
 * refused with the file systems' names.
 */
int overlay_mount(const char *lower, const char *const *masks, const char *dir, const char *target,
	struct err *err);

/*
 * Puts the whole view together below BASE_DIR/view in the caller's mount namespace (of its own, not
 * shared with the host) and makes it the root: overlay over /, then every further mount of the
 * host as submounts.h has it with the site's rules, all without what spec->mask hides, then
 * pivot_root. `proc_fd`: a procfs where "self" is the caller.
 */
int overlay_build_view(int proc_fd, const struct mount_group_spec *spec, struct err *err);
