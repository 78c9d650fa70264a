/* io.containerd.cgroups.v1.Metrics (proto/cgroups_v1.proto) from the files of v1 directories. */
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "base/cleanup.h"
#include "base/macro.h"
#include "base/str.h"
#include "cgroup/read.h"
#include "stats/parts.h"

enum {
	METRICS_HUGETLB = 1,
	METRICS_PIDS = 2,
	METRICS_CPU = 3,
	METRICS_MEMORY = 4,
	METRICS_BLKIO = 5,
	METRICS_RDMA = 6,
	METRICS_OOM_CONTROL = 9,
	PIDS_CURRENT = 1,
	PIDS_LIMIT = 2,
	CPU_USAGE = 1,
	CPU_THROTTLING = 2,
	USAGE_TOTAL = 1,
	USAGE_KERNEL = 2,
	USAGE_USER = 3,
	USAGE_PER_CPU = 4,
	MEMORY_USAGE = 33,
	MEMORY_SWAP = 34,
	MEMORY_KERNEL = 35,
	MEMORY_KERNEL_TCP = 36,
	ENTRY_LIMIT = 1,
	ENTRY_USAGE = 2,
	ENTRY_MAX = 3,
	ENTRY_FAILCNT = 4,
	BLKIO_OP = 1,
	BLKIO_DEVICE = 2,
	BLKIO_MAJOR = 3,
	BLKIO_MINOR = 4,
	BLKIO_VALUE = 5,
};

enum { NSEC_PER_SEC = 1000000000, CPUS_MAX = 8192 };

static const struct stats_field throttle_fields[] = {
	{"nr_periods", 1},
	{"nr_throttled", 2},
	{"throttled_time", 3},
};

static const struct stats_field memory_fields[] = {
	{"cache", 1},
	{"rss", 2},
	{"rss_huge", 3},
	{"mapped_file", 4},
	{"dirty", 5},
	{"writeback", 6},
	{"pgpgin", 7},
	{"pgpgout", 8},
	{"pgfault", 9},
	{"pgmajfault", 10},
	{"inactive_anon", 11},
	{"active_anon", 12},
	{"inactive_file", 13},
	{"active_file", 14},
	{"unevictable", 15},
	{"hierarchical_memory_limit", 16},
	{"hierarchical_memsw_limit", 17},
	{"total_cache", 18},
	{"total_rss", 19},
	{"total_rss_huge", 20},
	{"total_mapped_file", 21},
	{"total_dirty", 22},
	{"total_writeback", 23},
	{"total_pgpgin", 24},
	{"total_pgpgout", 25},
	{"total_pgfault", 26},
	{"total_pgmajfault", 27},
	{"total_inactive_anon", 28},
	{"total_active_anon", 29},
	{"total_inactive_file", 30},
	{"total_active_file", 31},
	{"total_unevictable", 32},
};

static const struct stats_field oom_fields[] = {
	{"oom_kill_disable", 1},
	{"under_oom", 2},
	{"oom_kill", 3},
};

static const struct stats_hugetlb hugetlb_names = {
	.usage = "usage_in_bytes",
	.usage_field = 1,
	.max = "max_usage_in_bytes",
	.max_field = 2,
	.failcnt = "failcnt",
	.failcnt_field = 3,
	.size_field = 4,
};

/* blkio.[…]NAME_recursive, and its field in BlkIOStat. */
static const struct stats_field blkio_files[] = {
	{"io_service_bytes", 1},
	{"io_serviced", 2},
	{"io_queued", 3},
	{"io_service_time", 4},
	{"io_wait_time", 5},
	{"io_merged", 6},
	{"time", 7},
	{"sectors", 8},
};

static void add_pids(struct wire *w, const struct cgroup *cg)
{
	struct wire pids = WIRE_INIT;
	uint64_t current, limit;

	if (cgroup_read_u64(cg, CGROUP_PIDS, "pids.current", &current) < 0)
		return;
	wire_u64(&pids, PIDS_CURRENT, current);
	/* containerd's v1 code has 0 for "no limit" */
	if (cgroup_read_u64(cg, CGROUP_PIDS, "pids.max", &limit) == 0 && limit != UINT64_MAX)
		wire_u64(&pids, PIDS_LIMIT, limit);
	wire_message(w, METRICS_PIDS, &pids);
}

