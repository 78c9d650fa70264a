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
	int dirs_made;   /* levels of the file's directory that are missing and will be made */
	int made;        /* that were, and go again with the job */
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
 * Looks whether `len` bytes can become the file `name` (as seen from `root`). `before` is the hash
 * of the bytes that the file must have, NULL that it must not exist. `data` is borrowed until the
 * end of the job. Writes nothing: what a killed run leaves must stand in the caller's journal
 * first. Errors: what stands in the way (not writable, read-only, immutable), or -ESTALE if the
 * file has other bytes already.
 */
int write_prepare(struct write_job *job, const char *root, const char *name, const char *before,
	const char *data, size_t len, struct err *err);

/*
 * Writes a new file beside the old one, synced, with its owner, mode and attributes, and gives it
 * the name. -ESTALE: the file was changed by somebody else since it was read, or came into being;
 * nothing was done. Where a rename cannot be (a bind mount: EBUSY; hard links), the bytes are
 * written into the file, in one call. On an error the file has its old bytes, but for
 * -ENOTRECOVERABLE: these could not be written back either (a dying disk).
 */
int write_commit(struct write_job *job, struct err *err);

/* Removes what a failed commit left behind. Also after a good one; twice is fine. */
void write_job_done(struct write_job *job);

/* Removes the new file that a killed run left beside `path`. */
void write_sweep(const char *path);

/*
 * Cuts a file to `len` bytes if these have the hash `before` and only line ends follow: what a kill
 * in the middle of a commit in place leaves. 1 if it was, 0 if it is not that, -errno.
 */
int write_trim(const char *path, const char *before, size_t len);

/* The SHA-256 of a file in `ret_hex`. -ENOENT if there is none. */
int write_hash(const char *path, char ret_hex[65]);

/* Removes a file that was created by us, and syncs its directory. */
int write_unlink(const char *path, struct err *err);
