/*
 * Keeps what is mounted for one container from being unmounted by another one. Unmounts travel
 * through a peer group as mounts do, to whatever lies at the same place of a peer: without more, a
 * container that unmounts its own /etc/resolv.conf takes those of its whole group away (measured).
 *
 *     R              the view, peer or slave of the group's
 *     └─ /proc       guard: an empty tmpfs, private
 *        ├─ kept     a mount that has such a child is left alone
 *        └─ (/)      proc, what the container sees
 *
 * An unmount of proc has the guard as its parent, and goes nowhere. A file can have no such child:
 * its guard is gone when one container has unmounted its own file and then the guard, too.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/err.h"

struct mount_guard {
	const uint64_t *ids; /* of the mounts that unmounts arrive at; borrowed */
	size_t n;
	int source; /* the first guard, of which the others are copies */
};

#define MOUNT_GUARD_INIT         \
	{                        \
		.source = -EBADF \
	}

/*
 * Makes the first guard at the directory `dest` below `root`, which is there; `ids` are the mounts
 * of the container's own namespace that belong to the group (none: nothing will be guarded).
 */
int mount_guard_init(int root, const char *dest, const uint64_t *ids, size_t n, int proc_fd,
	struct mount_guard *ret_guard, struct err *err);
void mount_guard_done(struct mount_guard *g);

/*
 * A guard for what is about to be opened at the host's `source`, as a detached mount. Since Linux
 * 6.8 mountinfo is in the order in which mounts were made, not attached, and its readers take the
 * last one at a path for the one that is seen: so the guard comes first.
 */
int mount_guard_open(const char *source, struct err *err);

/* The same as a copy of the first guard, for what comes from the view itself; *ret_guard is
 * untouched when none is needed on `target`. */
int mount_guard_copy(
	const struct mount_guard *g, int target, const char *dest, int *ret_guard, struct err *err);

/*
 * If something mounted on the open *target could be unmounted by others, covers it with a guard and
 * replaces *target by the guard: `ahead`, or, if that is -EBADF, one that is made now.
 */
int mount_guard_put(const struct mount_guard *g, int ahead, int *target, const char *dest,
	int proc_fd, struct err *err);