/* One number per processor. */
static void add_per_cpu(struct wire *w, const struct cgroup *cg)
{
	_cleanup_free_ uint64_t *per_cpu = NULL;
	_cleanup_free_ char *text = NULL;
	const char *p;
	size_t n;

	if (cgroup_read(cg, CGROUP_CPUACCT, "cpuacct.usage_percpu", &text) < 0)
		return;
	per_cpu = calloc(CPUS_MAX, sizeof(*per_cpu));
	if (!per_cpu) {
		w->failed = true;
		return;
	}
	for (n = 0, p = text; n < CPUS_MAX; n++) {
		char *end;

		per_cpu[n] = strtoull(p, &end, 10);
		if (end == p)
			break;
		p = end;
	}
	wire_u64s(w, USAGE_PER_CPU, per_cpu, n);
}

/* In ticks of a hundredth of a second, mostly. */
static void add_ticks(struct wire *w, unsigned field, const char *text, const char *key)
{
	uint64_t ticks, hz = (uint64_t)sysconf(_SC_CLK_TCK);

	if (cgroup_text_value(text, key, &ticks) == 0 && hz > 0)
		wire_u64(w, field, ticks * (NSEC_PER_SEC / hz));
}

static void add_cpu(struct wire *w, const struct cgroup *cg)
{
	_cleanup_free_ char *ticks = NULL;
	struct wire cpu = WIRE_INIT, usage = WIRE_INIT;
	uint64_t total;

	if (cgroup_read_u64(cg, CGROUP_CPUACCT, "cpuacct.usage", &total) < 0)
		return;
	wire_u64(&usage, USAGE_TOTAL, total);
	if (cgroup_read(cg, CGROUP_CPUACCT, "cpuacct.stat", &ticks) == 0) {
		add_ticks(&usage, USAGE_USER, ticks, "user");
		add_ticks(&usage, USAGE_KERNEL, ticks, "system");
	}
	add_per_cpu(&usage, cg);
	wire_message(&cpu, CPU_USAGE, &usage);
	stats_file_message(&cpu, CPU_THROTTLING, cg, CGROUP_CPU, "cpu.stat", throttle_fields,
		ARRAY_LEN(throttle_fields));
	wire_message(w, METRICS_CPU, &cpu);
}

/* memory.[memsw.|kmem.|kmem.tcp.]…: what the kernel does not account has no such files. */
static void add_memory_entry(
	struct wire *w, unsigned field, const struct cgroup *cg, const char *kind)
{
	struct wire entry = WIRE_INIT;
	char file[64];
	uint64_t usage;

	(void)snprintf(file, sizeof(file), "memory.%susage_in_bytes", kind);
	if (cgroup_read_u64(cg, CGROUP_MEMORY, file, &usage) < 0)
		return;
	wire_u64(&entry, ENTRY_USAGE, usage);
	(void)snprintf(file, sizeof(file), "memory.%slimit_in_bytes", kind);
	stats_file_field(&entry, ENTRY_LIMIT, cg, CGROUP_MEMORY, file);
	(void)snprintf(file, sizeof(file), "memory.%smax_usage_in_bytes", kind);
	stats_file_field(&entry, ENTRY_MAX, cg, CGROUP_MEMORY, file);
	(void)snprintf(file, sizeof(file), "memory.%sfailcnt", kind);
	stats_file_field(&entry, ENTRY_FAILCNT, cg, CGROUP_MEMORY, file);
	wire_message(w, field, &entry);
}

