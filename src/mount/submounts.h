/*
 * Which of the host's mounts below / the view shows, and how: an overlay over / does not show them,
 * and an empty or stale directory where the host has files would be a lie. A table of rules, pure.
 */
#pragma once

#include <stdbool.h>
#include "base/err.h"
#include "mount/mountinfo.h"

enum submount_action {
	SUBMOUNT_OMIT,  /* not shown */
	SUBMOUNT_LAYER, /* an overlay of its own: reads see the host, writes do not reach it */
	SUBMOUNT_BIND,  /* the mount itself, as it is */
	SUBMOUNT_BIND_READONLY, /* the mount itself, without writes: it cannot be a lower layer */
};

struct submount_decision {
	enum submount_action action;
	const char *why;  /* static: "network file system" */
	const char *rule; /* the site's, which decided, in `rules`; NULL: the table */
};

/*
 * What happens to one visible mount. `own_dir` is where our own tmpfs lies. `rules`: the site's
 * (REAPER_SUBMOUNTS), "PATH=ACTION" and "FSTYPE=ACTION" with layer, bind or omit; NULL: none. A
 * path means what is mounted there or below and wins over the table; of several the longest one. A
 * type wins over the table's types, but not over its places. What is private to each container
 * (/dev, /proc, /run, /sys) and own_dir no rule can show.
 */
struct submount_decision submount_decide(
	const struct mountinfo_entry *e, const char *own_dir, char *const *rules);

/* Whether `path` is `dir` or below it. Both absolute and normalised. */
bool submount_is_below(const char *path, const char *dir);

/*
 * The mounts of the calling process's namespace that its view shows, parents before children, "/"
 * not among them. Mounts of places that are left out anyway (those of pods: thousands) cost a line
 * of text each and no more. `proc_fd`: a procfs where "self" is the caller.
 */
int submounts_read(int proc_fd, const char *own_dir, char *const *rules,
	struct mountinfo *ret_table, struct err *err);
