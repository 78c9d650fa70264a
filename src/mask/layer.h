/* The files of one layer of a mask. Only mask.c calls this. */
#pragma once

#include "base/err.h"
#include "mask/plan.h"

/*
 * Writes the layer of the file system at `point` into the new, empty directory `layer`: a whiteout
 * for each of the `n` entries (all of them below `point`), /etc/shadow and gshadow with locked
 * passwords, and the directories above them, which get the owner, mode, time and labels of the
 * host's, for they are what the view shows. The host is seen below the directory `root`. An entry
 * whose directory is gone meanwhile is left out.
 */
int mask_layer_write(int root, int layer, const char *point,
	const struct mask_entry *const *entries, size_t n, struct err *err);

/*
 * Brings `live`, a layer that overlays use, to what the new layer `fresh` (on the same file system)
 * has, and takes `fresh` apart. Nothing hidden shows in between, and directories of `live` stay
 * what they are, for an overlay that has one open goes on looking there.
 */
int mask_layer_update(int live, int fresh, struct err *err);
