/* The two Metrics messages: their field numbers, and what of which file becomes which field. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/buf.h"
#include "base/cleanup.h"
#include "proto/cgroups_v1.pb-c.h"
#include "proto/cgroups_v2.pb-c.h"
#include "stats/stats.h"
#include "unit/cgroup/fake.h"

static char dir[64];
static struct cgroup cg;
static struct stats stats;

static void set_up(void)
{
	(void)snprintf(dir, sizeof(dir), "/tmp/reaper-stats-XXXXXX");
	cr_assert(mkdtemp(dir));
}

static void tear_down(void)
{
	free(stats.data);
	stats.data = NULL;
	fake_remove(dir);
}

#define FAKE .init = set_up, .fini = tear_down

/* "name=number …" of every field that a message has, and of the messages in it. */
static void list_fields(const ProtobufCMessageDescriptor *d, struct buf *out)
{
	for (unsigned i = 0; i < d->n_fields; i++) {
		const ProtobufCFieldDescriptor *f = &d->fields[i];

		cr_assert_eq(buf_printf(out, "%s=%u", f->name, f->id), 0);
		if (f->type == PROTOBUF_C_TYPE_MESSAGE) {
			cr_assert_eq(buf_append_str(out, "("), 0);
			list_fields(f->descriptor, out);
			cr_assert_eq(buf_append_str(out, ")"), 0);
		}
		cr_assert_eq(buf_append_str(out, i + 1 < d->n_fields ? " " : ""), 0);
	}
}

static void expect_fields(const ProtobufCMessageDescriptor *d, const char *name, const char *want)
{
	struct buf out = BUF_INIT(16384);

	list_fields(d, &out);
	cr_expect_str_eq(out.data, want, "%s:\n%s", name, out.data);
	cr_expect_str_eq(d->name, name);
	buf_done(&out);
}

#define PSI_DATA "avg10=1 avg60=2 avg300=3 total=4"
#define PSI      "some=1(" PSI_DATA ") full=2(" PSI_DATA ")"
#define RDMA     "device=1 hca_handles=2 hca_objects=3"
#define NETWORK                                                                            \
	"name=1 rx_bytes=2 rx_packets=3 rx_errors=4 rx_dropped=5 tx_bytes=6 tx_packets=7 " \
	"tx_errors=8 tx_dropped=9"
#define ENTRY "limit=1 usage=2 max=3 failcnt=4"
#define BLKIO "op=1 device=2 major=3 minor=4 value=5"

/* A wrong number is a wrong meter: kubelet would evict by it. From the field tables of containerd's
 * contract. */
