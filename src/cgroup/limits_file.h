/* Writing one limit to one file of a cgroup. For the files of this room only. */
#pragma once

#include <stdbool.h>
#include "base/err.h"
#include "cgroup/cgroup.h"
#include "cgroup/limits.h"

enum { CGROUP_VALUE_MAX = 128 };

/* Where limits go: to the files of a cgroup, or to somebody who wants to know. */
struct limit_writer {
	const struct cgroup *cg;
	/* 0, -ENOENT: there is no such file, or -errno */
	int (*put)(void *ctx, const struct cgroup_dir *d, const char *file, const char *value);
	void *ctx;
	char ***notes; /* NULL: not wanted */
};

/* The directory in which one version's controller works, or NULL. */
const struct cgroup_dir *cgroup_limit_dir(
	const struct cgroup *cg, enum cgroup_controller c, bool v2);

/* Appends a name to *notes (NULL: not wanted). */
int cgroup_limit_note(char ***notes, const char *name, struct err *err);

/* The error of a write that the kernel refused with -`r`; says so where memory is in use. */
int cgroup_limit_refused(
	int r, const char *dir, const char *file, const char *value, struct err *err);

/* A weight of blockIO (10…1000) as io.weight (1…10000); 0 for one that says nothing. */
uint64_t cgroup_io_weight(uint64_t weight);

/* The parts of cgroup_limits_apply: numbers of one file each, and everything that is a list. */
int cgroup_limits_apply_numbers(
	const struct limit_writer *w, const struct cgroup_limits *limits, struct err *err);
int cgroup_limits_apply_lists(
	const struct limit_writer *w, const struct cgroup_limits *limits, struct err *err);
