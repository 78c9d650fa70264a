/* A cgroup directory and those that the workload made below it. For the files of this room only. */
#pragma once

#include <stddef.h>
#include "base/err.h"
#include "cgroup/cgroup.h"

/* Fills d->controllers from what is in the directory. */
void cgroup_dir_probe(struct cgroup_dir *d);

enum { CGROUP_TREE_MAX = 65536 };

struct cgroup_tree {
	char **paths; /* every parent before its children */
	size_t n, cap;
};

#define CGROUP_TREE_INIT \
	{                \
		0        \
	}

void cgroup_tree_done(struct cgroup_tree *t);

/* Collects `path` and everything below it. A directory that is gone is left out. -EOVERFLOW beyond
 * CGROUP_TREE_MAX directories. */
int cgroup_tree_read(const char *path, struct cgroup_tree *ret_tree, struct err *err);

/* DIR/FILE in a buffer of the caller's. -ENAMETOOLONG. Async-signal-safe enough: no allocation. */
int cgroup_file_path(char *out, size_t size, const char *dir, const char *file);

/* Writes `text` to DIR/FILE with one write. -errno; no message, for where failing is an answer. */
int cgroup_file_put(const char *dir, const char *file, const char *text);
