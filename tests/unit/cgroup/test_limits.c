#include <errno.h>
#include "base/macro.h"
#include "cgroup/limits.h"
#include "fake.h"

static const char *const all_files[] = {
	"cpu.shares",
	"cpu.weight",
	"cpu.cfs_period_us",
	"cpu.cfs_quota_us",
	"cpu.max",
	"cpu.cfs_burst_us",
	"cpu.max.burst",
	"cpu.rt_period_us",
	"cpu.rt_runtime_us",
	"cpu.idle",
	"memory.limit_in_bytes",
	"memory.memsw.limit_in_bytes",
	"memory.soft_limit_in_bytes",
	"memory.swappiness",
	"memory.oom_control",
	"memory.max",
	"memory.swap.max",
	"memory.low",
	"memory.high",
	"pids.max",
	"blkio.weight",
	"blkio.leaf_weight",
	"blkio.weight_device",
	"blkio.throttle.read_bps_device",
	"blkio.throttle.write_bps_device",
	"blkio.throttle.read_iops_device",
	"blkio.throttle.write_iops_device",
	"memory.kmem.tcp.limit_in_bytes",
	"io.weight",
	"io.max",
	"rdma.max",
	"cpuset.cpus",
	"cpuset.mems",
	"hugetlb.2MB.max",
	"hugetlb.2MB.rsvd.max",
	"hugetlb.2MB.limit_in_bytes",
};

static const uint32_t all_controllers = (1U << _CGROUP_CONTROLLER_MAX) - 1;

static char dir[] = "/tmp/reaper-unit-limits-XXXXXX";

static void setup(void)
{
	cr_assert_not_null(mkdtemp(dir));
	for (size_t i = 0; i < ARRAY_LEN(all_files); i++)
		fake_file(dir, all_files[i], "");
}

static void teardown(void)
{
	fake_remove(dir);
}

TestSuite(cgroup_limits, .init = setup, .fini = teardown);

static const struct {
	enum cgroup_limit which;
	int64_t value;
	const char *v1_file, *v1, *v2_file, *v2;
} rows[] = {
	{CGROUP_CPU_SHARES, 1024, "cpu.shares", "1024", "cpu.weight", "39"},
	{CGROUP_CPU_SHARES, 2, "cpu.shares", "2", "cpu.weight", "1"},
	{CGROUP_CPU_SHARES, 262144, "cpu.shares", "262144", "cpu.weight", "10000"},
	{CGROUP_CPU_SHARES, 0, "cpu.shares", "", "cpu.weight", ""},
	{CGROUP_CPU_QUOTA, 50000, "cpu.cfs_quota_us", "50000", "cpu.max", "50000 100000"},
	{CGROUP_CPU_QUOTA, -1, "cpu.cfs_quota_us", "-1", "cpu.max", "max 100000"},
	{CGROUP_CPU_PERIOD, 20000, "cpu.cfs_period_us", "20000", "cpu.max", "max 20000"},
	{CGROUP_CPU_BURST, 1000, "cpu.cfs_burst_us", "1000", "cpu.max.burst", "1000"},
	{CGROUP_CPU_IDLE, 1, "cpu.idle", "1", "cpu.idle", "1"},
	{CGROUP_MEMORY_LIMIT, 1 << 20, "memory.limit_in_bytes", "1048576", "memory.max", "1048576"},
	{CGROUP_MEMORY_LIMIT, -1, "memory.memsw.limit_in_bytes", "-1", "memory.swap.max", "max"},
	{CGROUP_MEMORY_LIMIT, 0, "memory.limit_in_bytes", "", "memory.max", ""},
	{CGROUP_MEMORY_RESERVATION, 4096, "memory.soft_limit_in_bytes", "4096", "memory.low",
		"4096"},
	{CGROUP_PIDS_LIMIT, 12, "pids.max", "12", "pids.max", "12"},
	{CGROUP_PIDS_LIMIT, 0, "pids.max", "max", "pids.max", "max"},
	{CGROUP_PIDS_LIMIT, -1, "pids.max", "max", "pids.max", "max"},
	{CGROUP_BLKIO_WEIGHT, 1000, "blkio.weight", "1000", "io.weight", "10000"},
};

Test(cgroup_limits, each_number_has_its_file_and_form_in_v1_and_v2)
{
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		for (int v2 = 0; v2 <= 1; v2++) {
			struct cgroup cg = fake_cgroup(dir, all_controllers, v2);
			struct cgroup_limits l = CGROUP_LIMITS_INIT;
			const char *file = v2 ? rows[i].v2_file : rows[i].v1_file;
			_cleanup_strv_ char **notes = NULL;
			struct err err = ERR_INIT;

			fake_file(dir, file, "");
			cgroup_limits_set(&l, rows[i].which, rows[i].value);
			cr_assert_eq(cgroup_limits_apply(&cg, &l, &notes, &err), 0, "%s", err.text);
			cr_assert_eq(strv_len(notes), 0, "row %zu: %s", i, notes ? notes[0] : "");
			fake_expect(dir, file, v2 ? rows[i].v2 : rows[i].v1);
		}
	}
}