Test(stats, has_the_field_numbers_that_clients_read)
{
	expect_fields(&io__containerd__cgroups__v2__metrics__descriptor,
		"io.containerd.cgroups.v2.Metrics",
		"pids=1(current=1 limit=2) cpu=2(usage_usec=1 user_usec=2 system_usec=3 "
		"nr_periods=4 nr_throttled=5 throttled_usec=6 psi=7(" PSI ") nr_bursts=8 "
		"burst_usec=9) memory=4(anon=1 file=2 kernel_stack=3 slab=4 sock=5 shmem=6 "
		"file_mapped=7 file_dirty=8 file_writeback=9 anon_thp=10 inactive_anon=11 "
		"active_anon=12 inactive_file=13 active_file=14 unevictable=15 slab_reclaimable=16 "
		"slab_unreclaimable=17 pgfault=18 pgmajfault=19 workingset_refault=20 "
		"workingset_activate=21 workingset_nodereclaim=22 pgrefill=23 pgscan=24 pgsteal=25 "
		"pgactivate=26 pgdeactivate=27 pglazyfree=28 pglazyfreed=29 thp_fault_alloc=30 "
		"thp_collapse_alloc=31 usage=32 usage_limit=33 swap_usage=34 swap_limit=35 "
		"max_usage=36 swap_max_usage=37 psi=38(" PSI ") workingset_refault_anon=39 "
		"workingset_refault_file=40 workingset_activate_anon=41 "
		"workingset_activate_file=42) rdma=5(current=1(" RDMA ") limit=2(" RDMA ")) "
		"io=6(usage=1(major=1 minor=2 rbytes=3 wbytes=4 rios=5 wios=6) psi=2(" PSI ")) "
		"hugetlb=7(current=1 max=2 pagesize=3 failcnt=4) memory_events=8(low=1 high=2 "
		"max=3 "
		"oom=4 oom_kill=5 oom_group_kill=6) network=9(" NETWORK ")");
	expect_fields(&io__containerd__cgroups__v1__metrics__descriptor,
		"io.containerd.cgroups.v1.Metrics",
		"hugetlb=1(usage=1 max=2 failcnt=3 pagesize=4) pids=2(current=1 limit=2) "
		"cpu=3(usage=1(total=1 kernel=2 user=3 per_cpu=4) throttling=2(periods=1 "
		"throttled_periods=2 throttled_time=3)) memory=4(cache=1 rss=2 rss_huge=3 "
		"mapped_file=4 dirty=5 writeback=6 pg_pg_in=7 pg_pg_out=8 pg_fault=9 "
		"pg_maj_fault=10 inactive_anon=11 active_anon=12 inactive_file=13 active_file=14 "
		"unevictable=15 hierarchical_memory_limit=16 hierarchical_swap_limit=17 "
		"total_cache=18 total_rss=19 total_rss_huge=20 total_mapped_file=21 total_dirty=22 "
		"total_writeback=23 total_pg_pg_in=24 total_pg_pg_out=25 total_pg_fault=26 "
		"total_pg_maj_fault=27 total_inactive_anon=28 total_active_anon=29 "
		"total_inactive_file=30 total_active_file=31 total_unevictable=32 usage=33(" ENTRY
		") swap=34(" ENTRY ") kernel=35(" ENTRY ") kernel_tcp=36(" ENTRY ")) "
		"blkio=5(io_service_bytes_recursive=1(" BLKIO ") io_serviced_recursive=2(" BLKIO
		") io_queued_recursive=3(" BLKIO ") io_service_time_recursive=4(" BLKIO
		") io_wait_time_recursive=5(" BLKIO ") io_merged_recursive=6(" BLKIO
		") io_time_recursive=7(" BLKIO ") sectors_recursive=8(" BLKIO ")) "
		"rdma=6(current=1(" RDMA ") limit=2(" RDMA ")) network=7(" NETWORK ") "
		"cgroup_stats=8(nr_sleeping=1 nr_running=2 nr_stopped=3 nr_uninterruptible=4 "
		"nr_io_wait=5) memory_oom_control=9(oom_kill_disable=1 under_oom=2 oom_kill=3)");
}

static void collect(uint32_t controllers, bool v2)
{
	struct err err = ERR_INIT;

	cg = fake_cgroup(dir, controllers, v2);
	cr_assert_eq(stats_collect(&cg, v2 ? CGROUP_MODE_V2 : CGROUP_MODE_HYBRID, &stats, &err), 0,
		"%s", err.text);
}

static void write_v2_files(void)
{
	fake_file(dir, "pids.current", "3\n");
	fake_file(dir, "pids.max", "max\n");
	fake_file(dir, "cpu.stat",
		"usage_usec 100\nuser_usec 60\nsystem_usec 40\nnr_periods 7\nnr_throttled 2\n"
		"throttled_usec 11\nnr_bursts 1\nburst_usec 5\n");
	fake_file(dir, "cpu.pressure",
		"some avg10=1.50 avg60=0.25 avg300=0.00 total=1234\n"
		"full avg10=0.00 avg60=0.00 avg300=0.00 total=9\n");
	fake_file(dir, "memory.stat",
		"anon 11\nfile 12\ninactive_file 13\npgfault 14\npgmajfault 15\n"
		"workingset_refault_anon 3\nworkingset_refault_file 4\n");
	fake_file(dir, "memory.current", "4096\n");
	fake_file(dir, "memory.max", "max\n");
	fake_file(dir, "memory.peak", "8192\n");
	fake_file(dir, "memory.swap.current", "1\n");
	fake_file(dir, "memory.swap.max", "2\n");
	fake_file(dir, "memory.events", "low 1\nhigh 2\nmax 3\noom 4\noom_kill 5\n");
	fake_file(dir, "io.stat", "8:0 rbytes=1 wbytes=2 rios=3 wios=4 dbytes=0 dios=0\n259:1 \n");
	fake_file(dir, "io.pressure", "some avg10=0.00 avg60=0.00 avg300=0.00 total=8\n");
	fake_file(dir, "rdma.current", "mlx5_0 hca_handle=2 hca_object=2000\n");
	fake_file(dir, "rdma.max", "mlx5_0 hca_handle=max hca_object=3000\n");
	fake_file(dir, "hugetlb.2MB.current", "21\n");
	fake_file(dir, "hugetlb.2MB.max", "22\n");
	fake_file(dir, "hugetlb.2MB.events", "max 23\n");
	fake_file(dir, "hugetlb.2MB.rsvd.current", "99\n");
}

