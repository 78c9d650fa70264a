/* io.containerd.cgroups.v2.Metrics from the files of a v2 directory. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/cleanup.h"
#include "base/macro.h"
#include "base/str.h"
#include "proto/cgroups_v2.pb-c.h"
#include "shim/stats_impl.h"

typedef Io__Containerd__Cgroups__V2__Metrics metrics;
typedef Io__Containerd__Cgroups__V2__PSIStats psi_stats;
typedef Io__Containerd__Cgroups__V2__PSIData psi_data;
typedef Io__Containerd__Cgroups__V2__PidsStat pids_stat;
typedef Io__Containerd__Cgroups__V2__CPUStat cpu_stat;
typedef Io__Containerd__Cgroups__V2__MemoryStat memory_stat;
typedef Io__Containerd__Cgroups__V2__MemoryEvents memory_events;
typedef Io__Containerd__Cgroups__V2__IOStat io_stat;
typedef Io__Containerd__Cgroups__V2__IOEntry io_entry;
typedef Io__Containerd__Cgroups__V2__RdmaStat rdma_stat;
typedef Io__Containerd__Cgroups__V2__RdmaEntry rdma_entry;
typedef Io__Containerd__Cgroups__V2__HugeTlbStat hugetlb_stat;

#define NEW(name) stats_new(&io__containerd__cgroups__v2__##name##__descriptor)
#define ADD(array, n, name) \
	stats_add((void *)&(array), &(n), &io__containerd__cgroups__v2__##name##__descriptor)

static const struct stats_field cpu_fields[] = {
	{"usage_usec", offsetof(cpu_stat, usage_usec)},
	{"user_usec", offsetof(cpu_stat, user_usec)},
	{"system_usec", offsetof(cpu_stat, system_usec)},
	{"nr_periods", offsetof(cpu_stat, nr_periods)},
	{"nr_throttled", offsetof(cpu_stat, nr_throttled)},
	{"throttled_usec", offsetof(cpu_stat, throttled_usec)},
	{"nr_bursts", offsetof(cpu_stat, nr_bursts)},
	{"burst_usec", offsetof(cpu_stat, burst_usec)},
};

#define MEMORY(name)                               \
	{                                          \
#		name, offsetof(memory_stat, name) \
	}

static const struct stats_field memory_fields[] = {
	MEMORY(anon),
	MEMORY(file),
	MEMORY(kernel_stack),
	MEMORY(slab),
	MEMORY(sock),
	MEMORY(shmem),
	MEMORY(file_mapped),
	MEMORY(file_dirty),
	MEMORY(file_writeback),
	MEMORY(anon_thp),
	MEMORY(inactive_anon),
	MEMORY(active_anon),
	MEMORY(inactive_file),
	MEMORY(active_file),
	MEMORY(unevictable),
	MEMORY(slab_reclaimable),
	MEMORY(slab_unreclaimable),
	MEMORY(pgfault),
	MEMORY(pgmajfault),
	MEMORY(workingset_refault),
	MEMORY(workingset_activate),
	MEMORY(workingset_nodereclaim),
	MEMORY(pgrefill),
	MEMORY(pgscan),
	MEMORY(pgsteal),
	MEMORY(pgactivate),
	MEMORY(pgdeactivate),
	MEMORY(pglazyfree),
	MEMORY(pglazyfreed),
	MEMORY(thp_fault_alloc),
	MEMORY(thp_collapse_alloc),
	MEMORY(workingset_refault_anon),
	MEMORY(workingset_refault_file),
	MEMORY(workingset_activate_anon),
	MEMORY(workingset_activate_file),
};

static const struct stats_field event_fields[] = {
	{"low", offsetof(memory_events, low)},
	{"high", offsetof(memory_events, high)},
	{"max", offsetof(memory_events, max)},
	{"oom", offsetof(memory_events, oom)},
	{"oom_kill", offsetof(memory_events, oom_kill)},
	{"oom_group_kill", offsetof(memory_events, oom_group_kill)},
};

static const struct stats_field io_fields[] = {
	{"rbytes", offsetof(io_entry, rbytes)},
	{"wbytes", offsetof(io_entry, wbytes)},
	{"rios", offsetof(io_entry, rios)},
	{"wios", offsetof(io_entry, wios)},
};

/* "some avg10=0.00 avg60=0.00 avg300=0.00 total=0", and the same of "full". */
static int add_pressure(const struct cgroup *cg, const char *file, psi_stats **ret_psi)
{
	_cleanup_free_ char *text = NULL;
	char *save = NULL;

	/* a kernel without it has no such file, or says EOPNOTSUPP where it is switched off */
	if (cgroup_read_v2(cg, file, &text) < 0)
		return 0;
	*ret_psi = NEW(psistats);
	if (!*ret_psi)
		return -ENOMEM;
	for (char *line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
		psi_data **part =
			str_has_prefix(line, "some ") ? &(*ret_psi)->some : &(*ret_psi)->full;
		double avg10, avg60, avg300;

		if (*part || sscanf(line, "%*4s avg10=%lf avg60=%lf avg300=%lf", &avg10, &avg60,
				     &avg300) != 3)
			continue;
		*part = NEW(psidata);
		if (!*part)
			return -ENOMEM;
		(*part)->avg10 = avg10;
		(*part)->avg60 = avg60;
		(*part)->avg300 = avg300;
		(void)cgroup_line_value(line, "total", &(*part)->total);
	}
	return 0;
}

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
	return 0;
}

