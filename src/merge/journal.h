/*
 * What was done to containerd's file, on disk before it is done: ROOT/var/lib/reaper/containerd
 * (0700) with `journal` (`journal-NAME` of a handler that is not
 * the usual one) and `backups/`. With it a killed run can be finished or taken back, and an
 * undo gives back the very bytes. Without it the block's markers suffice.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>
#include "base/err.h"

#define JOURNAL_DIR "/var/lib/reaper/containerd"

enum {
	JOURNAL_FORMAT = 1,
	JOURNAL_BACKUPS = 5, /* kept besides the one that an undo needs */
};

enum journal_phase {
	JOURNAL_NONE,
	JOURNAL_INTENT,  /* the file may have its old or its new bytes */
	JOURNAL_WRITTEN, /* the file has its new bytes; the daemon was not yet seen healthy with
			    them */
	JOURNAL_DONE,
};

struct journal {
	enum journal_phase phase;
	char *handler; /* whose block it is */
	char *config;  /* as the daemon names it, without the root */
	bool created;  /* there was no such file */
	int dirs_made; /* nor so many of its directories */
	mode_t mode;
	uid_t uid;
	gid_t gid;
	char before[65], after[65]; /* SHA-256; before is "" when created */
	char *backup;               /* name in backups/ of the bytes before; NULL when created */
	char *containerd, *unit;
	char *time; /* UTC */
};

#define JOURNAL_INIT                  \
	{                             \
		.phase = JOURNAL_NONE \
	}

/* Reads it: 1, or 0 if there is none, or -EBADMSG if it cannot be used (newer format, cut). */
int journal_load(const char *root, const char *handler, struct journal *ret, struct err *err);
void journal_done(struct journal *j);

/* Makes the directories if need be (*ret_made levels), writes it atomically. */
int journal_save(const char *root, const struct journal *j, int *ret_made, struct err *err);

/* Removes it (the one of `handler`), and `made` levels of directories as far as they are empty. */
void journal_remove(const char *root, const char *handler, int made);

/*
 * Stores bytes in backups/ (0600) and gives their name to *ret_name; the same bytes get the same
 * name. Makes the directories (*ret_made levels).
 */
int journal_backup(const char *root, const void *data, size_t len, char **ret_name, int *ret_made,
	struct err *err);
int journal_read_backup(
	const char *root, const char *name, char **ret_data, size_t *ret_len, struct err *err);
/* … and the directory of the backups if it is empty then; `name` may be NULL. */
void journal_remove_backup(const char *root, const char *name);

/* Removes what a killed run left half-written in the directory and its backups. */
void journal_sweep(const char *root);

/* Removes the oldest backups beyond JOURNAL_BACKUPS, never `keep`. */
void journal_rotate(const char *root, const char *keep);