static const uint32_t v2_controllers = CGROUP_BIT(CGROUP_PIDS) | CGROUP_BIT(CGROUP_MEMORY) |
				       CGROUP_BIT(CGROUP_CPU) | CGROUP_BIT(CGROUP_IO) |
				       CGROUP_BIT(CGROUP_RDMA) | CGROUP_BIT(CGROUP_HUGETLB);

Test(stats, of_v2_are_the_numbers_of_its_files, FAKE)
{
	Io__Containerd__Cgroups__V2__Metrics *m;

	write_v2_files();
	collect(v2_controllers, true);
	cr_assert_str_eq(stats.type_url, "io.containerd.cgroups.v2.Metrics");
	m = io__containerd__cgroups__v2__metrics__unpack(NULL, stats.len, stats.data);
	cr_assert(m);
	cr_expect(m->pids->current == 3 && m->pids->limit == UINT64_MAX);
	cr_expect(m->cpu->usage_usec == 100 && m->cpu->user_usec == 60);
	cr_expect(m->cpu->system_usec == 40 && m->cpu->nr_periods == 7);
	cr_expect(m->cpu->nr_throttled == 2 && m->cpu->throttled_usec == 11);
	cr_expect(m->cpu->nr_bursts == 1 && m->cpu->burst_usec == 5);
	cr_expect(m->cpu->psi->some->avg10 > 1.49 && m->cpu->psi->some->avg10 < 1.51);
	cr_expect(m->cpu->psi->some->total == 1234 && m->cpu->psi->full->total == 9);
	cr_expect(m->memory->anon == 11 && m->memory->file == 12);
	cr_expect(m->memory->inactive_file == 13 && m->memory->pgfault == 14);
	cr_expect(m->memory->pgmajfault == 15 && m->memory->workingset_refault == 7);
	cr_expect(m->memory->usage == 4096 && m->memory->usage_limit == UINT64_MAX);
	cr_expect(m->memory->max_usage == 8192 && m->memory->swap_usage == 1);
	cr_expect(m->memory->swap_limit == 2 && !m->memory->psi);
	cr_expect(m->memory_events->oom == 4 && m->memory_events->oom_kill == 5);
	cr_assert_eq(m->io->n_usage, 2);
	cr_expect(m->io->usage[0]->major == 8 && m->io->usage[0]->wios == 4);
	cr_expect(m->io->usage[1]->major == 259 && m->io->usage[1]->rbytes == 0);
	cr_expect(m->io->psi->some->total == 8 && !m->io->psi->full);
	cr_assert(m->rdma->n_current == 1 && m->rdma->n_limit == 1);
	cr_expect_str_eq(m->rdma->current[0]->device, "mlx5_0");
	cr_expect(m->rdma->current[0]->hca_objects == 2000);
	cr_expect(m->rdma->limit[0]->hca_handles == UINT32_MAX);
	cr_assert_eq(m->n_hugetlb, 1, "the reserved ones are none of their own");
	cr_expect_str_eq(m->hugetlb[0]->pagesize, "2MB");
	cr_expect(m->hugetlb[0]->current == 21 && m->hugetlb[0]->max == 22);
	cr_expect(m->hugetlb[0]->failcnt == 23);
	io__containerd__cgroups__v2__metrics__free_unpacked(m, NULL);
}

/* A "KEY NUMBER" line with a number of its own for each of the keys, in `file`. */
static void write_keys(const char *file, const char *const *keys, size_t n)
{
	struct buf text = BUF_INIT(16384);

	for (size_t i = 0; i < n; i++)
		cr_assert_eq(buf_printf(&text, "%s %zu\n", keys[i], 1000 + i), 0);
	fake_file(dir, file, text.data);
	buf_done(&text);
}

/* The value of a number by the name that the message's definition has for it. */
static uint64_t number_of(const ProtobufCMessage *m, const char *name)
{
	const ProtobufCFieldDescriptor *f =
		protobuf_c_message_descriptor_get_field_by_name(m->descriptor, name);
	uint64_t v;

	cr_assert(f && f->type == PROTOBUF_C_TYPE_UINT64, "%s", name);
	memcpy(&v, (const char *)m + f->offset, sizeof(v));
	return v;
}

