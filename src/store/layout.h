/*
 * Every path under /run/reaper, with its mode, in one place. All of it is root's own (0700), but
 * the upper layer, which becomes the root directory of the workloads' view.
 *
 *   /run/reaper/            0700
 *   ├─ lock                 flock of who makes or removes groups, 0600
 *   ├─ ns/                  0700 the groups' pinned mount namespaces, one file each
 *   ├─ seccomp/             0700 compiled profiles
 *   ├─ view/                0700 empty: where a group's namespace mounts its overlay
 *   └─ overlay/             0700 REAPER_OVERLAY_BASE: a tmpfs of our own
 *      ├─ upper/            0755 writes of the node scope
 *      └─ work/             0700 overlayfs' own
 */
#pragma once

#include "base/err.h"

#define STORE_ROOT "/run/reaper"

struct store_layout {
	char *root;    /* /run/reaper */
	char *lock;    /* root/lock */
	char *ns;      /* root/ns */
	char *seccomp; /* root/seccomp */
	char *view;    /* root/view */
	char *overlay; /* REAPER_OVERLAY_BASE, default root/overlay */
	char *upper;   /* overlay/upper */
	char *work;    /* overlay/work */
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
 * Makes the directories of the picture (not those below overlay/, see store_layout_prepare_upper)
 * and brings existing ones to their mode. Refuses with ERR_PRECONDITION a symbolic link, a
 * non-directory or somebody else's directory in their place. Idempotent; several processes may do
 * it at once.
 */
int store_layout_prepare(const struct store_layout *layout, struct err *err);

/*
 * Makes upper/ (0755, as the root directory of the view will have it) and work/. To be called when
 * the tmpfs is mounted on overlay/.
 */
int store_layout_prepare_upper(const struct store_layout *layout, struct err *err);

/* Takes the flock of `lock` (file_lock); close the descriptor to release it. The fd or -errno. */
int store_lock(const struct store_layout *layout, struct err *err);

/*
 * ns/KEY: the file on which a group's mount namespace is pinned. A key is 1 to 200 bytes of
 * [A-Za-z0-9._-], not beginning with '.' (ERR_INVALID). The caller frees *ret_path.
 */
int store_ns_path(
	const struct store_layout *layout, const char *key, char **ret_path, struct err *err);
