/*
 * Which upper directories the view of a group has, and of which mounts of the host: what
 * /run/reaper says nothing about, its mount namespace knows.
 */
#pragma once

#include <stddef.h>
#include "base/err.h"
#include "view/group.h"

struct mount_upper {
	char *point; /* of the host's mount: "/", "/home" */
	char *dir;   /* BASE_DIR/upper, BASE_DIR/sub/0/upper: what was written there */
};

struct mount_uppers {
	struct mount_upper *v; /* parents before children, "/" first */
	size_t n;
};

#define MOUNT_UPPERS_INIT \
	{                 \
		.v = NULL \
	}

/*
 * Reads them; ERR_NOT_FOUND if the group has no view. The caller has one thread, and is in its own
 * mount namespace before and after. Ends with mount_uppers_done.
 */
int mount_group_uppers(
	const struct mount_group_spec *spec, struct mount_uppers *ret_uppers, struct err *err);
void mount_uppers_done(struct mount_uppers *u);

/* Where what was written to `path` in the view is, if anything was; the caller frees it. NULL: no
 * memory. */
char *mount_uppers_path(const struct mount_uppers *u, const char *path);
