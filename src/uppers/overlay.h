/*
 * `reaperctl overlay`: the groups whose containers share a view of the host (view/group.h), what
 * they use, and their end. All print a table or, with --json, one object.
 */
#pragma once

#include "base/err.h"
#include "cli/cli.h"
#include "view/stale.h"

int overlay_list_command(const struct cli_args *args);

/*
 * Removes groups that no process uses, with everything the workloads wrote; with --all also what is
 * left below /run/reaper when no pod runs (caches, empty directories). A group in use is
 * told, and is no error without --all. Exit status 1 if something could not be removed.
 */
int overlay_gc_command(const struct cli_args *args);

/*
 * Brings the view of every group to what the host is now, as the next container's start would:
 * mounts, replaced and deleted files. Prints the files of which a running pod holds an old version
 * (overlay_refresh.c).
 */
int overlay_refresh_command(const struct cli_args *args);

/*
 * One group, --group or the node's own (overlay_upper.c): what it is; what of the host it changes
 * (upper_diff.h); that as an OCI layer (upper_export.h), exit status 1 if something was left out;
 * a new, empty generation for the containers to come (mount_group_reset).
 */
int overlay_show_command(const struct cli_args *args);
int overlay_diff_command(const struct cli_args *args);
int overlay_export_command(const struct cli_args *args);
int overlay_reset_command(const struct cli_args *args);

/* Is told of a group and the stale files that were found; -errno ends it. */
typedef int (*overlay_stale_fn)(void *arg, const char *key, const struct stale_files *stale);

/* Does that for every group; the doctor asks the same. */
int overlay_refresh_all(overlay_stale_fn fn, void *arg, struct err *err);