Test(cgroup_limits, quota_and_period_are_one_file_in_v2)
{
	struct cgroup cg = fake_cgroup(dir, all_controllers, true);
	struct cgroup_limits l = CGROUP_LIMITS_INIT;

	cgroup_limits_set(&l, CGROUP_CPU_QUOTA, 5000);
	cgroup_limits_set(&l, CGROUP_CPU_PERIOD, 10000);
	cr_assert_eq(cgroup_limits_apply(&cg, &l, NULL, NULL), 0);
	fake_expect(dir, "cpu.max", "5000 10000");
}

Test(cgroup_limits, swap_in_v2_is_what_goes_beyond_memory)
{
	struct cgroup cg = fake_cgroup(dir, all_controllers, true);
	struct cgroup_limits l = CGROUP_LIMITS_INIT;
	struct err err = ERR_INIT;

	cgroup_limits_set(&l, CGROUP_MEMORY_LIMIT, 1000);
	cgroup_limits_set(&l, CGROUP_MEMORY_SWAP, 1500);
	cr_assert_eq(cgroup_limits_apply(&cg, &l, NULL, NULL), 0);
	fake_expect(dir, "memory.swap.max", "500");
	fake_file(dir, "memory.swap.max", "");
	cgroup_limits_set(&l, CGROUP_MEMORY_SWAP, 1000);
	cr_assert_eq(cgroup_limits_apply(&cg, &l, NULL, NULL), 0);
	fake_expect(dir, "memory.swap.max", "0");
	cgroup_limits_set(&l, CGROUP_MEMORY_SWAP, 999);
	cr_assert_eq(cgroup_limits_apply(&cg, &l, NULL, &err), -EINVAL);
	cr_assert_not_null(strstr(err.text, "memory.swap"), "%s", err.text);
}

Test(cgroup_limits, a_missing_controller_is_named_and_no_error)
{
	static const char *const want[] = {
		"cpu.shares", "memory.limit", "pids", "cpuset.cpus", "hugetlb.2MB", "memory.high"};
	const struct cgroup_hugetlb huge = {"2MB", 0};
	const struct cgroup_unified unified = {"memory.high", "1"};
	struct cgroup cg = CGROUP_INIT;
	struct cgroup_limits l = CGROUP_LIMITS_INIT;
	_cleanup_strv_ char **notes = NULL;

	cgroup_limits_set(&l, CGROUP_CPU_SHARES, 10);
	cgroup_limits_set(&l, CGROUP_CPU_QUOTA, 0); /* says nothing, so nothing is missing */
	cgroup_limits_set(&l, CGROUP_MEMORY_LIMIT, -1);
	cgroup_limits_set(&l, CGROUP_PIDS_LIMIT, 10);
	l.cpus = "0";
	l.hugetlb = &huge;
	l.n_hugetlb = 1;
	l.unified = &unified;
	l.n_unified = 1;
	cr_assert_eq(cgroup_limits_apply(&cg, &l, &notes, NULL), 0);
	cr_assert_eq(strv_len(notes), ARRAY_LEN(want), "%zu", strv_len(notes));
	for (size_t i = 0; i < ARRAY_LEN(want); i++)
		cr_assert_str_eq(notes[i], want[i]);
}

Test(cgroup_limits, a_missing_file_is_named_too)
{
	struct cgroup cg = fake_cgroup(dir, all_controllers, false);
	struct cgroup_limits l = CGROUP_LIMITS_INIT;
	_cleanup_strv_ char **notes = NULL;
	_cleanup_free_ char *path = NULL;

	cr_assert_eq(str_printf(&path, "%s/memory.memsw.limit_in_bytes", dir), 0);
	cr_assert_eq(unlink(path), 0);
	cgroup_limits_set(&l, CGROUP_MEMORY_SWAP, 4096);
	cr_assert_eq(cgroup_limits_apply(&cg, &l, &notes, NULL), 0);
	cr_assert_eq(strv_len(notes), 1);
	cr_assert_str_eq(notes[0], "memory.swap");
}

