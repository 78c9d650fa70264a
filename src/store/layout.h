/*
 * Every path under /run/reaper, with its mode, in one place. All of it is root's own (0700), but
 * the upper layer, which becomes the root directory of the workloads' view.
 *
 *   /run/reaper/            0700 its flock orders everybody who makes or removes a group
 *   ├─ ns/                  0700 the groups' pinned mount namespaces, one file each
 *   ├─ groups/KEY/          0700 of each group (group.h): its record, and the tmpfs of all but the
 *   │                            node's
 *   ├─ seccomp/             0700 compiled profiles
 *   └─ overlay/             0700 REAPER_OVERLAY_BASE: mount point of a tmpfs of our own
 *      └─ upper/            writes of the node scope; it and its neighbours are mount/'s
 */
#pragma once

#include "base/err.h"

#define STORE_ROOT "/run/reaper"

enum { STORE_KEY_MAX = 200 }; /* bytes of a group's key */

struct store_layout {
	char *root;    /* /run/reaper */
	char *ns;      /* root/ns */
	char *groups;  /* root/groups */
	char *seccomp; /* root/seccomp */
	char *overlay; /* REAPER_OVERLAY_BASE, default root/overlay */
	char *upper;   /* overlay/upper */
};

#define STORE_LAYOUT_INIT     \
	{                     \
		.root = NULL, \
	}

/*
 * Puts the paths together; touches nothing. root: NULL = STORE_ROOT; overlay_base: NULL =
 * root/overlay. Both absolute, without "." and ".." (ERR_INVALID).
 */
int store_layout_init(struct store_layout *ret_layout, const char *root, const char *overlay_base,
	struct err *err);
void store_layout_done(struct store_layout *layout);

/*
 * Makes the directories of the picture (not what lies below overlay/) and brings existing ones to
 * their mode. Refuses with ERR_PRECONDITION a symbolic link, a non-directory or somebody else's
 * directory in their place. Idempotent; several processes may do it at once.
 */
int store_layout_prepare(const struct store_layout *layout, struct err *err);

/*
 * ns/KEY: the file on which a group's mount namespace is pinned. A key is 1 to STORE_KEY_MAX bytes
 * of [A-Za-z0-9._-], not beginning with '.' (ERR_INVALID). The caller frees *ret_path.
 */
int store_ns_path(
	const struct store_layout *layout, const char *key, char **ret_path, struct err *err);
