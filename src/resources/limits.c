#include <errno.h>
#include <stdlib.h>
#include "resources/resources.h"

static void set_signed(struct cgroup_limits *l, enum cgroup_limit which, struct oci_i64 v)
{
	if (v.set)
		cgroup_limits_set(l, which, v.v);
}

static void set_unsigned(struct cgroup_limits *l, enum cgroup_limit which, struct oci_u64 v)
{
	if (v.set)
		cgroup_limits_set(l, which, v.v > INT64_MAX ? INT64_MAX : (int64_t)v.v);
}

static void fill_numbers(const struct oci_resources *r, struct cgroup_limits *l)
{
	set_unsigned(l, CGROUP_CPU_SHARES, r->cpu_shares);
	set_signed(l, CGROUP_CPU_QUOTA, r->cpu_quota);
	set_unsigned(l, CGROUP_CPU_PERIOD, r->cpu_period);
	set_unsigned(l, CGROUP_CPU_BURST, r->cpu_burst);
	set_signed(l, CGROUP_CPU_RT_RUNTIME, r->cpu_rt_runtime);
	set_unsigned(l, CGROUP_CPU_RT_PERIOD, r->cpu_rt_period);
	set_signed(l, CGROUP_CPU_IDLE, r->cpu_idle);
	set_signed(l, CGROUP_MEMORY_LIMIT, r->memory_limit);
	set_signed(l, CGROUP_MEMORY_SWAP, r->memory_swap);
	set_signed(l, CGROUP_MEMORY_RESERVATION, r->memory_reservation);
	set_unsigned(l, CGROUP_MEMORY_SWAPPINESS, r->memory_swappiness);
	if (r->memory_disable_oom_killer)
		cgroup_limits_set(l, CGROUP_MEMORY_NO_OOM_KILL, 1);
	set_signed(l, CGROUP_PIDS_LIMIT, r->pids_limit);
	set_signed(l, CGROUP_MEMORY_KERNEL_TCP, r->memory_kernel_tcp);
	l->memory_kernel = r->memory_kernel.set && r->memory_kernel.v > 0;
	set_unsigned(l, CGROUP_BLKIO_WEIGHT, r->blkio_weight);
	set_unsigned(l, CGROUP_BLKIO_LEAF_WEIGHT, r->blkio_leaf_weight);
	l->cpus = r->cpu_cpus;
	l->mems = r->cpu_mems;
}

static int fill_block(const struct oci_resources *r, struct resources *out)
{
	const struct oci_block_devices *lists[_CGROUP_BLOCK_MAX] = {
		[CGROUP_BLOCK_WEIGHT] = &r->blkio_weight_device,
		[CGROUP_BLOCK_READ_BPS] = &r->blkio_read_bps,
		[CGROUP_BLOCK_WRITE_BPS] = &r->blkio_write_bps,
		[CGROUP_BLOCK_READ_IOPS] = &r->blkio_read_iops,
		[CGROUP_BLOCK_WRITE_IOPS] = &r->blkio_write_iops,
	};

	for (size_t k = 0; k < _CGROUP_BLOCK_MAX; k++) {
		out->block[k] = calloc(lists[k]->n + 1, sizeof(*out->block[k]));
		if (!out->block[k])
			return -ENOMEM;
		for (size_t i = 0; i < lists[k]->n; i++)
			out->block[k][i] = (struct cgroup_block_value) {
				lists[k]->v[i].major, lists[k]->v[i].minor, lists[k]->v[i].value};
		out->limits.block[k] = (struct cgroup_block_list) {out->block[k], lists[k]->n};
	}
	return 0;
}

static int64_t count(struct oci_u64 n)
{
	return n.set ? (int64_t)n.v : -1; /* at most UINT32_MAX */
}

static int fill_lists(const struct oci_resources *r, struct resources *out)
{
	out->hugetlb = calloc(r->n_hugepages + 1, sizeof(*out->hugetlb));
	out->unified = calloc(r->n_unified + 1, sizeof(*out->unified));
	out->rdma = calloc(r->n_rdma + 1, sizeof(*out->rdma));
	if (!out->hugetlb || !out->unified || !out->rdma)
		return -ENOMEM;
	for (size_t i = 0; i < r->n_hugepages; i++)
		out->hugetlb[i] =
			(struct cgroup_hugetlb) {r->hugepages[i].page_size, r->hugepages[i].limit};
	for (size_t i = 0; i < r->n_unified; i++)
		out->unified[i] = (struct cgroup_unified) {r->unified[i].key, r->unified[i].value};
	for (size_t i = 0; i < r->n_rdma; i++)
		out->rdma[i] = (struct cgroup_rdma) {r->rdma[i].device,
			count(r->rdma[i].hca_handles), count(r->rdma[i].hca_objects)};
	out->limits.hugetlb = out->hugetlb;
	out->limits.n_hugetlb = r->n_hugepages;
	out->limits.unified = out->unified;
	out->limits.n_unified = r->n_unified;
	out->limits.rdma = out->rdma;
	out->limits.n_rdma = r->n_rdma;
	return 0;
}

int resources_limits(const struct oci_resources *res, struct resources *ret, struct err *err)
{
	struct resources out = RESOURCES_INIT;
	int r;

	fill_numbers(res, &out.limits);
	r = fill_lists(res, &out);
	if (r == 0)
		r = fill_block(res, &out);
	if (r < 0) {
		resources_done(&out);
		return err_sysf(err, -r, "linux.resources");
	}
	*ret = out;
	return 0;
}

void resources_done(struct resources *r)
{
	if (!r)
		return;
	free(r->hugetlb);
	free(r->unified);
	for (size_t k = 0; k < _CGROUP_BLOCK_MAX; k++)
		free(r->block[k]);
	free(r->rdma);
	*r = (struct resources)RESOURCES_INIT;
}
