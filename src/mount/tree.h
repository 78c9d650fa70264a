/*
 * Mounts held by a descriptor: taken from one namespace, changed while nobody sees them, attached
 * in another. With the fall-backs for kernels before 5.12, which have no mount_setattr.
 */
#pragma once

#include <stdbool.h>
#include "base/err.h"
#include "mount/options.h"

/* mount(2) with `target` relative to the directory `dirfd`; "." is the directory itself. Leaves the
 * caller in /. -errno. */
int tree_mount_at(int dirfd, const char *source, const char *target, const char *fstype,
	unsigned long flags, const char *data);

/* A detached copy of what is mounted at `path` (relative to dirfd), with the mounts below it if
 * `recursive`. A mount keeps its place in its peer group until tree_set_propagation. The fd. */
int tree_open(int dirfd, const char *path, bool recursive, struct err *err);

/*
 * Puts it on the open mount point `target` and sets flags and propagation of `options`; with no
 * propagation in the options it becomes private, with all below it. `what` names it in errors.
 * ERR_UNIMPLEMENTED for recursive flags on a kernel before 5.12.
 */
int tree_attach(int tree, int target, const struct mount_options *options, int proc_fd,
	const char *what, struct err *err);

/* Changes the propagation (MS_PRIVATE …) of the mount whose root is open as `fd`. */
int tree_set_propagation(
	int fd, unsigned long propagation, bool recursive, int proc_fd, struct err *err);

/* Changes the flags (MS_…) of the mount whose root is open as `fd`, attached or not. `recursive`:
 * of all below, too. */
int tree_set_flags(int fd, unsigned long set, unsigned long clear, bool recursive, int proc_fd,
	struct err *err);