Test(cgroup_limits, lists_hugepages_and_unified_keys_are_written)
{
	const struct cgroup_hugetlb huge = {"2MB", 4194304};
	const struct cgroup_unified unified[] = {{"memory.high", "77"}, {"memory.low", "5"}};
	struct cgroup cg = fake_cgroup(dir, all_controllers, true);
	struct cgroup_limits l = {.cpus = "0-1",
		.mems = "0",
		.hugetlb = &huge,
		.n_hugetlb = 1,
		.unified = unified,
		.n_unified = 2};
	struct err err = ERR_INIT;

	cr_assert_eq(cgroup_limits_apply(&cg, &l, NULL, &err), 0, "%s", err.text);
	fake_expect(dir, "cpuset.cpus", "0-1");
	fake_expect(dir, "cpuset.mems", "0");
	fake_expect(dir, "hugetlb.2MB.max", "4194304");
	fake_expect(dir, "hugetlb.2MB.rsvd.max", "4194304");
	fake_expect(dir, "memory.high", "77");
	fake_expect(dir, "memory.low", "5");
}

Test(cgroup_limits, names_that_are_no_file_of_a_controller_are_refused)
{
	static const char *const keys[] = {"", "x", "../x.y", "a/b.c", "cgroup.procs",
		"cgroup.kill", "cgroup.subtree_control", ".x"};
	static const char *const sizes[] = {
		"", "2", "MB", "2M", "2XB", "../B", "99999999MB", "2MBx"};
	struct cgroup cg = fake_cgroup(dir, all_controllers, true);

	for (size_t i = 0; i < ARRAY_LEN(keys); i++) {
		const struct cgroup_unified u = {keys[i], "1"};
		struct cgroup_limits l = {.unified = &u, .n_unified = 1};

		cr_assert_eq(cgroup_limits_apply(&cg, &l, NULL, NULL), -EINVAL, "%s", keys[i]);
	}
	for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
		const struct cgroup_hugetlb h = {sizes[i], 1};
		struct cgroup_limits l = {.hugetlb = &h, .n_hugetlb = 1};

		cr_assert_eq(cgroup_limits_apply(&cg, &l, NULL, NULL), -EINVAL, "%s", sizes[i]);
	}
}

Test(cgroup_limits, half_of_a_pair_is_completed_from_the_cgroup_in_v2)
{
	static const struct {
		enum cgroup_limit which;
		int64_t value;
		const char *file, *now, *want;
	} cases[] = {
		{CGROUP_CPU_QUOTA, 7000, "cpu.max", "max 20000", "7000 20000"},
		{CGROUP_CPU_QUOTA, -1, "cpu.max", "50 20000", "max 20000"},
		{CGROUP_CPU_PERIOD, 50000, "cpu.max", "5000 20000", "5000 50000"},
		{CGROUP_CPU_PERIOD, 50000, "cpu.max", "max 20000", "max 50000"},
	};
	struct cgroup cg = fake_cgroup(dir, all_controllers, true);
	struct cgroup_limits swap = CGROUP_LIMITS_INIT;
	struct err err = ERR_INIT;

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct cgroup_limits l = CGROUP_LIMITS_INIT;

		fake_file(dir, cases[i].file, cases[i].now);
		cgroup_limits_set(&l, cases[i].which, cases[i].value);
		cr_assert_eq(cgroup_limits_apply(&cg, &l, NULL, &err), 0, "%s", err.text);
		fake_expect(dir, cases[i].file, cases[i].want);
	}
	fake_file(dir, "memory.max", "1000\n");
	cgroup_limits_set(&swap, CGROUP_MEMORY_SWAP, 1500);
	cr_assert_eq(cgroup_limits_apply(&cg, &swap, NULL, &err), 0, "%s", err.text);
	fake_expect(dir, "memory.swap.max", "500");
	fake_file(dir, "memory.max", "max\n");
	cr_assert_eq(cgroup_limits_apply(&cg, &swap, NULL, &err), -EINVAL);
}

Test(cgroup_limits, an_idle_cgroup_gets_no_weight)
{
	struct cgroup cg = fake_cgroup(dir, all_controllers, true);
	struct cgroup_limits l = CGROUP_LIMITS_INIT;

	cgroup_limits_set(&l, CGROUP_CPU_SHARES, 1024);
	cgroup_limits_set(&l, CGROUP_CPU_IDLE, 1);
	cr_assert_eq(cgroup_limits_apply(&cg, &l, NULL, NULL), 0);
	fake_expect(dir, "cpu.weight", "");
	fake_expect(dir, "cpu.idle", "1");
	cgroup_limits_set(&l, CGROUP_CPU_IDLE, 0);
	cr_assert_eq(cgroup_limits_apply(&cg, &l, NULL, NULL), 0);
	fake_expect(dir, "cpu.weight", "39");
}

