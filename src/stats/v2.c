/* io.containerd.cgroups.v2.Metrics (proto/cgroups_v2.proto) from the files of a v2 directory. */
#include <stdio.h>
#include <string.h>
#include "base/cleanup.h"
#include "base/macro.h"
#include "base/str.h"
#include "cgroup/read.h"
#include "stats/parts.h"

enum {
	METRICS_PIDS = 1,
	METRICS_CPU = 2,
	METRICS_MEMORY = 4,
	METRICS_RDMA = 5,
	METRICS_IO = 6,
	METRICS_HUGETLB = 7,
	METRICS_MEMORY_EVENTS = 8,
	PIDS_CURRENT = 1,
	PIDS_LIMIT = 2,
	CPU_PSI = 7,
	MEMORY_WORKINGSET_REFAULT = 20,
	MEMORY_WORKINGSET_ACTIVATE = 21,
	MEMORY_USAGE = 32,
	MEMORY_USAGE_LIMIT = 33,
	MEMORY_SWAP_USAGE = 34,
	MEMORY_SWAP_LIMIT = 35,
	MEMORY_MAX_USAGE = 36,
	MEMORY_SWAP_MAX_USAGE = 37,
	MEMORY_PSI = 38,
	IO_USAGE = 1,
	IO_PSI = 2,
	IO_ENTRY_MAJOR = 1,
	IO_ENTRY_MINOR = 2,
	PSI_SOME = 1,
	PSI_FULL = 2,
	PSI_DATA_AVG10 = 1,
	PSI_DATA_AVG60 = 2,
	PSI_DATA_AVG300 = 3,
	PSI_DATA_TOTAL = 4,
};

static const struct stats_field cpu_fields[] = {
	{"usage_usec", 1},
	{"user_usec", 2},
	{"system_usec", 3},
	{"nr_periods", 4},
	{"nr_throttled", 5},
	{"throttled_usec", 6},
	{"nr_bursts", 8},
	{"burst_usec", 9},
};

static const struct stats_field memory_fields[] = {
	{"anon", 1},
	{"file", 2},
	{"kernel_stack", 3},
	{"slab", 4},
	{"sock", 5},
	{"shmem", 6},
	{"file_mapped", 7},
	{"file_dirty", 8},
	{"file_writeback", 9},
	{"anon_thp", 10},
	{"inactive_anon", 11},
	{"active_anon", 12},
	{"inactive_file", 13},
	{"active_file", 14},
	{"unevictable", 15},
	{"slab_reclaimable", 16},
	{"slab_unreclaimable", 17},
	{"pgfault", 18},
	{"pgmajfault", 19},
	{"workingset_nodereclaim", 22},
	{"pgrefill", 23},
	{"pgscan", 24},
	{"pgsteal", 25},
	{"pgactivate", 26},
	{"pgdeactivate", 27},
	{"pglazyfree", 28},
	{"pglazyfreed", 29},
	{"thp_fault_alloc", 30},
	{"thp_collapse_alloc", 31},
	{"workingset_refault_anon", 39},
	{"workingset_refault_file", 40},
	{"workingset_activate_anon", 41},
	{"workingset_activate_file", 42},
};

static const struct stats_field event_fields[] = {
	{"low", 1},
	{"high", 2},
	{"max", 3},
	{"oom", 4},
	{"oom_kill", 5},
	{"oom_group_kill", 6},
};

static const struct stats_field io_fields[] = {
	{"rbytes", 3},
	{"wbytes", 4},
	{"rios", 5},
	{"wios", 6},
};

static const struct stats_hugetlb hugetlb_names = {
	.usage = "current",
	.usage_field = 1,
	.max = "max",
	.max_field = 2,
	.size_field = 3,
	.failcnt = "events",
	.failcnt_key = "max",
	.failcnt_field = 4,
};

/* "some avg10=0.00 avg60=0.00 avg300=0.00 total=0", and the same of "full". */
static void add_pressure_line(struct wire *w, const char *line)
{
	struct wire data = WIRE_INIT;
	double avg10, avg60, avg300;
	uint64_t total;

	if (sscanf(line, "%*4s avg10=%lf avg60=%lf avg300=%lf", &avg10, &avg60, &avg300) != 3)
		return;
	wire_double(&data, PSI_DATA_AVG10, avg10);
	wire_double(&data, PSI_DATA_AVG60, avg60);
	wire_double(&data, PSI_DATA_AVG300, avg300);
	if (cgroup_line_value(line, "total", &total) == 0)
		wire_u64(&data, PSI_DATA_TOTAL, total);
	wire_message(w, str_has_prefix(line, "some ") ? PSI_SOME : PSI_FULL, &data);
}

static void add_pressure(struct wire *w, unsigned field, const struct cgroup *cg, const char *file)
{
	_cleanup_free_ char *text = NULL;
	struct wire psi = WIRE_INIT;

	/* a kernel without it has no such file, or says EOPNOTSUPP where it is switched off */
	if (cgroup_read_v2(cg, file, &text) < 0)
		return;
	stats_each_line(&psi, text, add_pressure_line);
	wire_message(w, field, &psi);
}

