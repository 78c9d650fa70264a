/*
 * linux.resources of the runtime-spec as the plain structs of cgroup/: for the first process of a
 * container (reaper-runtime init) and for Update while it runs (the shim). Pure.
 */
#pragma once

#include "base/err.h"
#include "cgroup/limits.h"
#include "oci/spec.h"

/* `limits` points into the other members and into the oci_resources that it was made from. */
struct resources {
	struct cgroup_limits limits;
	struct cgroup_hugetlb *hugetlb;
	struct cgroup_unified *unified;
	struct cgroup_block_value *block[_CGROUP_BLOCK_MAX];
	struct cgroup_rdma *rdma;
};

#define RESOURCES_INIT           \
	{                        \
		.hugetlb = NULL, \
	}

/*
 * Everything but the device rules, which no Update changes. `res` must outlive the answer. What
 * contradicts itself is refused when it is written (cgroup_limits_apply). -ENOMEM.
 */
int resources_limits(const struct oci_resources *res, struct resources *ret, struct err *err);

/* NULL and twice are allowed. */
void resources_done(struct resources *r);
