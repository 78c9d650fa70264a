/*
 * The mount table of a process as data (proc_pid_mountinfo(5)), and which of its mounts a path walk
 * can really reach: a mount can be covered by a later one, at its own mount point or above it.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/err.h"

struct mountinfo_entry {
	int id, parent; /* mount ids; the namespace's root has a parent that is not in the table */
	unsigned major, minor;
	char *root;     /* which directory of the file system is mounted */
	char *point;    /* where, seen from the reader's root; octal escapes are decoded */
	char *options;  /* of the mount: rw,nosuid,… */
	char *optional; /* shared:N master:N …, "" if none */
	char *fstype;
	char *source;
	char *super; /* options of the superblock */
};

struct mountinfo {
	struct mountinfo_entry *entries;
	size_t n;
};

#define MOUNTINFO_INIT                  \
	{                               \
		.entries = NULL, .n = 0 \
	}

/* Parses `text` (the content of a mountinfo file). A line that is none is ERR_INVALID with its
 * number. */
int mountinfo_parse(const char *text, struct mountinfo *ret_table, struct err *err);

/* Reads PATH relative to `dirfd` ("self/mountinfo" below an open /proc); at most 64 MiB. */
int mountinfo_read(int dirfd, const char *path, struct mountinfo *ret_table, struct err *err);

void mountinfo_done(struct mountinfo *t);

/* Frees all entries from the n-th on. */
void mountinfo_truncate(struct mountinfo *t, size_t n);

/*
 * Leaves only the mounts that are visible, parents before children, the root first: the tree is
 * walked from the root and a mount that another one covers at the same point is left out with
 * everything below it.
 */
int mountinfo_keep_visible(struct mountinfo *t, struct err *err);

/* Whether the comma-separated option list has this word (or "word=…"). */
bool mountinfo_has_option(const char *options, const char *word);

/* The last entry whose mount point is exactly `point`, or NULL. */
const struct mountinfo_entry *mountinfo_find(const struct mountinfo *t, const char *point);

/* Whether a mount that can be reached is exactly at `point`, in the namespace of the caller.
 * `proc_fd`: a procfs where "self" is the caller. False when the table cannot be read. */
bool mountinfo_is_point(int proc_fd, const char *point);
