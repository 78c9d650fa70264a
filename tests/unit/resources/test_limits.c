#include <criterion/criterion.h>
#include <string.h>
#include "resources/resources.h"

static const char text[] =
	"{\"cpu\":{\"shares\":512,\"quota\":-1,\"period\":100000,\"cpus\":\"0\",\"idle\":1},"
	"\"memory\":{\"limit\":4096,\"swap\":8192,\"kernel\":77,\"kernelTCP\":88},"
	"\"pids\":{\"limit\":9},"
	"\"blockIO\":{\"weight\":100,\"leafWeight\":50,"
	"\"weightDevice\":[{\"major\":8,\"minor\":0,\"weight\":10}],"
	"\"throttleReadBpsDevice\":[{\"major\":8,\"minor\":1,\"rate\":1}],"
	"\"throttleWriteBpsDevice\":[{\"major\":8,\"minor\":2,\"rate\":2}],"
	"\"throttleReadIOPSDevice\":[{\"major\":8,\"minor\":3,\"rate\":3}],"
	"\"throttleWriteIOPSDevice\":[{\"major\":8,\"minor\":4,\"rate\":4}]},"
	"\"hugepageLimits\":[{\"pageSize\":\"2MB\",\"limit\":5}],"
	"\"rdma\":{\"mlx5_1\":{\"hcaHandles\":3}},"
	"\"unified\":{\"memory.high\":\"max\"}}";

static int64_t value(const struct cgroup_limits *l, enum cgroup_limit which)
{
	cr_assert(cgroup_limits_has(l, which), "limit %d is not set", which);
	return l->value[which];
}

static void parse(struct oci_resources *res, struct resources *r)
{
	struct err err = ERR_INIT;

	cr_assert_eq(oci_resources_parse(text, strlen(text), res, &err), 0, "%s", err.text);
	cr_assert_eq(resources_limits(res, r, &err), 0, "%s", err.text);
}

Test(resources, numbers_arrive_and_nothing_else_is_set)
{
	struct oci_resources res = OCI_RESOURCES_INIT;
	struct resources r = RESOURCES_INIT;
	const struct cgroup_limits *l = &r.limits;

	parse(&res, &r);
	cr_assert_eq(value(l, CGROUP_CPU_SHARES), 512);
	cr_assert_eq(value(l, CGROUP_CPU_QUOTA), -1);
	cr_assert_eq(value(l, CGROUP_CPU_PERIOD), 100000);
	cr_assert_eq(value(l, CGROUP_CPU_IDLE), 1);
	cr_assert_eq(value(l, CGROUP_MEMORY_LIMIT), 4096);
	cr_assert_eq(value(l, CGROUP_MEMORY_SWAP), 8192);
	cr_assert_eq(value(l, CGROUP_MEMORY_KERNEL_TCP), 88);
	cr_assert_eq(value(l, CGROUP_PIDS_LIMIT), 9);
	cr_assert_eq(value(l, CGROUP_BLKIO_WEIGHT), 100);
	cr_assert_eq(value(l, CGROUP_BLKIO_LEAF_WEIGHT), 50);
	cr_assert_eq(__builtin_popcount(l->set), 10);
	cr_assert(l->memory_kernel);
	cr_assert_str_eq(l->cpus, "0");
	cr_assert_null(l->mems);
	resources_done(&r);
	oci_resources_done(&res);
}

Test(resources, lists_arrive_each_in_its_place)
{
	struct oci_resources res = OCI_RESOURCES_INIT;
	struct resources r = RESOURCES_INIT;
	const struct cgroup_limits *l = &r.limits;

	parse(&res, &r);
	for (uint32_t k = 0; k < _CGROUP_BLOCK_MAX; k++) {
		cr_assert_eq(l->block[k].n, 1);
		cr_assert_eq(l->block[k].v[0].major, 8);
		cr_assert_eq(l->block[k].v[0].minor, k);
		cr_assert_eq(l->block[k].v[0].value, k == 0 ? 10 : k);
	}
	cr_assert_eq(l->n_hugetlb, 1);
	cr_assert_str_eq(l->hugetlb[0].page_size, "2MB");
	cr_assert_eq(l->hugetlb[0].limit, 5);
	cr_assert_eq(l->n_rdma, 1);
	cr_assert_str_eq(l->rdma[0].device, "mlx5_1");
	cr_assert_eq(l->rdma[0].handles, 3);
	cr_assert_eq(l->rdma[0].objects, -1);
	cr_assert_eq(l->n_unified, 1);
	cr_assert_str_eq(l->unified[0].key, "memory.high");
	resources_done(&r);
	oci_resources_done(&res);
}