Test(cgroup_limits, block_devices_have_a_file_each_in_v1_and_a_word_each_in_v2)
{
	static const struct {
		enum cgroup_block which;
		uint64_t value;
		const char *v1_file, *v1, *v2_file, *v2;
	} cases[] = {
		{CGROUP_BLOCK_WEIGHT, 10, "blkio.weight_device", "8:16 10", "io.weight", "8:16 1"},
		{CGROUP_BLOCK_READ_BPS, 7, "blkio.throttle.read_bps_device", "8:16 7", "io.max",
			"8:16 rbps=7"},
		{CGROUP_BLOCK_WRITE_BPS, 0, "blkio.throttle.write_bps_device", "8:16 0", "io.max",
			"8:16 wbps=max"},
		{CGROUP_BLOCK_READ_IOPS, 9, "blkio.throttle.read_iops_device", "8:16 9", "io.max",
			"8:16 riops=9"},
		{CGROUP_BLOCK_WRITE_IOPS, 9, "blkio.throttle.write_iops_device", "8:16 9", "io.max",
			"8:16 wiops=9"},
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		const struct cgroup_block_value value = {8, 16, cases[i].value};

		for (int v2 = 0; v2 <= 1; v2++) {
			struct cgroup cg = fake_cgroup(dir, all_controllers, v2);
			struct cgroup_limits l = CGROUP_LIMITS_INIT;
			struct err err = ERR_INIT;

			l.block[cases[i].which] = (struct cgroup_block_list) {&value, 1};
			fake_file(dir, v2 ? cases[i].v2_file : cases[i].v1_file, "");
			cr_assert_eq(cgroup_limits_apply(&cg, &l, NULL, &err), 0, "%s", err.text);
			fake_expect(dir, v2 ? cases[i].v2_file : cases[i].v1_file,
				v2 ? cases[i].v2 : cases[i].v1);
		}
	}
}

Test(cgroup_limits, a_kernel_with_bfq_takes_weights_as_they_are)
{
	const struct cgroup_block_value value = {8, 0, 300};
	struct cgroup cg = fake_cgroup(dir, all_controllers, true);
	struct cgroup_limits l = CGROUP_LIMITS_INIT;

	fake_file(dir, "io.bfq.weight", "");
	cgroup_limits_set(&l, CGROUP_BLKIO_WEIGHT, 500);
	cr_assert_eq(cgroup_limits_apply(&cg, &l, NULL, NULL), 0);
	fake_expect(dir, "io.bfq.weight", "500");
	fake_expect(dir, "io.weight", "");
	l.block[CGROUP_BLOCK_WEIGHT] = (struct cgroup_block_list) {&value, 1};
	l.set = 0;
	cr_assert_eq(cgroup_limits_apply(&cg, &l, NULL, NULL), 0);
	fake_expect(dir, "io.bfq.weight", "8:0 300");
}

Test(cgroup_limits, rdma_is_one_line_for_each_device)
{
	const struct cgroup_rdma rdma = {"mlx5_1", 3, -1}, bad = {"a b", 1, 1};
	struct cgroup cg = fake_cgroup(dir, all_controllers, false);
	struct cgroup_limits l = {.rdma = &rdma, .n_rdma = 1};

	cr_assert_eq(cgroup_limits_apply(&cg, &l, NULL, NULL), 0);
	fake_expect(dir, "rdma.max", "mlx5_1 hca_handle=3 hca_object=max");
	l.rdma = &bad;
	cr_assert_eq(cgroup_limits_apply(&cg, &l, NULL, NULL), -EINVAL);
}

Test(cgroup_limits, unified_is_refused_by_name_where_a_v1_hierarchy_is)
{
	const struct cgroup_unified unified = {"memory.high", "1"};
	struct cgroup_limits l = {.unified = &unified, .n_unified = 1};
	struct cgroup cg = fake_cgroup(dir, all_controllers, false);
	_cleanup_strv_ char **notes = NULL;
	struct err err = ERR_INIT;

	for (int hybrid = 0; hybrid <= 1; hybrid++) {
		cg.n = (size_t)hybrid + 1;
		cg.dirs[1] = (struct cgroup_dir) {.path = dir, .keep = 1, .v2 = true};
		cr_assert_eq(cgroup_limits_apply(&cg, &l, &notes, &err), -EOPNOTSUPP);
		cr_assert_eq(err.kind, ERR_PRECONDITION);
		cr_assert_not_null(strstr(err.text, "\"memory.high\""), "%s", err.text);
	}
	cr_assert_eq(strv_len(notes), 0);
	fake_expect(dir, "memory.high", "");
}

Test(cgroup_limits, kernel_memory_is_noted_and_nothing_else)
{
	struct cgroup cg = fake_cgroup(dir, all_controllers, false);
	struct cgroup_limits l = {.memory_kernel = true};
	_cleanup_strv_ char **notes = NULL;

	cgroup_limits_set(&l, CGROUP_MEMORY_KERNEL_TCP, 4096);
	cr_assert_eq(cgroup_limits_apply(&cg, &l, &notes, NULL), 0);
	cr_assert_eq(strv_len(notes), 1);
	cr_assert_str_eq(notes[0], "memory.kernel");
	fake_expect(dir, "memory.kmem.tcp.limit_in_bytes", "4096");
}
