#include "stats/stats.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/cleanup.h"
#include "base/str.h"
#include "cgroup/read.h"
#include "stats/parts.h"

void stats_fields(struct wire *w, const char *text, const struct stats_field *fields, size_t n)
{
	uint64_t v;

	for (size_t i = 0; i < n; i++)
		if (cgroup_text_value(text, fields[i].key, &v) == 0)
			wire_u64(w, fields[i].number, v);
}

void stats_line_fields(struct wire *w, const char *line, const struct stats_field *fields, size_t n)
{
	uint64_t v;

	for (size_t i = 0; i < n; i++)
		if (cgroup_line_value(line, fields[i].key, &v) == 0)
			wire_u64(w, fields[i].number, v);
}

void stats_file_message(struct wire *w, unsigned field, const struct cgroup *cg,
	enum cgroup_controller c, const char *file, const struct stats_field *fields, size_t n)
{
	_cleanup_free_ char *text = NULL;
	struct wire message = WIRE_INIT;

	if (cgroup_read(cg, c, file, &text) < 0)
		return;
	stats_fields(&message, text, fields, n);
	wire_message(w, field, &message);
}

void stats_file_field(struct wire *w, unsigned field, const struct cgroup *cg,
	enum cgroup_controller c, const char *file)
{
	uint64_t v;

	if (cgroup_read_u64(cg, c, file, &v) == 0)
		wire_u64(w, field, v);
}

void stats_each_line(struct wire *w, char *text, void (*add)(struct wire *w, const char *line))
{
	char *save = NULL;

	for (char *line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save))
		add(w, line);
}

/* ---- rdma: RdmaStat and RdmaEntry are the same in both versions --------------------------------
 */

enum { RDMA_CURRENT = 1, RDMA_LIMIT = 2, ENTRY_DEVICE = 1, ENTRY_HANDLES = 2, ENTRY_OBJECTS = 3 };

/* "max" is the largest number that the field can hold. */
static void rdma_number(struct wire *w, unsigned field, const char *line, const char *key)
{
	uint64_t v;

	if (cgroup_line_value(line, key, &v) == 0)
		wire_u64(w, field, v > UINT32_MAX ? UINT32_MAX : v);
}

/* "mlx5_0 hca_handle=2 hca_object=2000" */
static void rdma_entry(struct wire *w, unsigned field, const char *line)
{
	struct wire entry = WIRE_INIT;
	char device[128];

	(void)snprintf(device, sizeof(device), "%.*s", (int)strcspn(line, " "), line);
	wire_text(&entry, ENTRY_DEVICE, device);
	rdma_number(&entry, ENTRY_HANDLES, line, "hca_handle");
	rdma_number(&entry, ENTRY_OBJECTS, line, "hca_object");
	wire_message(w, field, &entry);
}

static void rdma_current(struct wire *w, const char *line)
{
	rdma_entry(w, RDMA_CURRENT, line);
}

static void rdma_limit(struct wire *w, const char *line)
{
	rdma_entry(w, RDMA_LIMIT, line);
}

void stats_rdma(struct wire *w, unsigned field, const struct cgroup *cg)
{
	_cleanup_free_ char *current = NULL, *limit = NULL;
	struct wire rdma = WIRE_INIT;

	if (cgroup_read(cg, CGROUP_RDMA, "rdma.current", &current) < 0 ||
		cgroup_read(cg, CGROUP_RDMA, "rdma.max", &limit) < 0)
		return;
	stats_each_line(&rdma, current, rdma_current);
	stats_each_line(&rdma, limit, rdma_limit);
	wire_message(w, field, &rdma);
}

/* ---- huge pages --------------------------------------------------------------------------------
 */

static void hugetlb_failcnt(struct wire *w, const struct cgroup *cg, const char *file,
	const struct stats_hugetlb *names)
{
	_cleanup_free_ char *text = NULL;
	uint64_t v;

	if (!names->failcnt_key)
		stats_file_field(w, names->failcnt_field, cg, CGROUP_HUGETLB, file);
	else if (cgroup_read(cg, CGROUP_HUGETLB, file, &text) == 0 &&
		 cgroup_text_value(text, names->failcnt_key, &v) == 0)
		wire_u64(w, names->failcnt_field, v);
}

static void hugetlb_size(struct wire *w, unsigned field, const struct cgroup *cg,
	const struct stats_hugetlb *names, const char *size)
{
	struct wire h = WIRE_INIT;
	char file[64];

	wire_text(&h, names->size_field, size);
	(void)snprintf(file, sizeof(file), "hugetlb.%s.%s", size, names->usage);
	stats_file_field(&h, names->usage_field, cg, CGROUP_HUGETLB, file);
	(void)snprintf(file, sizeof(file), "hugetlb.%s.%s", size, names->max);
	stats_file_field(&h, names->max_field, cg, CGROUP_HUGETLB, file);
	(void)snprintf(file, sizeof(file), "hugetlb.%s.%s", size, names->failcnt);
	hugetlb_failcnt(&h, cg, file, names);
	wire_message(w, field, &h);
}

void stats_hugetlb(
	struct wire *w, unsigned field, const struct cgroup *cg, const struct stats_hugetlb *names)
{
	_cleanup_strv_ char **sizes = NULL;
	char suffix[32];
	int r;

	(void)snprintf(suffix, sizeof(suffix), ".%s", names->usage);
	r = cgroup_file_names(cg, CGROUP_HUGETLB, "hugetlb.", suffix, &sizes);
	if (r == -ENOMEM)
		w->failed = true;
	for (size_t i = 0; r == 0 && sizes && sizes[i]; i++)
		if (!strchr(sizes[i], '.')) /* not the reserved ones, "2MB.rsvd" */
			hugetlb_size(w, field, cg, names, sizes[i]);
}

/* ---- the message -------------------------------------------------------------------------------
 */

int stats_collect(
	const struct cgroup *cg, enum cgroup_mode mode, struct stats *ret_stats, struct err *err)
{
	struct wire w = WIRE_INIT;
	struct stats s = {.type_url = mode == CGROUP_MODE_V2 ? "io.containerd.cgroups.v2.Metrics"
							     : "io.containerd.cgroups.v1.Metrics"};

	if (mode == CGROUP_MODE_V2)
		stats_v2(&w, cg);
	else
		stats_v1(&w, cg);
	if (wire_finish(&w, &s.data, &s.len) < 0)
		return err_sysf(err, ENOMEM, "stats");
	*ret_stats = s;
	return 0;
}