static void add_pids(struct wire *w, const struct cgroup *cg)
{
	struct wire pids = WIRE_INIT;
	uint64_t current;

	if (cgroup_read_u64(cg, CGROUP_PIDS, "pids.current", &current) < 0)
		return;
	wire_u64(&pids, PIDS_CURRENT, current);
	stats_file_field(&pids, PIDS_LIMIT, cg, CGROUP_PIDS, "pids.max");
	wire_message(w, METRICS_PIDS, &pids);
}

/* The kernel counts time in every cgroup, also where nothing limits it. */
static void add_cpu(struct wire *w, const struct cgroup *cg)
{
	_cleanup_free_ char *text = NULL;
	struct wire cpu = WIRE_INIT;

	if (cgroup_read_v2(cg, "cpu.stat", &text) < 0)
		return;
	stats_fields(&cpu, text, cpu_fields, ARRAY_LEN(cpu_fields));
	add_pressure(&cpu, CPU_PSI, cg, "cpu.pressure");
	wire_message(w, METRICS_CPU, &cpu);
}

/* Linux 5.9 split these numbers in halves; who knows the sums only still gets them. */
static void add_sum(struct wire *w, unsigned field, const char *text, const char *key)
{
	static const char *const halves[] = {"anon", "file"};
	uint64_t sum = 0, v;
	char half[64];

	if (cgroup_text_value(text, key, &sum) < 0) {
		for (size_t i = 0; i < ARRAY_LEN(halves); i++) {
			(void)snprintf(half, sizeof(half), "%s_%s", key, halves[i]);
			if (cgroup_text_value(text, half, &v) == 0)
				sum += v;
		}
	}
	wire_u64(w, field, sum);
}

static void add_memory(struct wire *w, const struct cgroup *cg)
{
	_cleanup_free_ char *text = NULL;
	struct wire m = WIRE_INIT;

	if (cgroup_read(cg, CGROUP_MEMORY, "memory.stat", &text) < 0)
		return;
	stats_fields(&m, text, memory_fields, ARRAY_LEN(memory_fields));
	add_sum(&m, MEMORY_WORKINGSET_REFAULT, text, "workingset_refault");
	add_sum(&m, MEMORY_WORKINGSET_ACTIVATE, text, "workingset_activate");
	stats_file_field(&m, MEMORY_USAGE, cg, CGROUP_MEMORY, "memory.current");
	stats_file_field(&m, MEMORY_USAGE_LIMIT, cg, CGROUP_MEMORY, "memory.max");
	stats_file_field(&m, MEMORY_MAX_USAGE, cg, CGROUP_MEMORY, "memory.peak");
	stats_file_field(&m, MEMORY_SWAP_USAGE, cg, CGROUP_MEMORY, "memory.swap.current");
	stats_file_field(&m, MEMORY_SWAP_LIMIT, cg, CGROUP_MEMORY, "memory.swap.max");
	stats_file_field(&m, MEMORY_SWAP_MAX_USAGE, cg, CGROUP_MEMORY, "memory.swap.peak");
	add_pressure(&m, MEMORY_PSI, cg, "memory.pressure");
	wire_message(w, METRICS_MEMORY, &m);
}

/* "8:0 rbytes=1 wbytes=2 rios=3 wios=4 dbytes=5 dios=6" */
static void add_io_line(struct wire *w, const char *line)
{
	struct wire entry = WIRE_INIT;
	unsigned long major, minor;

	if (sscanf(line, "%lu:%lu ", &major, &minor) != 2)
		return;
	wire_u64(&entry, IO_ENTRY_MAJOR, major);
	wire_u64(&entry, IO_ENTRY_MINOR, minor);
	stats_line_fields(&entry, line, io_fields, ARRAY_LEN(io_fields));
	wire_message(w, IO_USAGE, &entry);
}

static void add_io(struct wire *w, const struct cgroup *cg)
{
	_cleanup_free_ char *text = NULL;
	struct wire io = WIRE_INIT;

	if (cgroup_read(cg, CGROUP_IO, "io.stat", &text) < 0)
		return;
	stats_each_line(&io, text, add_io_line);
	add_pressure(&io, IO_PSI, cg, "io.pressure");
	wire_message(w, METRICS_IO, &io);
}

void stats_v2(struct wire *w, const struct cgroup *cg)
{
	add_pids(w, cg);
	add_cpu(w, cg);
	add_memory(w, cg);
	stats_rdma(w, METRICS_RDMA, cg);
	add_io(w, cg);
	stats_hugetlb(w, METRICS_HUGETLB, cg, &hugetlb_names);
	stats_file_message(w, METRICS_MEMORY_EVENTS, cg, CGROUP_MEMORY, "memory.events",
		event_fields, ARRAY_LEN(event_fields));
}