/* Each key of memory.stat is the field of its name. */
Test(stats, of_v2_have_every_key_in_the_field_of_its_name, FAKE)
{
	static const char *const keys[] = {"anon", "file", "kernel_stack", "slab", "sock", "shmem",
		"file_mapped", "file_dirty", "file_writeback", "anon_thp", "inactive_anon",
		"active_anon", "inactive_file", "active_file", "unevictable", "slab_reclaimable",
		"slab_unreclaimable", "pgfault", "pgmajfault", "workingset_refault",
		"workingset_activate", "workingset_nodereclaim", "pgrefill", "pgscan", "pgsteal",
		"pgactivate", "pgdeactivate", "pglazyfree", "pglazyfreed", "thp_fault_alloc",
		"thp_collapse_alloc", "workingset_refault_anon", "workingset_refault_file",
		"workingset_activate_anon", "workingset_activate_file"};
	static const char *const events[] = {
		"low", "high", "max", "oom", "oom_kill", "oom_group_kill"};
	Io__Containerd__Cgroups__V2__Metrics *m;

	write_keys("memory.stat", keys, ARRAY_LEN(keys));
	write_keys("memory.events", events, ARRAY_LEN(events));
	collect(v2_controllers, true);
	m = io__containerd__cgroups__v2__metrics__unpack(NULL, stats.len, stats.data);
	cr_assert(m && m->memory && m->memory_events);
	for (size_t i = 0; i < ARRAY_LEN(keys); i++)
		cr_expect_eq(number_of(&m->memory->base, keys[i]), 1000 + i, "%s", keys[i]);
	for (size_t i = 0; i < ARRAY_LEN(events); i++)
		cr_expect_eq(
			number_of(&m->memory_events->base, events[i]), 1000 + i, "%s", events[i]);
	io__containerd__cgroups__v2__metrics__free_unpacked(m, NULL);
}

Test(stats, of_v1_have_every_key_in_its_field, FAKE)
{
	static const char *const keys[] = {"cache", "rss", "rss_huge", "mapped_file", "dirty",
		"writeback", "pgpgin", "pgpgout", "pgfault", "pgmajfault", "inactive_anon",
		"active_anon", "inactive_file", "active_file", "unevictable",
		"hierarchical_memory_limit", "hierarchical_memsw_limit", "total_cache", "total_rss",
		"total_rss_huge", "total_mapped_file", "total_dirty", "total_writeback",
		"total_pgpgin", "total_pgpgout", "total_pgfault", "total_pgmajfault",
		"total_inactive_anon", "total_active_anon", "total_inactive_file",
		"total_active_file", "total_unevictable"};
	Io__Containerd__Cgroups__V1__Metrics *m;

	write_keys("memory.stat", keys, ARRAY_LEN(keys));
	collect(CGROUP_BIT(CGROUP_MEMORY), false);
	m = io__containerd__cgroups__v1__metrics__unpack(NULL, stats.len, stats.data);
	cr_assert(m && m->memory);
	/* the kernel's order is that of the fields, which are numbered from 1 on */
	for (size_t i = 0; i < ARRAY_LEN(keys); i++) {
		const ProtobufCFieldDescriptor *f = protobuf_c_message_descriptor_get_field(
			m->memory->base.descriptor, (unsigned)i + 1);

		cr_assert(f);
		cr_expect_eq(number_of(&m->memory->base, f->name), 1000 + i, "%s", keys[i]);
	}
	io__containerd__cgroups__v1__metrics__free_unpacked(m, NULL);
}

/* Zeros would be believed. */
Test(stats, leave_out_what_nobody_counts, FAKE)
{
	Io__Containerd__Cgroups__V2__Metrics *m;

	write_v2_files();
	collect(0, true);
	m = io__containerd__cgroups__v2__metrics__unpack(NULL, stats.len, stats.data);
	cr_assert(m);
	cr_expect(m->cpu, "time is counted without a controller, too");
	cr_expect(!m->memory && !m->memory_events && !m->pids && !m->io && !m->rdma);
	cr_expect_eq(m->n_hugetlb, 0);
	io__containerd__cgroups__v2__metrics__free_unpacked(m, NULL);
}

