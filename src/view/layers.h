/*
 * One mount of the host as the view shows it: an overlay over it, or the mount itself. Used where
 * the view is made (view.c) and where it follows a host that has mounted more since (follow.c).
 */
#pragma once

#include <stdbool.h>
#include <sys/types.h>
#include "base/err.h"
#include "mask/mask.h"
#include "mount/mountinfo.h"
#include "mount/submounts.h"

/* A group's layers while some are made. */
struct layers {
	const char *base_dir;
	struct mask *mask;
	unsigned next; /* numbers below are taken; 0 to begin with */
};

/*
 * Mounts what is at e->point, in the caller's namespace, on `target`, which is of the same type,
 * `type` (a directory or a file); it may be e->point itself. The upper directory of a layer is
 * BASE_DIR/sub/NUMBER with the first free number. The caller's mounts are slaves of the host's, so
 * that a bind becomes one. A layer hides what the mask has for it.
 *
 * What the table calls a local file system and the kernel does not take as a lower layer is bound
 * read-only; where a rule of the site asked for the layer, that is ERR_PRECONDITION with its name.
 */
int layers_mount(struct layers *l, const struct mountinfo_entry *e,
	const struct submount_decision *what, mode_t type, const char *target, struct err *err);

/* The S_IFMT bits of what is at `path` (no link is followed), without asking a server: one that is
 * gone must not keep pods from starting. False if nothing is there. */
bool layers_file_type(const char *path, mode_t *ret_type);
bool layers_file_type_of(int fd, mode_t *ret_type);
