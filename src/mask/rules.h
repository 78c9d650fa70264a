/*
 * What of the host does not exist in the view: patterns of paths. Pure; what they mean on a host is
 * worked out by mask/plan.h.
 *
 * A pattern is an absolute path whose parts may be globs (glob(7); `*` also matches a leading dot
 * and never a '/'). It hides what it matches and all below. A path that a pattern of `allow`
 * matches, and all below, stays; so does a default that is literally in `allow`.
 */
#pragma once

#include <stdbool.h>

/* Borrowed strings; all zero: the defaults, nothing else. */
struct mask_rules {
	bool off;           /* nothing is hidden */
	bool replace;       /* only `paths`, not the defaults */
	char *const *paths; /* the site's patterns, NULL-terminated; NULL: none */
	char *const *allow; /* likewise */
	const char *uppers; /* where all groups' writes are on a disk: hidden like a default, and
			       also with `replace`; NULL: nowhere */
};

/* Built in, NULL-terminated: what would hand over the node, the cluster or another pod. */
extern const char *const mask_default_paths[];
/* Built in: what stays of a default path because programs need it and it tells nothing. */
extern const char *const mask_default_allow[];

/* Calls `fn` for each pattern that is in force, the site's with custom=true; ends early with what
 * `fn` answers if that is not 0. */
int mask_rules_each(const struct mask_rules *rules,
	int (*fn)(void *arg, const char *pattern, bool custom), void *arg);

/* Whether `path` or a directory above it is allowed. */
bool mask_rules_allow(const struct mask_rules *rules, const char *path);

/* Whether something below `path` is allowed, so that `path` cannot be hidden as a whole. */
bool mask_rules_allow_below(const struct mask_rules *rules, const char *path);

/*
 * Whether `path` (absolute, without symbolic links) is hidden, or below something that is. For what
 * the view gets beside its overlays: later mounts, sockets.
 */
bool mask_rules_hide(const struct mask_rules *rules, const char *path);

/* Whether the name, which holds no '/', matches one part of a pattern. */
bool mask_matches(const char *pattern, const char *name);

/* Whether the pattern, or one part of it, has a glob character; a backslash takes its meaning. */
bool mask_is_glob(const char *pattern);
