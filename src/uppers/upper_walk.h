/*
 * A walk over one upper directory of an overlay beside the directory that lies below it. The files
 * belong to workloads, which may go on writing: no link is followed, nothing is opened that could
 * block, what vanishes meanwhile is passed over, and how deep it goes has a limit.
 */
#pragma once

#include <stdbool.h>
#include <sys/stat.h>
#include "base/err.h"

enum { UPPER_DEPTH_MAX = 400 }; /* directories in each other: two descriptors each */

struct upper_entry {
	const char *path; /* absolute, as the view names it; bytes of any kind */
	const char *name; /* its last component */
	int dir;          /* the directory of the upper layer that it is in */
	int lower_dir;    /* the one below, -EBADF if there is none */
	struct stat st;
	bool whiteout; /* hides what is below */
	bool opaque;   /* a directory that hides the content of the one below */
};

/* 0 goes on; a negative number ends the walk and is its result. */
typedef int (*upper_visit)(void *arg, const struct upper_entry *e, struct err *err);

/*
 * Visits everything below the open directory `upper`, a directory before what is in it, its entries
 * sorted by the bytes of their names as a tar of the layer has them. `lower`:
 * the directory below, or -EBADF; `point`: the path of both in the view. The descriptors stay the
 * caller's.
 */
int upper_walk(
	int upper, int lower, const char *point, upper_visit visit, void *arg, struct err *err);

/* Whether this is how overlayfs writes "there is nothing here". */
bool upper_is_whiteout(const struct stat *st);

/* Names of all extended attributes of an entry but overlayfs's own, each NUL-terminated, in *ret
 * (the caller frees), their bytes in *ret_len. A file system without any has none. */
int upper_list_xattrs(int dir, const char *name, char **ret, size_t *ret_len);
/* The value of one in *ret (the caller frees), its length in *ret_len. -ENODATA if it is gone. */
int upper_get_xattr(int dir, const char *name, const char *attr, char **ret, size_t *ret_len);

/* A regular file to be read, or -errno: -ENOENT if it is something else by now. */
int upper_open_file(int dir, const char *name);
