/*
 * A group outlives what its view was made of: the host mounts and unmounts file systems, replaces
 * files and deletes them. The view follows at each container start, by comparing; nobody watches.
 */
#pragma once

#include "base/err.h"
#include "mount/mountinfo.h"
#include "view/group.h"
#include "view/stale.h"

/*
 * Brings the view of an existing group to what the caller's namespace has now:
 *
 * - the overlays forget the names that nobody uses, so that the next lookup sees what the host has
 *   replaced, made or deleted since;
 * - mounts of the host that are gone are taken away, new ones attached by the rules of submounts.h;
 * - what is hidden (spec->mask) is worked out anew if `search` is set, and for new mounts;
 * - files that are still held open in an old version are found and listed in *ret_stale
 *   (stale_files_done). Running processes are searched for them when something changed in the
 * places that stale.h lists, or `search` is set; else what was found before is looked at again.
 *
 * A group that nobody has made yet has nothing to follow. `proc_fd` is an open /proc in which
 * "self" is the caller, who is in the host's namespace before and after. Errors name what could not
 * be attached.
 */
int mount_group_follow(const struct mount_group_spec *spec, int proc_fd, bool search,
	struct stale_files *ret_stale, struct err *err);

/* In the group's `dir`: its size is how many times the view has followed a change of the host's
 * mounts. */
#define FOLLOW_COUNT_NAME "followed"

/* For who makes the view: writes down, in the group's `dir`, that it shows these mounts of the
 * host. Not in BASE_DIR: workloads may have filled it. */
int follow_remember(
	const struct mount_group_spec *spec, const struct mountinfo *shown, struct err *err);
