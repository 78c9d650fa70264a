/*
 * The freezer: everything in a cgroup stands still, and goes on later. cgroup2's own freezer where
 * there is a v2 directory (hybrid hosts included), because it can be waited for and what it holds
 * can be killed; the v1 controller where there is none.
 */
#pragma once

#include <stdbool.h>
#include "base/err.h"
#include "cgroup/cgroup.h"

/*
 * Begins to freeze, or thaws at once. The kernel stops one process after the other:
 * cgroup_is_frozen says when all of them stand. ERR_PRECONDITION where there is no freezer; an
 * error names the file.
 */
int cgroup_freeze(const struct cgroup *cg, bool frozen, struct err *err);

/* 1: everything in it stands still, 0: not yet, or not at all. -errno; gone is -ENOENT. */
int cgroup_is_frozen(const struct cgroup *cg, struct err *err);

/*
 * A new close-on-exec descriptor of the caller's that is ready for EPOLLPRI whenever
 * cgroup_is_frozen may answer something else (cgroup.events); cgroup_freeze_seen() silences it
 * until the next change. -ENOENT: only the v1 controller is there, which tells nobody and has to be
 * asked.
 */
int cgroup_open_freeze_events(const struct cgroup *cg);
void cgroup_freeze_seen(int fd);

/* Whether one who is born in the v2 directory stands still before he has run a line: it is frozen,
 * or about to be, or a parent is. Whoever clones a child into it would wait with it. */
bool cgroup_freezes_births(const struct cgroup *cg);

/* Whether what it holds has to be thawed before SIGKILL can end it: v1. */
bool cgroup_freeze_holds_the_dead(const struct cgroup *cg);
