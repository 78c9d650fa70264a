/*
 * Which of the host's mounts below / the view shows, and how: an overlay over / does not show them,
 * and an empty or stale directory where the host has files would be a lie. A table of rules, pure.
 */
#pragma once

#include <stdbool.h>
#include "mount/mountinfo.h"

enum submount_action {
	SUBMOUNT_OMIT,  /* not shown */
	SUBMOUNT_LAYER, /* an overlay of its own: reads see the host, writes do not reach it */
	SUBMOUNT_BIND,  /* the mount itself, as it is */
};

struct submount_decision {
	enum submount_action action;
	const char *why; /* static: "network file system" */
};

/* What happens to one visible mount. `own_dir` is where our own tmpfs lies. */
struct submount_decision submount_decide(const struct mountinfo_entry *e, const char *own_dir);

/* Whether `path` is `dir` or below it. Both absolute and normalised. */
bool submount_is_below(const char *path, const char *dir);
