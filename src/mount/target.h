/*
 * Where something is mounted in the view: the destination of a spec is a path from outside, walked
 * as a process with the view as its root would walk it, but never through the magic links of /proc.
 * What is missing is made: in the overlay, in the private /dev and /run or in a volume, never in a
 * file system of the host.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include "base/err.h"
#include "mount/mountinfo.h"

/* Mounts that are the host's own in this namespace (network file systems …): nothing is created
 * there. */
struct mount_foreign {
	uint64_t *ids; /* mount ids, as statx says them */
	size_t n, cap;
};

#define MOUNT_FOREIGN_INIT   \
	{                    \
		.ids = NULL, \
	}

/* Every mount of the table that is no overlay: the table of the container's namespace, before
 * anything is mounted there. */
int mount_foreign_find(
	const struct mountinfo *table, struct mount_foreign *ret_foreign, struct err *err);
/* Adds the mount whose root (or a file on it) is open as `fd`. -ENOMEM; -ENODATA where the kernel
 * does not tell its id. */
int mount_foreign_add(struct mount_foreign *f, int fd);
void mount_foreign_done(struct mount_foreign *f);

/* The number of the mount that `fd` lies on, as mountinfo has it. -errno; -ENODATA where the kernel
 * does not tell (Linux 5.8). */
int mount_target_id(int fd, uint64_t *ret_id);

enum mount_target_kind { MOUNT_TARGET_DIR, MOUNT_TARGET_FILE };

/*
 * Opens `path` (absolute) below the directory `root` with O_PATH, making it and its parents if they
 * are not there (directories 0755, files 0644, of root). A symbolic link is followed within `root`
 * also when it leads nowhere yet, as /etc/resolv.conf often does. ERR_INVALID when what is there is
 * of the other kind. *ret_made (may be NULL): it was not there. Returns the descriptor.
 */
int mount_target_open(int root, const char *path, enum mount_target_kind kind,
	const struct mount_foreign *foreign, bool *ret_made, struct err *err);

/* The same for something that must exist already, of any kind; -ENOENT quietly. */
int mount_target_find(int root, const char *path);
