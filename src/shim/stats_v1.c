/* io.containerd.cgroups.v1.Metrics from the files of v1 directories. */
#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "base/cleanup.h"
#include "base/macro.h"
#include "base/str.h"
#include "proto/cgroups_v1.pb-c.h"
#include "shim/stats_impl.h"

typedef Io__Containerd__Cgroups__V1__Metrics metrics;
typedef Io__Containerd__Cgroups__V1__CPUUsage cpu_usage;
typedef Io__Containerd__Cgroups__V1__Throttle throttle;
typedef Io__Containerd__Cgroups__V1__MemoryStat memory_stat;
typedef Io__Containerd__Cgroups__V1__MemoryEntry memory_entry;
typedef Io__Containerd__Cgroups__V1__MemoryOomControl oom_control;
typedef Io__Containerd__Cgroups__V1__BlkIOStat blkio_stat;
typedef Io__Containerd__Cgroups__V1__BlkIOEntry blkio_entry;
typedef Io__Containerd__Cgroups__V1__RdmaStat rdma_stat;
typedef Io__Containerd__Cgroups__V1__RdmaEntry rdma_entry;
typedef Io__Containerd__Cgroups__V1__HugetlbStat hugetlb_stat;

#define NEW(name) stats_new(&io__containerd__cgroups__v1__##name##__descriptor)
#define ADD(array, n, name) \
	stats_add((void *)&(array), &(n), &io__containerd__cgroups__v1__##name##__descriptor)

enum { NSEC_PER_SEC = 1000000000, CPUS_MAX = 8192 };

static const struct stats_field throttle_fields[] = {
	{"nr_periods", offsetof(throttle, periods)},
	{"nr_throttled", offsetof(throttle, throttled_periods)},
	{"throttled_time", offsetof(throttle, throttled_time)},
};

static const struct stats_field memory_fields[] = {
	{"cache", offsetof(memory_stat, cache)},
	{"rss", offsetof(memory_stat, rss)},
	{"rss_huge", offsetof(memory_stat, rss_huge)},
	{"mapped_file", offsetof(memory_stat, mapped_file)},
	{"dirty", offsetof(memory_stat, dirty)},
	{"writeback", offsetof(memory_stat, writeback)},
	{"pgpgin", offsetof(memory_stat, pg_pg_in)},
	{"pgpgout", offsetof(memory_stat, pg_pg_out)},
	{"pgfault", offsetof(memory_stat, pg_fault)},
	{"pgmajfault", offsetof(memory_stat, pg_maj_fault)},
	{"inactive_anon", offsetof(memory_stat, inactive_anon)},
	{"active_anon", offsetof(memory_stat, active_anon)},
	{"inactive_file", offsetof(memory_stat, inactive_file)},
	{"active_file", offsetof(memory_stat, active_file)},
	{"unevictable", offsetof(memory_stat, unevictable)},
	{"hierarchical_memory_limit", offsetof(memory_stat, hierarchical_memory_limit)},
	{"hierarchical_memsw_limit", offsetof(memory_stat, hierarchical_swap_limit)},
	{"total_cache", offsetof(memory_stat, total_cache)},
	{"total_rss", offsetof(memory_stat, total_rss)},
	{"total_rss_huge", offsetof(memory_stat, total_rss_huge)},
	{"total_mapped_file", offsetof(memory_stat, total_mapped_file)},
	{"total_dirty", offsetof(memory_stat, total_dirty)},
	{"total_writeback", offsetof(memory_stat, total_writeback)},
	{"total_pgpgin", offsetof(memory_stat, total_pg_pg_in)},
	{"total_pgpgout", offsetof(memory_stat, total_pg_pg_out)},
	{"total_pgfault", offsetof(memory_stat, total_pg_fault)},
	{"total_pgmajfault", offsetof(memory_stat, total_pg_maj_fault)},
	{"total_inactive_anon", offsetof(memory_stat, total_inactive_anon)},
	{"total_active_anon", offsetof(memory_stat, total_active_anon)},
	{"total_inactive_file", offsetof(memory_stat, total_inactive_file)},
	{"total_active_file", offsetof(memory_stat, total_active_file)},
	{"total_unevictable", offsetof(memory_stat, total_unevictable)},
};

static const struct stats_field oom_fields[] = {
	{"oom_kill_disable", offsetof(oom_control, oom_kill_disable)},
	{"under_oom", offsetof(oom_control, under_oom)},
	{"oom_kill", offsetof(oom_control, oom_kill)},
};

static int add_pids(const struct cgroup *cg, metrics *m)
{
	uint64_t current;

	if (cgroup_read_u64(cg, CGROUP_PIDS, "pids.current", &current) < 0)
		return 0;
	m->pids = NEW(pids_stat);
	if (!m->pids)
		return -ENOMEM;
	m->pids->current = current;
	(void)cgroup_read_u64(cg, CGROUP_PIDS, "pids.max", &m->pids->limit);
	/* containerd's v1 code has 0 for "no limit" */
	if (m->pids->limit == UINT64_MAX)
		m->pids->limit = 0;
	return 0;
}

/* One number per processor. */
static int add_per_cpu(const struct cgroup *cg, cpu_usage *u)
{
	_cleanup_free_ char *text = NULL;
	const char *p;

	if (cgroup_read(cg, CGROUP_CPUACCT, "cpuacct.usage_percpu", &text) < 0)
		return 0;
	u->per_cpu = calloc(CPUS_MAX, sizeof(*u->per_cpu));
	if (!u->per_cpu)
		return -ENOMEM;
	for (p = text; u->n_per_cpu < CPUS_MAX; u->n_per_cpu++) {
		char *end;
		uint64_t v = strtoull(p, &end, 10);

		if (end == p)
			break;
		u->per_cpu[u->n_per_cpu] = v;
		p = end;
	}
	return 0;
}

/* In ticks of a hundredth of a second, mostly. */
static void fill_ticks(const char *text, const char *key, uint64_t *ret_nsec)
{
	uint64_t ticks, hz = (uint64_t)sysconf(_SC_CLK_TCK);

	if (cgroup_text_value(text, key, &ticks) == 0 && hz > 0)
		*ret_nsec = ticks * (NSEC_PER_SEC / hz);
}

static int add_cpu(const struct cgroup *cg, metrics *m)
{
	_cleanup_free_ char *ticks = NULL, *throttling = NULL;
	uint64_t total;

	if (cgroup_read_u64(cg, CGROUP_CPUACCT, "cpuacct.usage", &total) < 0)
		return 0;
	m->cpu = NEW(cpustat);
	if (!m->cpu)
		return -ENOMEM;
	m->cpu->usage = NEW(cpuusage);
	if (!m->cpu->usage)
		return -ENOMEM;
	m->cpu->usage->total = total;
	if (cgroup_read(cg, CGROUP_CPUACCT, "cpuacct.stat", &ticks) == 0) {
		fill_ticks(ticks, "user", &m->cpu->usage->user);
		fill_ticks(ticks, "system", &m->cpu->usage->kernel);
	}
	if (cgroup_read(cg, CGROUP_CPU, "cpu.stat", &throttling) == 0) {
		m->cpu->throttling = NEW(throttle);
		if (!m->cpu->throttling)
			return -ENOMEM;
		stats_fill(throttling, throttle_fields, ARRAY_LEN(throttle_fields),
			m->cpu->throttling);
	}
	return add_per_cpu(cg, m->cpu->usage);
}

/* memory.[memsw.|kmem.|kmem.tcp.]…: what the kernel does not account has no such files. */
static int add_memory_entry(const struct cgroup *cg, const char *kind, memory_entry **ret_entry)
{
	char file[64];
	uint64_t usage;
	memory_entry *e;

	(void)snprintf(file, sizeof(file), "memory.%susage_in_bytes", kind);
	if (cgroup_read_u64(cg, CGROUP_MEMORY, file, &usage) < 0)
		return 0;
	e = *ret_entry = NEW(memory_entry);
	if (!e)
		return -ENOMEM;
	e->usage = usage;
	(void)snprintf(file, sizeof(file), "memory.%slimit_in_bytes", kind);
	(void)cgroup_read_u64(cg, CGROUP_MEMORY, file, &e->limit);
	(void)snprintf(file, sizeof(file), "memory.%smax_usage_in_bytes", kind);
	(void)cgroup_read_u64(cg, CGROUP_MEMORY, file, &e->max);
	(void)snprintf(file, sizeof(file), "memory.%sfailcnt", kind);
	(void)cgroup_read_u64(cg, CGROUP_MEMORY, file, &e->failcnt);
	return 0;
}

static int add_memory(const struct cgroup *cg, metrics *m)
{
	_cleanup_free_ char *text = NULL;
	memory_stat *s;
	int r;

	if (cgroup_read(cg, CGROUP_MEMORY, "memory.stat", &text) < 0)
		return 0;
	s = m->memory = NEW(memory_stat);
	if (!s)
		return -ENOMEM;
	stats_fill(text, memory_fields, ARRAY_LEN(memory_fields), s);
	r = add_memory_entry(cg, "", &s->usage);
	if (r == 0)
		r = add_memory_entry(cg, "memsw.", &s->swap);
	if (r == 0)
		r = add_memory_entry(cg, "kmem.", &s->kernel);
	if (r == 0)
		r = add_memory_entry(cg, "kmem.tcp.", &s->kernel_tcp);
	return r;
}

static int add_oom_control(const struct cgroup *cg, metrics *m)
{
	_cleanup_free_ char *text = NULL;

	if (cgroup_read(cg, CGROUP_MEMORY, "memory.oom_control", &text) < 0)
		return 0;
	m->memory_oom_control = NEW(memory_oom_control);
	if (!m->memory_oom_control)
		return -ENOMEM;
	stats_fill(text, oom_fields, ARRAY_LEN(oom_fields), m->memory_oom_control);
	return 0;
}

struct blkio_list {
	blkio_entry ***entries;
	size_t *n;
};

/* /sys/dev/block/8:0 leads to …/block/sda; a device that has gone has no name. */
static int name_device(blkio_entry *e)
{
	char link[64], target[PATH_MAX];
	const char *slash;
	ssize_t n;

	(void)snprintf(
		link, sizeof(link), "/sys/dev/block/%" PRIu64 ":%" PRIu64, e->major, e->minor);
	n = readlink(link, target, sizeof(target) - 1);
	target[n > 0 ? n : 0] = '\0';
	slash = strrchr(target, '/');
	return slash ? str_printf(&e->device, "/dev/%s", slash + 1) : 0;
}

/* "8:0 Read 4096", or "8:0 4096" where there is no kind; the sum in the last line is nobody's. */
static int add_blkio_line(char *line, void *ctx)
{
	struct blkio_list *list = ctx;
	unsigned long major, minor, value;
	char op[16] = "";
	blkio_entry *e;

	if (sscanf(line, "%lu:%lu %15[A-Za-z] %lu", &major, &minor, op, &value) != 4 &&
		sscanf(line, "%lu:%lu %lu", &major, &minor, &value) != 3)
		return 0;
	e = ADD(*list->entries, *list->n, blk_ioentry);
	if (!e)
		return -ENOMEM;
	e->major = major;
	e->minor = minor;
	e->value = value;
	e->op = strdup(op);
	return e->op ? name_device(e) : -ENOMEM;
}

/* The scheduler's own counters where it has some, else the throttling layer's. */
static int read_blkio(const struct cgroup *cg, const char *name, char **ret_text)
{
	static const char *const places[] = {"bfq.", "", "throttle."};
	char file[96];
	int r = -ENOENT;

	for (size_t i = 0; i < ARRAY_LEN(places); i++) {
		_cleanup_free_ char *text = NULL;

		(void)snprintf(file, sizeof(file), "blkio.%s%s_recursive", places[i], name);
		if (cgroup_read(cg, CGROUP_BLKIO, file, &text) < 0)
			continue;
		r = 0;
		/* "Total 0" alone: that layer has counted nothing */
		if (strchr(text, ':') || i + 1 == ARRAY_LEN(places)) {
			*ret_text = TAKE_PTR(text);
			return 0;
		}
	}
	*ret_text = NULL;
	return r;
}

static int add_blkio(const struct cgroup *cg, metrics *m)
{
	blkio_stat *s = NEW(blk_iostat);
	struct {
		const char *name;
		struct blkio_list list;
	} files[] = {
#define BLKIO(name, member) name, {&s->member, &s->n_##member}
		{BLKIO("io_service_bytes", io_service_bytes_recursive)},
		{BLKIO("io_serviced", io_serviced_recursive)},
		{BLKIO("io_queued", io_queued_recursive)},
		{BLKIO("io_service_time", io_service_time_recursive)},
		{BLKIO("io_wait_time", io_wait_time_recursive)},
		{BLKIO("io_merged", io_merged_recursive)},
		{BLKIO("time", io_time_recursive)},
		{BLKIO("sectors", sectors_recursive)},
#undef BLKIO
	};
	int r = s ? 0 : -ENOMEM;

	m->blkio = s;
	for (size_t i = 0; r == 0 && i < ARRAY_LEN(files); i++) {
		_cleanup_free_ char *text = NULL;

		if (read_blkio(cg, files[i].name, &text) == 0 && text)
			r = stats_each_line(text, add_blkio_line, &files[i].list);
	}
	return r;
}

static int add_blkio_if_there(const struct cgroup *cg, metrics *m)
{
	return cgroup_has(cg, CGROUP_BLKIO, NULL) ? add_blkio(cg, m) : 0;
}

struct rdma_list {
	rdma_entry ***entries;
	size_t *n;
};

static int add_rdma_line(char *line, void *ctx)
{
	struct rdma_list *list = ctx;
	rdma_entry *e = ADD(*list->entries, *list->n, rdma_entry);

	return e ? stats_rdma(line, &e->device, &e->hca_handles, &e->hca_objects) : -ENOMEM;
}

static int add_rdma(const struct cgroup *cg, metrics *m)
{
	_cleanup_free_ char *current = NULL, *limit = NULL;
	struct rdma_list list;
	rdma_stat *s;
	int r;

	if (cgroup_read(cg, CGROUP_RDMA, "rdma.current", &current) < 0 ||
		cgroup_read(cg, CGROUP_RDMA, "rdma.max", &limit) < 0)
		return 0;
	s = m->rdma = NEW(rdma_stat);
	if (!s)
		return -ENOMEM;
	list = (struct rdma_list) {&s->current, &s->n_current};
	r = stats_each_line(current, add_rdma_line, &list);
	list = (struct rdma_list) {&s->limit, &s->n_limit};
	return r < 0 ? r : stats_each_line(limit, add_rdma_line, &list);
}

static int add_page_size(const struct cgroup *cg, metrics *m, const char *size)
{
	hugetlb_stat *h = ADD(m->hugetlb, m->n_hugetlb, hugetlb_stat);
	char file[64];

	if (!h || !(h->pagesize = strdup(size)))
		return -ENOMEM;
	(void)snprintf(file, sizeof(file), "hugetlb.%s.usage_in_bytes", size);
	(void)cgroup_read_u64(cg, CGROUP_HUGETLB, file, &h->usage);
	(void)snprintf(file, sizeof(file), "hugetlb.%s.max_usage_in_bytes", size);
	(void)cgroup_read_u64(cg, CGROUP_HUGETLB, file, &h->max);
	(void)snprintf(file, sizeof(file), "hugetlb.%s.failcnt", size);
	(void)cgroup_read_u64(cg, CGROUP_HUGETLB, file, &h->failcnt);
	return 0;
}

static int add_hugetlb(const struct cgroup *cg, metrics *m)
{
	_cleanup_strv_ char **sizes = NULL;
	int r = cgroup_file_names(cg, CGROUP_HUGETLB, "hugetlb.", ".usage_in_bytes", &sizes);

	if (r < 0)
		return r == -ENOMEM ? r : 0;
	for (size_t i = 0; r == 0 && sizes && sizes[i]; i++)
		if (!strchr(sizes[i], '.')) /* not the reserved ones, "2MB.rsvd" */
			r = add_page_size(cg, m, sizes[i]);
	return r;
}

ProtobufCMessage *stats_v1(const struct cgroup *cg)
{
	static int (*const parts[])(const struct cgroup *cg, metrics *m) = {add_pids, add_cpu,
		add_memory, add_oom_control, add_blkio_if_there, add_rdma, add_hugetlb};
	metrics *m = NEW(metrics);

	for (size_t i = 0; m && i < ARRAY_LEN(parts); i++) {
		if (parts[i](cg, m) < 0) {
			protobuf_c_message_free_unpacked(&m->base, NULL);
			return NULL;
		}
	}
	return m ? &m->base : NULL;
}
