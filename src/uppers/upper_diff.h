/* What an upper layer changes of the directory below it. */
#pragma once

#include <stddef.h>
#include "base/err.h"
#include "view/uppers.h"

enum upper_change_kind { UPPER_ADDED, UPPER_CHANGED, UPPER_DELETED };

/* What is different of something that is in both layers. */
enum {
	UPPER_TYPE = 1 << 0,    /* another kind of file; the rest is not compared then */
	UPPER_CONTENT = 1 << 1, /* bytes, target of a link, number of a device */
	UPPER_MODE = 1 << 2,
	UPPER_OWNER = 1 << 3,
	UPPER_XATTR = 1 << 4,
};
extern const char *const upper_what_names[5]; /* of bit 0, 1, … */

struct upper_change {
	enum upper_change_kind kind;
	unsigned what;       /* UPPER_CHANGED only */
	char *path;          /* absolute, bytes of any kind */
	const char *package; /* that owns it on the node or in the view; NULL: none. Borrowed */
};

struct upper_changes {
	struct upper_change *v;
	size_t n;
	char **packages; /* owns the names in v */
};

#define UPPER_CHANGES_INIT \
	{                  \
		.v = NULL  \
	}

void upper_changes_done(struct upper_changes *c);

/*
 * Appends the changes of `upper` over `lower` (open directories; lower -EBADF: nothing is below) to
 * *c. `point`: their path in the view. A file that was copied up and is as before is none; a
 * directory that was deleted is one, whatever was in it.
 */
int upper_diff(int upper, int lower, const char *point, struct upper_changes *c, struct err *err);

/*
 * Fills in the packages: those of the node, and those that were installed in the view, whose lists
 * are where it was written to /var/lib/dpkg. Read from dpkg's lists, or asked of `rpm`
 * where there is no dpkg. On a node with neither nothing is filled in.
 */
int upper_find_packages(
	struct upper_changes *c, const struct mount_uppers *uppers, struct err *err);
