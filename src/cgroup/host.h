/*
 * Which cgroup hierarchies this process sees, and where they are mounted. Everything that follows
 * is computed from this struct, so a test can hand in a tree of its own.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/err.h"

/* Controllers that Reaper knows, named as the kernel names them. */
#define CGROUP_CONTROLLERS(X)       \
	X(CPU, "cpu")               \
	X(CPUACCT, "cpuacct")       \
	X(CPUSET, "cpuset")         \
	X(MEMORY, "memory")         \
	X(DEVICES, "devices")       \
	X(FREEZER, "freezer")       \
	X(BLKIO, "blkio")           \
	X(IO, "io")                 \
	X(PIDS, "pids")             \
	X(HUGETLB, "hugetlb")       \
	X(NET_CLS, "net_cls")       \
	X(NET_PRIO, "net_prio")     \
	X(PERF_EVENT, "perf_event") \
	X(RDMA, "rdma")             \
	X(MISC, "misc")

enum cgroup_controller {
#define X(id, name) CGROUP_##id,
	CGROUP_CONTROLLERS(X)
#undef X
		_CGROUP_CONTROLLER_MAX
};

#define CGROUP_BIT(controller) (1U << (unsigned)(controller))

/* The kernel's name. */
const char *cgroup_controller_name(enum cgroup_controller c);

/* The bit of a name (not NUL-terminated, `len` bytes); 0 for one that is not in the list. */
uint32_t cgroup_controller_bit(const char *name, size_t len);

enum cgroup_mode {
	CGROUP_MODE_NONE,   /* nothing is mounted */
	CGROUP_MODE_V1,     /* v1 hierarchies only */
	CGROUP_MODE_HYBRID, /* v1 controllers, and a cgroup2 beside them for tracking */
	CGROUP_MODE_V2,     /* one cgroup2 */
};

enum { CGROUP_HIERARCHY_MAX = 16 };

/* One hierarchy. */
struct cgroup_hierarchy {
	char *root;           /* its mount point: "/sys/fs/cgroup/memory" */
	uint32_t controllers; /* v1: what is mounted there; v2: the root's cgroup.controllers */
	bool v2;
};

/* v1 hierarchies first, in the order of mountinfo, then cgroup2 (at most one). */
struct cgroup_host {
	enum cgroup_mode mode;
	struct cgroup_hierarchy hierarchies[CGROUP_HIERARCHY_MAX];
	size_t n;
};

#define CGROUP_HOST_INIT \
	{                \
		0        \
	}

/*
 * Reads the text of a mountinfo file (proc(5)). A hierarchy mounted several times counts once: the
 * place below /sys/fs/cgroup, else the shortest; a mount that a later one covers does not count.
 * The root field of the mount is not looked at: a cgroupsPath is absolute below the mount point as
 * containerd sees it (a containerd in a container of its own has its container's cgroup there). v2
 * `controllers` stay 0 here. -ENOMEM, ERR_INVALID for text that is no mountinfo.
 */
int cgroup_host_parse(const char *mountinfo, struct cgroup_host *ret_host, struct err *err);

/*
 * cgroup_host_parse of /proc/self/mountinfo, plus the controllers of cgroup2. No hierarchy at all
 * is no error: mode NONE.
 */
int cgroup_host_detect(struct cgroup_host *ret_host, struct err *err);

void cgroup_host_done(struct cgroup_host *host);

/* "none", "v1", "hybrid", "v2": for messages and records. */
const char *cgroup_mode_name(enum cgroup_mode mode);
