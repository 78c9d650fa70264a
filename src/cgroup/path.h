/*
 * What linux.cgroupsPath means: a path below the mount point of every hierarchy. Pure text, no
 * system call. Two forms exist (runtime-spec config-linux.md#cgroups-path, containerd
 * internal/cri/server/helpers.go getCgroupsPath):
 *
 *   cgroupfs  "/kubepods/pod1/ID"                    taken as it is
 *             "ID", "a/ID"                           relative: below /reaper/NAMESPACE
 *             ""                                     /reaper/NAMESPACE/ID
 *   systemd   "kubepods-besteffort.slice:cri-containerd:ID"
 *             /kubepods.slice/kubepods-besteffort.slice/cri-containerd-ID.scope
 */
#pragma once

#include <stdbool.h>
#include "base/err.h"

enum {
	CGROUP_PATH_MAX =
		3072, /* of the whole path: mount point and file name still fit PATH_MAX */
	CGROUP_PATH_DEPTH = 64, /* components */
};

struct cgroup_path {
	char *path;  /* begins with '/', at least one component, no "//", "." or ".." in it */
	char *slice; /* systemd form only, else NULL: the slice that holds the scope */
	char *unit;  /* systemd form only, else NULL: "cri-containerd-ID.scope" */
	/* The parents are nobody else's either and go when they are empty: the default below
	 * /reaper, and /NAMESPACE/ID, which is what ctr asks for. */
	bool own_parents;
};

#define CGROUP_PATH_INIT \
	{                \
		0        \
	}

/*
 * Reads `cgroups_path` (NULL and "" mean the default) for container `id` of containerd namespace
 * `ns`, both already checked as identifiers. *ret_path is to be ended with cgroup_path_done.
 * ERR_INVALID (EINVAL, ENAMETOOLONG) names the part that is wrong: "..", control characters, an
 * empty or over-long component, the root itself, a slice that is none.
 */
int cgroup_path_parse(const char *cgroups_path, const char *ns, const char *id,
	struct cgroup_path *ret_path, struct err *err);

void cgroup_path_done(struct cgroup_path *p);