static void write_v1_files(void)
{
	fake_file(dir, "pids.current", "3\n");
	fake_file(dir, "pids.max", "40\n");
	fake_file(dir, "cpuacct.usage", "5000000000\n");
	fake_file(dir, "cpuacct.stat", "user 300\nsystem 200\n");
	fake_file(dir, "cpuacct.usage_percpu", "10 20 30 \n");
	fake_file(dir, "cpu.stat", "nr_periods 1\nnr_throttled 2\nthrottled_time 3\n");
	fake_file(dir, "memory.stat",
		"rss 1\npgfault 2\nhierarchical_memory_limit 3\ntotal_rss 4\n"
		"total_inactive_file 5\ntotal_pgmajfault 6\ntotal_unevictable 7\n");
	fake_file(dir, "memory.usage_in_bytes", "11\n");
	fake_file(dir, "memory.limit_in_bytes", "12\n");
	fake_file(dir, "memory.max_usage_in_bytes", "13\n");
	fake_file(dir, "memory.failcnt", "14\n");
	fake_file(dir, "memory.kmem.usage_in_bytes", "15\n");
	fake_file(dir, "memory.oom_control", "oom_kill_disable 0\nunder_oom 1\noom_kill 9\n");
	fake_file(dir, "blkio.bfq.io_serviced_recursive", "Total 0\n");
	fake_file(
		dir, "blkio.throttle.io_serviced_recursive", "8:0 Read 3\n8:0 Total 3\nTotal 3\n");
	fake_file(dir, "blkio.time_recursive", "8:16 44\n");
	fake_file(dir, "hugetlb.2MB.usage_in_bytes", "21\n");
	fake_file(dir, "hugetlb.2MB.max_usage_in_bytes", "22\n");
	fake_file(dir, "hugetlb.2MB.failcnt", "23\n");
}

Test(stats, of_v1_are_the_numbers_of_its_files, FAKE)
{
	Io__Containerd__Cgroups__V1__Metrics *m;

	write_v1_files();
	collect(CGROUP_BIT(CGROUP_PIDS) | CGROUP_BIT(CGROUP_MEMORY) | CGROUP_BIT(CGROUP_CPU) |
			CGROUP_BIT(CGROUP_CPUACCT) | CGROUP_BIT(CGROUP_BLKIO) |
			CGROUP_BIT(CGROUP_HUGETLB),
		false);
	cr_assert_str_eq(stats.type_url, "io.containerd.cgroups.v1.Metrics");
	m = io__containerd__cgroups__v1__metrics__unpack(NULL, stats.len, stats.data);
	cr_assert(m);
	cr_expect(m->pids->current == 3 && m->pids->limit == 40);
	cr_expect(m->cpu->usage->total == 5000000000);
	cr_expect(m->cpu->usage->user == 3000000000 && m->cpu->usage->kernel == 2000000000);
	cr_assert_eq(m->cpu->usage->n_per_cpu, 3);
	cr_expect(m->cpu->usage->per_cpu[2] == 30);
	cr_expect(m->cpu->throttling->periods == 1 && m->cpu->throttling->throttled_time == 3);
	cr_expect(m->memory->rss == 1 && m->memory->pg_fault == 2);
	cr_expect(m->memory->hierarchical_memory_limit == 3 && m->memory->total_rss == 4);
	cr_expect(m->memory->total_inactive_file == 5 && m->memory->total_pg_maj_fault == 6);
	cr_expect(m->memory->total_unevictable == 7);
	cr_expect(m->memory->usage->usage == 11 && m->memory->usage->limit == 12);
	cr_expect(m->memory->usage->max == 13 && m->memory->usage->failcnt == 14);
	cr_expect(m->memory->kernel->usage == 15 && !m->memory->swap && !m->memory->kernel_tcp);
	cr_expect(m->memory_oom_control->under_oom == 1 && m->memory_oom_control->oom_kill == 9);
	cr_assert_eq(m->blkio->n_io_serviced_recursive, 2);
	cr_expect_str_eq(m->blkio->io_serviced_recursive[0]->op, "Read");
	cr_expect(m->blkio->io_serviced_recursive[0]->value == 3);
	cr_assert_eq(m->blkio->n_io_time_recursive, 1);
	cr_expect(m->blkio->io_time_recursive[0]->minor == 16);
	cr_expect(m->blkio->io_time_recursive[0]->value == 44);
	cr_assert_eq(m->n_hugetlb, 1);
	cr_expect(m->hugetlb[0]->usage == 21 && m->hugetlb[0]->max == 22);
	cr_expect(m->hugetlb[0]->failcnt == 23);
	io__containerd__cgroups__v1__metrics__free_unpacked(m, NULL);
}
