/*
 * Replacing one file of somebody else's: the new bytes come into being beside it with its mode,
 * owner and extended attributes (an atomic replace is what loses SELinux labels elsewhere,
 * k0s#7097), and take its name only if it is still the file that was read.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>
#include "base/err.h"

struct write_job {
	const char *root;
	char *path;      /* the file itself, symbolic links resolved */
	char *tmp;       /* the new file; NULL: the bytes go into the old one (hard links) */
	bool create;     /* there was none */
	int dirs_made;   /* levels of the file's directory that were missing */
	char *dir;       /* of the file, without the root */
	char before[65]; /* SHA-256 of what must be there still */
	const char *data;
	size_t len;
	mode_t mode; /* of the file, for the record */
	uid_t uid;
	gid_t gid;
};

#define WRITE_JOB_INIT     \
	{                  \
		.root = "" \
	}

/*
 * Writes `len` bytes to a new file beside `name` (as seen from `root`), complete and synced.
 * `before` is the hash of the bytes that the file must have, NULL that it must not exist. `data` is
 * borrowed until the end of the job. Nothing that anybody reads has changed yet. Errors: what
 * stands in the way (not writable, read-only, no space), or -ESTALE if the file has other bytes
 * already.
 */
int write_prepare(struct write_job *job, const char *root, const char *name, const char *before,
	const char *data, size_t len, struct err *err);

/*
 * Gives the new file the name. -ESTALE: the file was changed by somebody else since it was read, or
 * came into being; nothing was done. Where a rename cannot be (a bind mount: EBUSY; hard links),
 * the bytes are written into the file: the caller's journal must be on disk by now.
 */
int write_commit(struct write_job *job, struct err *err);

/* Removes what write_prepare left behind, if it is still there. Also after a commit; twice is fine.
 */
void write_job_done(struct write_job *job);

/* Removes the new file that a killed run left beside `path`. */
void write_sweep(const char *path);

/* The SHA-256 of a file in `ret_hex`. -ENOENT if there is none. */
int write_hash(const char *path, char ret_hex[65]);

/* Removes a file that was created by us, and syncs its directory. */
int write_unlink(const char *path, struct err *err);
