/* Whole small files: reading with a limit, writing, replacing atomically, making directories. */
#pragma once

#include <stddef.h>
#include <sys/stat.h>
#include <sys/types.h>
#include "base/err.h"

/*
 * Reads all of `path` (relative to `dirfd`, AT_FDCWD allowed) into a new NUL-terminated *ret_data
 * that the caller frees; ret_len may be NULL. Works for /proc and /sys files. Refuses anything over
 * `max` bytes with ERR_INVALID.
 */
int file_read_at(
	int dirfd, const char *path, size_t max, char **ret_data, size_t *ret_len, struct err *err);

/* The same for an open descriptor, from its current position; `what` names it in errors. */
int file_read_fd(
	int fd, const char *what, size_t max, char **ret_data, size_t *ret_len, struct err *err);

/*
 * Whether root can rely on what `fd` is: ERR_PRECONDITION, with the remedy, if it belongs to
 * another than root or the caller, or if its mode has a bit of `writers` (S_IWOTH, or S_IWGRP |
 * S_IWOTH).
 */
int file_check_owner(int fd, const char *path, mode_t writers, struct err *err);

/* Writes all of it to `fd`. -errno. */
int file_write_all(int fd, const void *data, size_t len);

/*
 * Writes `text` with one write() to an existing file (O_WRONLY, not created): how /proc, /sys and
 * cgroup files want it.
 */
int file_put_at(int dirfd, const char *path, const char *text, struct err *err);

/*
 * Replaces `path` by a file with these bytes and this mode: a temporary name in the same directory,
 * fsync, rename, fsync of the directory. A reader sees the old or the new file, never a part; on
 * error the temporary name is gone.
 */
int file_replace_at(
	int dirfd, const char *path, const void *data, size_t len, mode_t mode, struct err *err);

/* mkdir -p: makes `path` and its parents; existing directories are left as they are. -errno. */
int file_mkdir_p(const char *path, mode_t mode);

/*
 * Opens `path` and takes an exclusive flock; waits while another process holds it. The lock goes
 * with the descriptor. The file is created 0600. Returns the descriptor or -errno.
 */
int file_lock(const char *path, struct err *err);