/* The kernel counts time in every cgroup, also where nothing limits it. */
static int add_cpu(const struct cgroup *cg, metrics *m)
{
	_cleanup_free_ char *text = NULL;

	if (cgroup_read_v2(cg, "cpu.stat", &text) < 0)
		return 0;
	m->cpu = NEW(cpustat);
	if (!m->cpu)
		return -ENOMEM;
	stats_fill(text, cpu_fields, ARRAY_LEN(cpu_fields), m->cpu);
	return add_pressure(cg, "cpu.pressure", &m->cpu->psi);
}

static int add_memory(const struct cgroup *cg, metrics *m)
{
	_cleanup_free_ char *text = NULL;
	memory_stat *s;

	if (cgroup_read(cg, CGROUP_MEMORY, "memory.stat", &text) < 0)
		return 0;
	s = m->memory = NEW(memory_stat);
	if (!s)
		return -ENOMEM;
	stats_fill(text, memory_fields, ARRAY_LEN(memory_fields), s);
	/* Linux 5.9 split these two in halves; who knows the sums only still gets them */
	if (s->workingset_refault == 0)
		s->workingset_refault = s->workingset_refault_anon + s->workingset_refault_file;
	if (s->workingset_activate == 0)
		s->workingset_activate = s->workingset_activate_anon + s->workingset_activate_file;
	(void)cgroup_read_u64(cg, CGROUP_MEMORY, "memory.current", &s->usage);
	(void)cgroup_read_u64(cg, CGROUP_MEMORY, "memory.max", &s->usage_limit);
	(void)cgroup_read_u64(cg, CGROUP_MEMORY, "memory.peak", &s->max_usage);
	(void)cgroup_read_u64(cg, CGROUP_MEMORY, "memory.swap.current", &s->swap_usage);
	(void)cgroup_read_u64(cg, CGROUP_MEMORY, "memory.swap.max", &s->swap_limit);
	(void)cgroup_read_u64(cg, CGROUP_MEMORY, "memory.swap.peak", &s->swap_max_usage);
	return add_pressure(cg, "memory.pressure", &s->psi);
}

static int add_memory_events(const struct cgroup *cg, metrics *m)
{
	_cleanup_free_ char *text = NULL;

	if (cgroup_read(cg, CGROUP_MEMORY, "memory.events", &text) < 0)
		return 0;
	m->memory_events = NEW(memory_events);
	if (!m->memory_events)
		return -ENOMEM;
	stats_fill(text, event_fields, ARRAY_LEN(event_fields), m->memory_events);
	return 0;
}

/* "8:0 rbytes=1 wbytes=2 rios=3 wios=4 dbytes=5 dios=6" */
static int add_io_line(char *line, void *ctx)
{
	io_stat *io = ctx;
	unsigned long major, minor;
	io_entry *e;

	if (sscanf(line, "%lu:%lu ", &major, &minor) != 2)
		return 0;
	e = ADD(io->usage, io->n_usage, ioentry);
	if (!e)
		return -ENOMEM;
	e->major = major;
	e->minor = minor;
	stats_fill_line(line, io_fields, ARRAY_LEN(io_fields), e);
	return 0;
}

static int add_io(const struct cgroup *cg, metrics *m)
{
	_cleanup_free_ char *text = NULL;
	int r;

	if (cgroup_read(cg, CGROUP_IO, "io.stat", &text) < 0)
		return 0;
	m->io = NEW(iostat);
	if (!m->io)
		return -ENOMEM;
	r = stats_each_line(text, add_io_line, m->io);
	return r < 0 ? r : add_pressure(cg, "io.pressure", &m->io->psi);
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
	_cleanup_free_ char *events = NULL;
	hugetlb_stat *h = ADD(m->hugetlb, m->n_hugetlb, huge_tlb_stat);
	char file[64];

	if (!h || !(h->pagesize = strdup(size)))
		return -ENOMEM;
	(void)snprintf(file, sizeof(file), "hugetlb.%s.current", size);
	(void)cgroup_read_u64(cg, CGROUP_HUGETLB, file, &h->current);
	(void)snprintf(file, sizeof(file), "hugetlb.%s.max", size);
	(void)cgroup_read_u64(cg, CGROUP_HUGETLB, file, &h->max);
	(void)snprintf(file, sizeof(file), "hugetlb.%s.events", size);
	if (cgroup_read(cg, CGROUP_HUGETLB, file, &events) == 0)
		(void)cgroup_text_value(events, "max", &h->failcnt);
	return 0;
}

static int add_hugetlb(const struct cgroup *cg, metrics *m)
{
	_cleanup_strv_ char **sizes = NULL;
	int r = cgroup_file_names(cg, CGROUP_HUGETLB, "hugetlb.", ".current", &sizes);

	if (r < 0)
		return r == -ENOMEM ? r : 0;
	for (size_t i = 0; r == 0 && sizes && sizes[i]; i++)
		if (!strchr(sizes[i], '.')) /* not the reserved ones, "2MB.rsvd" */
			r = add_page_size(cg, m, sizes[i]);
	return r;
}

ProtobufCMessage *stats_v2(const struct cgroup *cg)
{
	static int (*const parts[])(const struct cgroup *cg, metrics *m) = {
		add_pids, add_cpu, add_memory, add_memory_events, add_io, add_rdma, add_hugetlb};
	metrics *m = NEW(metrics);

	for (size_t i = 0; m && i < ARRAY_LEN(parts); i++) {
		if (parts[i](cg, m) < 0) {
			protobuf_c_message_free_unpacked(&m->base, NULL);
			return NULL;
		}
	}
	return m ? &m->base : NULL;
}
