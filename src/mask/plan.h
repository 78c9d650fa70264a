/*
 * What the rules of mask/rules.h mean on one host at one moment: a list of paths. It only looks;
 * mask.h makes a layer of it.
 *
 * Symbolic links are followed as the host would follow them, and both the link and what it leads to
 * are hidden; a link of somebody who owns neither the target nor the host (not root's) is not
 * followed but hidden itself, so that nobody's ~/.ssh -> /usr takes the node's programs away.
 * A plain path of which a part is missing is hidden from the first missing part on: what the host
 * makes there later does not exist in the view either.
 *
 * Where Debian's invoke-rc.d is, policy-rc.d is part of the plan (unless the site allows the path):
 * a package that a pod installs must not restart services, which with all privileges are the
 * node's.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include "base/err.h"
#include "mask/rules.h"

enum mask_kind {
	MASK_HIDE, /* does not exist */
	MASK_LOCK, /* /etc/shadow, /etc/gshadow: there, with locked passwords */
	MASK_DENY, /* policy-rc.d: there, and no package's script may start or stop a service */
};

struct mask_entry {
	char *path; /* absolute, without symbolic links, "." and ".." */
	enum mask_kind kind;
};

/* Sorted by path so that what is below a directory follows it; no entry is below another one. */
struct mask_plan {
	struct mask_entry *v;
	size_t n, cap;
};

#define MASK_PLAN_INIT     \
	{                  \
		.v = NULL, \
	}

enum { MASK_ENTRIES_MAX = 250000 };

/*
 * Works it out below the directory `root`. `walked` (NULL-terminated, NULL: none) are the mount
 * points that are entered. Other ones are not: what lies there is not in the view, or belongs to a
 * server that must not be waited for; a plain path of the site's own is followed there all the
 * same. An error of a look (EIO …) is an error: nobody may see what could not be judged.
 */
int mask_plan_make(int root, const struct mask_rules *rules, char *const *walked,
	struct mask_plan *ret_plan, struct err *err);
void mask_plan_done(struct mask_plan *plan);