static void add_memory(struct wire *w, const struct cgroup *cg)
{
	_cleanup_free_ char *text = NULL;
	struct wire m = WIRE_INIT;

	if (cgroup_read(cg, CGROUP_MEMORY, "memory.stat", &text) < 0)
		return;
	stats_fields(&m, text, memory_fields, ARRAY_LEN(memory_fields));
	add_memory_entry(&m, MEMORY_USAGE, cg, "");
	add_memory_entry(&m, MEMORY_SWAP, cg, "memsw.");
	add_memory_entry(&m, MEMORY_KERNEL, cg, "kmem.");
	add_memory_entry(&m, MEMORY_KERNEL_TCP, cg, "kmem.tcp.");
	wire_message(w, METRICS_MEMORY, &m);
}

/* /sys/dev/block/8:0 leads to …/block/sda; a device that has gone has no name. */
static void name_device(struct wire *w, unsigned long major, unsigned long minor)
{
	char link[64], target[1024], name[NAME_MAX + sizeof("/dev/")];
	const char *slash;
	ssize_t n;

	(void)snprintf(link, sizeof(link), "/sys/dev/block/%lu:%lu", major, minor);
	n = readlink(link, target, sizeof(target) - 1);
	target[n > 0 ? n : 0] = '\0';
	slash = strrchr(target, '/');
	if (!slash)
		return;
	(void)snprintf(name, sizeof(name), "/dev/%.*s", NAME_MAX, slash + 1);
	wire_text(w, BLKIO_DEVICE, name);
}

/* "8:0 Read 4096", or "8:0 4096" where there is no kind; the sum in the last line is nobody's. */
static void add_blkio_line(struct wire *w, unsigned field, const char *line)
{
	struct wire entry = WIRE_INIT;
	unsigned long major, minor, value;
	char op[16] = "";

	if (sscanf(line, "%lu:%lu %15[A-Za-z] %lu", &major, &minor, op, &value) != 4 &&
		sscanf(line, "%lu:%lu %lu", &major, &minor, &value) != 3)
		return;
	wire_text(&entry, BLKIO_OP, op);
	name_device(&entry, major, minor);
	wire_u64(&entry, BLKIO_MAJOR, major);
	wire_u64(&entry, BLKIO_MINOR, minor);
	wire_u64(&entry, BLKIO_VALUE, value);
	wire_message(w, field, &entry);
}

/* The scheduler's own counters where it has some, else the throttling layer's. */
static char *read_blkio(const struct cgroup *cg, const char *name)
{
	static const char places[][10] = {"bfq.", "", "throttle."};
	char file[96];

	for (size_t i = 0; i < ARRAY_LEN(places); i++) {
		_cleanup_free_ char *text = NULL;

		(void)snprintf(file, sizeof(file), "blkio.%s%.32s_recursive", places[i], name);
		/* "Total 0" alone: that layer has counted nothing */
		if (cgroup_read(cg, CGROUP_BLKIO, file, &text) == 0 && strchr(text, ':'))
			return TAKE_PTR(text);
	}
	return NULL;
}

static void add_blkio(struct wire *w, const struct cgroup *cg)
{
	struct wire blkio = WIRE_INIT;

	if (!cgroup_has(cg, CGROUP_BLKIO, NULL))
		return;
	for (size_t i = 0; i < ARRAY_LEN(blkio_files); i++) {
		_cleanup_free_ char *text = read_blkio(cg, blkio_files[i].key);
		char *save = NULL, *line = text ? strtok_r(text, "\n", &save) : NULL;

		for (; line; line = strtok_r(NULL, "\n", &save))
			add_blkio_line(&blkio, blkio_files[i].number, line);
	}
	wire_message(w, METRICS_BLKIO, &blkio);
}

void stats_v1(struct wire *w, const struct cgroup *cg)
{
	add_pids(w, cg);
	add_cpu(w, cg);
	add_memory(w, cg);
	stats_file_message(w, METRICS_OOM_CONTROL, cg, CGROUP_MEMORY, "memory.oom_control",
		oom_fields, ARRAY_LEN(oom_fields));
	add_blkio(w, cg);
	stats_rdma(w, METRICS_RDMA, cg);
	stats_hugetlb(w, METRICS_HUGETLB, cg, &hugetlb_names);
}
