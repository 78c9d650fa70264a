/*
 * struct cgroup: the directories that together are one workload's cgroup, one per hierarchy.
 *
 * Order of use: cgroup_plan (nothing is made), the caller records cgroup_to_strv on disk,
 * cgroup_create, limits and devices, the child is born or attaches itself, …, kill rounds until
 * empty, cgroup_remove. A later process (`delete`, an exec's init) starts from the record with
 * cgroup_from_strv.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include "base/err.h"
#include "cgroup/host.h"
#include "cgroup/path.h"

struct cgroup_dir {
	char *path;           /* absolute, without a slash at the end */
	size_t keep;          /* path[0…keep) was there before us and is never removed */
	uint32_t controllers; /* what works here; v2: known after cgroup_create or cgroup_from_strv
			       */
	bool v2;
};

/* The extended attribute of parents that cgroup_create made: see cgroup_plan. */
#define CGROUP_MARK "trusted.reaper"

/* v1 directories first, the v2 one (if any) last. */
struct cgroup {
	struct cgroup_dir dirs[CGROUP_HIERARCHY_MAX];
	size_t n;
};

#define CGROUP_INIT \
	{           \
		0   \
	}

void cgroup_done(struct cgroup *cg);

/*
 * Computes the directories of `path` in every hierarchy of `host`, looks which parents exist, makes
 * nothing. A parent that is there already and bears CGROUP_MARK was made for another container: it
 * goes with the last of them. All other existing parents stay for ever (kubelet's, systemd's).
 * A host without any hierarchy gives a cgroup without directories: everything below then
 * succeeds and does nothing, kills reach nobody.
 */
int cgroup_plan(const struct cgroup_host *host, const struct cgroup_path *path,
	struct cgroup *ret_cg, struct err *err);

/* The level of v1 device rules below a scope: see cgroup_delegate. */
#define CGROUP_WORKLOAD "workload"

/*
 * Makes a fresh plan that of a scope which systemd will start: the slices above are systemd's and
 * stay. At every daemon-reload systemd writes its own rules to a scope's devices directory of v1;
 * there the workload lies one level below, which is ours alone. -ENOMEM.
 */
int cgroup_delegate(struct cgroup *cg, struct err *err);

/*
 * The record of it: one string per directory, which cgroup_from_strv reads. The string is a valid
 * path; "/./" stands in it between what was there before and what is ours to remove (as rsync -R
 * has it). *ret_dirs is a strv of the caller's. -ENOMEM.
 */
int cgroup_to_strv(const struct cgroup *cg, char ***ret_dirs);

/*
 * Rebuilds it from a record. A directory that is gone meanwhile is no error (it is then empty and
 * removed); a path that is not below a cgroup file system is refused with ERR_INVALID, so that a
 * damaged record never makes us remove directories elsewhere. At most CGROUP_HIERARCHY_MAX.
 */
int cgroup_from_strv(char *const *dirs, struct cgroup *ret_cg, struct err *err);

/* The same for who knows the host's hierarchies already: the table of mounts is not read. */
int cgroup_from_strv_on(
	const struct cgroup_host *host, char *const *dirs, struct cgroup *ret_cg, struct err *err);

/*
 * Makes the directories: mkdir -p; v1 cpuset gets the parent's cpus and mems at every new level
 * (without them no process can be attached); v2 gets every controller that the chain above can
 * enable (not on hybrid hosts, where cgroup2 is for tracking). Refuses with ERR_EXISTS a cgroup in
 * which processes are already. A v1 hierarchy that is mounted read-only or refuses (EROFS, EPERM,
 * EACCES) is left out of `cg`, and its controllers are appended to *notes as names ("pids"); notes
 * may be NULL. On any other error what was made is removed again.
 */
int cgroup_create(struct cgroup *cg, char ***notes, struct err *err);

/*
 * The same for a scope that systemd has just started with the calling process in it: directories
 * may be there, and the caller may be in them.
 */
int cgroup_create_inside(struct cgroup *cg, char ***notes, struct err *err);

/* What another process made of the plan: directories that it left out are dropped, and the
 * controllers of v2 become known. */
void cgroup_refresh(struct cgroup *cg);

/* Whether a controller works in this cgroup; *ret_dir (may be NULL) is the index of its directory.
 */
bool cgroup_has(const struct cgroup *cg, enum cgroup_controller c, size_t *ret_dir);

/* The v2 directory for struct proc_spec.cgroup_fd (CLONE_INTO_CGROUP): a new close-on-exec
 * descriptor of the caller's, or -ENOENT where there is no v2 hierarchy. */
int cgroup_open_v2(const struct cgroup *cg);

/*
 * Puts the calling process into every directory. The first thing a fresh single-threaded child
 * does: no allocation, only system calls. `is_in_v2`: it was born in the v2 directory
 * (CLONE_INTO_CGROUP), which is left out then. The error names the directory.
 */
int cgroup_attach_self(const struct cgroup *cg, bool is_in_v2, struct err *err);

/*
 * Puts a process into a cgroup that somebody else has made: `path`, absolute below the mount point
 * of every hierarchy of `host`. Hierarchies in which it is not are left alone; in none of them:
 * ERR_NOT_FOUND. ERR_INVALID for a path that is none (cgroup_path_parse), -errno with the
 * directory.
 */
int cgroup_put(const struct cgroup_host *host, const char *path, pid_t pid, struct err *err);

/* Upper bound of the processes that one listing looks at. */
enum { CGROUP_PIDS_MAX = 262144 };

/*
 * All processes in it and in cgroups that the workload made below, each once, ascending. Numbers
 * are those of the caller's pid namespace; processes that it cannot see are left out. *ret_pids is
 * freed by the caller (NULL when there are none). -EOVERFLOW beyond CGROUP_PIDS_MAX.
 */
int cgroup_pids(const struct cgroup *cg, pid_t **ret_pids, size_t *ret_n, struct err *err);

/* 1: no process in it or below, or it is gone; 0: some; or -errno. Zombies do not count. */
int cgroup_is_empty(const struct cgroup *cg, struct err *err);

/*
 * Removes it: bottom-up, with the cgroups that the workload made below, then the parents that
 * cgroup_create made as far as they are empty. -EBUSY (ERR_PRECONDITION) when a process is still in
 * it: kill it, then again. Already gone is success.
 */
int cgroup_remove(const struct cgroup *cg, struct err *err);
