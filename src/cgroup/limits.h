/*
 * Resource limits: OCI linux.resources in plain numbers, and what they become in the files of v1
 * and v2. A limit whose controller this host does not have is no error: its name goes to a list,
 * and the caller says so in its log.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/err.h"
#include "cgroup/cgroup.h"

/* One number of linux.resources each; units and special values are the runtime-spec's. */
enum cgroup_limit {
	CGROUP_CPU_SHARES,         /* 2…262144; 0 means not set */
	CGROUP_CPU_QUOTA,          /* microseconds per period, -1: none, 0: not set */
	CGROUP_CPU_PERIOD,         /* microseconds, 0: not set */
	CGROUP_CPU_BURST,          /* microseconds */
	CGROUP_CPU_RT_RUNTIME,     /* microseconds; v1 only */
	CGROUP_CPU_RT_PERIOD,      /* microseconds; v1 only */
	CGROUP_CPU_IDLE,           /* 0 or 1 */
	CGROUP_MEMORY_LIMIT,       /* bytes, -1: none, 0: not set */
	CGROUP_MEMORY_SWAP,        /* bytes of memory + swap, -1: none, 0: not set */
	CGROUP_MEMORY_RESERVATION, /* bytes, -1: none */
	CGROUP_MEMORY_SWAPPINESS,  /* 0…100; v1 only */
	CGROUP_MEMORY_NO_OOM_KILL, /* 1: disableOOMKiller; v1 only */
	CGROUP_PIDS_LIMIT,         /* processes, <= 0: none */
	CGROUP_MEMORY_KERNEL_TCP,  /* bytes, -1: none; v1 only */
	CGROUP_BLKIO_WEIGHT,       /* 10…1000 */
	CGROUP_BLKIO_LEAF_WEIGHT,  /* 10…1000; v1 only, kernels with CFQ */
	_CGROUP_LIMIT_MAX
};

/* Limits of one block device each. */
enum cgroup_block {
	CGROUP_BLOCK_WEIGHT, /* 10…1000 */
	CGROUP_BLOCK_READ_BPS,
	CGROUP_BLOCK_WRITE_BPS,
	CGROUP_BLOCK_READ_IOPS,
	CGROUP_BLOCK_WRITE_IOPS,
	_CGROUP_BLOCK_MAX
};

struct cgroup_block_value {
	uint32_t major, minor;
	uint64_t value; /* a rate per second; 0 takes a limit away */
};

struct cgroup_block_list {
	const struct cgroup_block_value *v;
	size_t n;
};

/* What one RDMA device gives; -1: as much as it has. */
struct cgroup_rdma {
	const char *device; /* "mlx5_1" */
	int64_t handles, objects;
};

struct cgroup_hugetlb {
	const char *page_size; /* "2MB", "1GB" */
	uint64_t limit;        /* bytes */
};

/* linux.resources.unified: a file name of cgroup v2 and what to write there. */
struct cgroup_unified {
	const char *key, *value;
};

/* All pointers are borrowed from whoever fills the struct. */
struct cgroup_limits {
	uint32_t set; /* bit i: value[i] is given */
	int64_t value[_CGROUP_LIMIT_MAX];
	const char *cpus, *mems; /* cpuset lists, NULL: not given */
	const struct cgroup_hugetlb *hugetlb;
	size_t n_hugetlb;
	const struct cgroup_unified *unified;
	size_t n_unified;
	struct cgroup_block_list block[_CGROUP_BLOCK_MAX];
	const struct cgroup_rdma *rdma;
	size_t n_rdma;
	bool memory_kernel; /* memory.kernel is given: no kernel enforces it any more, it is noted
			     */
};

#define CGROUP_LIMITS_INIT \
	{                  \
		0          \
	}

static inline void cgroup_limits_set(struct cgroup_limits *l, enum cgroup_limit which, int64_t v)
{
	l->set |= 1U << (unsigned)which;
	l->value[which] = v;
}

static inline bool cgroup_limits_has(const struct cgroup_limits *l, enum cgroup_limit which)
{
	return l->set & (1U << (unsigned)which);
}

/*
 * Writes them, at the start of a workload and again while it runs; what is not set stays as it is.
 * Half of a pair is completed from the cgroup: on v2 a quota without a period, and memory+swap
 * without memory. Order is no matter of the caller's: where the kernel refuses one value beside
 * another's old one (v1: memory and memory+swap), it is tried again behind the others.
 *
 * Names of what this host cannot enforce ("memory.swap", "pids", "hugetlb.2MB", a unified key) are
 * appended to *notes, a strv of the caller's; NULL: not wanted. A value that the kernel refuses is
 * an error that names file and value; what was written before it stays. `unified` is cgroup v2's:
 * on a host with a v1 hierarchy every key is refused (ERR_PRECONDITION).
 */
int cgroup_limits_apply(const struct cgroup *cg, const struct cgroup_limits *limits, char ***notes,
	struct err *err);

/* 0, -ENOENT when `file` means nothing to the visitor (another file may stand in for it), or
 * -errno, which ends the visit. */
typedef int cgroup_limits_visit_fn(void *ctx, bool v2, const char *file, const char *value);

/* Tells each file and value that cgroup_limits_apply would write, and writes nothing. */
int cgroup_limits_visit(const struct cgroup *cg, const struct cgroup_limits *limits,
	cgroup_limits_visit_fn *fn, void *ctx, struct err *err);

/* cpu.shares (2…262144) as cpu.weight (1…10000): linear, as kubelet and runc before 1.3.2 do. 0 for
 * 0. */
uint64_t cgroup_weight_from_shares(uint64_t shares);
