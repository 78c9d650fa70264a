/*
 * What is mounted in a container's own namespace, as a list of operations: the plan (runtime/) only
 * says what, this file does it. Two moments:
 *
 *   mount_ops_open    in the shim's namespace, where the sources are the host's paths
 *   mount_ops_apply   in the container's clone of its group, whose root is the view
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include "base/err.h"
#include "mount/options.h"
#include "mount/share.h"

#define MOUNT_OP_KINDS(X)                                                                          \
	X(FS, "mount")         /* a new file system of `fstype` on directory `dest` */             \
	X(BIND, "bind")        /* the host's `source` on `dest`, which is made if it is missing */ \
	X(MIRROR, "mirror")    /* each entry of the host's directory `source` bound into `dest` */ \
	X(DIR, "mkdir")        /* directory `dest` */                                              \
	X(SYMLINK, "symlink")  /* `dest` is a symbolic link to `source` */                         \
	X(NODE, "mknod")       /* a device node; where nodes are dead, the host's one is bound */  \
	X(SEAL, "seal")        /* the mount at `dest` is read-only from now on */                  \
	X(READONLY, "ro")      /* what `dest` is, read-only from now on */                         \
	X(MASK, "mask")        /* `dest` is covered by nothing: /dev/null or an empty directory */ \
	X(VIEW_NODEV, "nodev") /* device nodes are dead everywhere but in binds made for NODE */   \
	X(VIEW_READONLY, "root-ro") /* the view itself, without what was mounted on it */

enum mount_op_kind {
#define X(kind, name) MOUNT_OP_##kind,
	MOUNT_OP_KINDS(X)
#undef X
		_MOUNT_OP_KIND_MAX
};

const char *mount_op_kind_name(enum mount_op_kind kind);

struct mount_op {
	enum mount_op_kind kind;
	char *dest;   /* path in the view */
	char *source; /* see above; FS: the name shown in mountinfo */
	char *fstype;
	struct mount_options options;
	char *skip;      /* MIRROR: the name of an entry that is left out */
	bool of_host;    /* BIND: nothing is ever created in it: it is the host's, no volume */
	bool optional;   /* BIND: a missing source is skipped without a word */
	bool bind_nodes; /* NODE: bind the host's node instead of making one */
	mode_t mode;     /* NODE: type and permission bits */
	uid_t uid;       /* NODE, DIR: owner of what is made */
	gid_t gid;
	unsigned major, minor;

	int tree;  /* BIND, NODE with bind_nodes: the opened source; -EBADF: not yet, or none */
	int guard; /* BIND: what lies below it (guard.h); -EBADF: none */
};

struct mount_ops {
	struct mount_op *v;
	size_t n, cap;
};

#define MOUNT_OPS_INIT     \
	{                  \
		.v = NULL, \
	}

/* Appends an empty operation with copies of these strings (each may be NULL) and returns it; it is
 * valid until the next append. NULL when memory ends; the list is as it was then. */
struct mount_op *mount_ops_add(struct mount_ops *ops, enum mount_op_kind kind, const char *dest,
	const char *source, const char *fstype);

/* Puts `more`, which is empty then, before what is there. -ENOMEM; both are as they were then. */
int mount_ops_prepend(struct mount_ops *ops, struct mount_ops *more);

/* Closes what is open and frees the list. */
void mount_ops_done(struct mount_ops *ops);

/*
 * Opens the sources, as detached copies of the mounts they lie on, and turns each MIRROR into the
 * binds it stands for. `guarded`: with guards, for a container that mounts of its group reach. In
 * the namespace of the host. A missing source is ERR_NOT_FOUND with its path.
 */
int mount_ops_open(struct mount_ops *ops, bool guarded, struct err *err);

/* One line for people: "bind /srv/data on /data (ro, private)". In *ret_text, freed by the caller.
 * -ENOMEM. */
int mount_op_format(const struct mount_op *op, char **ret_text);

/*
 * Does them in their order. The caller's root is the view, its mount namespace its own, made by
 * mount_share_clone. `proc_fd`: a procfs where "self" is the caller (it may lie in another
 * namespace).
 */
int mount_ops_apply(
	const struct mount_ops *ops, struct mount_share *share, int proc_fd, struct err *err);
