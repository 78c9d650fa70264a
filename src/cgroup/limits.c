#include "cgroup/limits.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/cleanup.h"
#include "base/file.h"
#include "base/str.h"
#include "cgroup/tree.h"

enum { VALUE_MAX = 64, UNIFIED_KEY_MAX = 128 };

uint64_t cgroup_weight_from_shares(uint64_t shares)
{
	if (shares == 0)
		return 0;
	if (shares < 2)
		shares = 2;
	if (shares > 262144)
		shares = 262144;
	return 1 + (shares - 2) * 9999 / 262142;
}

/*
 * What to write for one limit: the text in `out`, and 1; 0: nothing is to be written; -EINVAL: the
 * limits contradict each other.
 */
typedef int limit_format_fn(const struct cgroup_limits *l, int64_t v, char out[VALUE_MAX]);

static int as_is(const struct cgroup_limits *l, int64_t v, char out[VALUE_MAX])
{
	(void)l;
	(void)snprintf(out, VALUE_MAX, "%" PRId64, v);
	return 1;
}

/* For limits of which 0 says "not set". */
static int unless_zero(const struct cgroup_limits *l, int64_t v, char out[VALUE_MAX])
{
	return v == 0 ? 0 : as_is(l, v, out);
}

static int max_if_negative(const struct cgroup_limits *l, int64_t v, char out[VALUE_MAX])
{
	if (v >= 0)
		return unless_zero(l, v, out);
	(void)snprintf(out, VALUE_MAX, "max");
	return 1;
}

static int max_unless_positive(const struct cgroup_limits *l, int64_t v, char out[VALUE_MAX])
{
	return max_if_negative(l, v <= 0 ? -1 : v, out);
}

static int weight(const struct cgroup_limits *l, int64_t v, char out[VALUE_MAX])
{
	return unless_zero(l, v <= 0 ? 0 : (int64_t)cgroup_weight_from_shares((uint64_t)v), out);
}

/* 10…1000 to 1…10000 */
static int io_weight(const struct cgroup_limits *l, int64_t v, char out[VALUE_MAX])
{
	return unless_zero(l, v < 10 ? 0 : 1 + (v - 10) * 9999 / 990, out);
}

static int cpu_max(const struct cgroup_limits *l, int64_t v, char out[VALUE_MAX])
{
	int64_t quota = l->value[CGROUP_CPU_QUOTA], period = l->value[CGROUP_CPU_PERIOD];

	(void)v;
	if (quota == 0 && period == 0)
		return 0;
	if (period == 0)
		period = 100000;
	if (quota > 0)
		(void)snprintf(out, VALUE_MAX, "%" PRId64 " %" PRId64, quota, period);
	else
		(void)snprintf(out, VALUE_MAX, "max %" PRId64, period);
	return 1;
}

/* cpu.max is written once, with the quota, or for the period when there is none. */
static int cpu_max_of_period(const struct cgroup_limits *l, int64_t v, char out[VALUE_MAX])
{
	return cgroup_limits_has(l, CGROUP_CPU_QUOTA) ? 0 : cpu_max(l, v, out);
}

/* OCI's swap is memory and swap together, v2's is swap alone. */
static int swap_only(const struct cgroup_limits *l, int64_t v, char out[VALUE_MAX])
{
	int64_t memory = l->value[CGROUP_MEMORY_LIMIT];

	if (v <= 0)
		return max_if_negative(l, v, out);
	if (memory <= 0 || v < memory)
		return -EINVAL;
	return as_is(l, v - memory, out);
}

struct limit_file {
	enum cgroup_controller controller;
	const char *file, *alternative; /* the second where the kernel has not the first */
	limit_format_fn *format;        /* NULL: this version has no such limit */
};

/* The order is that of writing; what the kernel refuses at first is tried again after the others.
 */
static const struct limit_row {
	enum cgroup_limit which;
	const char *name;
	struct limit_file v1, v2;
} rows[] = {
	{CGROUP_CPU_SHARES, "cpu.shares", {CGROUP_CPU, "cpu.shares", NULL, unless_zero},
		{CGROUP_CPU, "cpu.weight", NULL, weight}},
	{CGROUP_CPU_PERIOD, "cpu.period", {CGROUP_CPU, "cpu.cfs_period_us", NULL, unless_zero},
		{CGROUP_CPU, "cpu.max", NULL, cpu_max_of_period}},
	{CGROUP_CPU_QUOTA, "cpu.quota", {CGROUP_CPU, "cpu.cfs_quota_us", NULL, unless_zero},
		{CGROUP_CPU, "cpu.max", NULL, cpu_max}},
	{CGROUP_CPU_BURST, "cpu.burst", {CGROUP_CPU, "cpu.cfs_burst_us", NULL, as_is},
		{CGROUP_CPU, "cpu.max.burst", NULL, as_is}},
	{CGROUP_CPU_RT_PERIOD, "cpu.realtimePeriod",
		{CGROUP_CPU, "cpu.rt_period_us", NULL, unless_zero}, {.format = NULL}},
	{CGROUP_CPU_RT_RUNTIME, "cpu.realtimeRuntime",
		{CGROUP_CPU, "cpu.rt_runtime_us", NULL, unless_zero}, {.format = NULL}},
	{CGROUP_CPU_IDLE, "cpu.idle", {CGROUP_CPU, "cpu.idle", NULL, as_is},
		{CGROUP_CPU, "cpu.idle", NULL, as_is}},
	{CGROUP_MEMORY_LIMIT, "memory.limit",
		{CGROUP_MEMORY, "memory.limit_in_bytes", NULL, unless_zero},
		{CGROUP_MEMORY, "memory.max", NULL, max_if_negative}},
	{CGROUP_MEMORY_SWAP, "memory.swap",
		{CGROUP_MEMORY, "memory.memsw.limit_in_bytes", NULL, unless_zero},
		{CGROUP_MEMORY, "memory.swap.max", NULL, swap_only}},
	{CGROUP_MEMORY_RESERVATION, "memory.reservation",
		{CGROUP_MEMORY, "memory.soft_limit_in_bytes", NULL, unless_zero},
		{CGROUP_MEMORY, "memory.low", NULL, max_if_negative}},
	{CGROUP_MEMORY_SWAPPINESS, "memory.swappiness",
		{CGROUP_MEMORY, "memory.swappiness", NULL, as_is}, {.format = NULL}},
	{CGROUP_MEMORY_NO_OOM_KILL, "memory.disableOOMKiller",
		{CGROUP_MEMORY, "memory.oom_control", NULL, unless_zero}, {.format = NULL}},
	{CGROUP_PIDS_LIMIT, "pids", {CGROUP_PIDS, "pids.max", NULL, max_unless_positive},
		{CGROUP_PIDS, "pids.max", NULL, max_unless_positive}},
	{CGROUP_BLKIO_WEIGHT, "blockIO.weight",
		{CGROUP_BLKIO, "blkio.weight", "blkio.bfq.weight", unless_zero},
		{CGROUP_IO, "io.weight", "io.bfq.weight", io_weight}},
};

_Static_assert(ARRAY_LEN(rows) == _CGROUP_LIMIT_MAX, "one row per limit");

/* The directory in which one version's controller works. */
static const struct cgroup_dir *dir_of(const struct cgroup *cg, enum cgroup_controller c, bool v2)
{
	for (size_t i = 0; i < cg->n; i++)
		if (cg->dirs[i].v2 == v2 && (cg->dirs[i].controllers & CGROUP_BIT(c)))
			return &cg->dirs[i];
	return NULL;
}

static int note(char ***notes, const char *name, struct err *err)
{
	int r = notes ? strv_append(notes, name) : 0;

	return r < 0 ? err_sysf(err, -r, "limit %s", name) : 0;
}

static int write_refused(
	int r, const char *dir, const char *file, const char *value, struct err *err)
{
	return err_sysf(err, -r, "writing \"%s\" to %s/%s", value, dir, file);
}

/*
 * One row. *again is set when the kernel said EINVAL or EBUSY: the value may only be wrong beside
 * another one that is not written yet (a quota against a period, a limit against memory+swap).
 */
static int apply_row(const struct cgroup *cg, const struct limit_row *row,
	const struct cgroup_limits *l, char ***notes, bool *again, struct err *err)
{
	const struct cgroup_dir *d = dir_of(cg, row->v1.controller, false);
	const struct limit_file *f = &row->v1;
	limit_format_fn *format;
	char value[VALUE_MAX];
	int r;

	if (!d) {
		f = &row->v2;
		d = f->format ? dir_of(cg, f->controller, true) : NULL;
	}
	/* also for the host that has it not: "nothing to write" is nothing to complain about */
	format = f->format ? f->format : row->v1.format;
	assert(format); /* every limit exists in one version at least */
	r = format(l, l->value[row->which], value);
	if (r == 0)
		return 0;
	if (r < 0)
		return err_setf(err, ERR_INVALID, EINVAL,
			"limit %s: %" PRId64 " does not go with the other limits", row->name,
			l->value[row->which]);
	if (!d)
		return note(notes, row->name, err);
	r = cgroup_file_put(d->path, f->file, value);
	if (r == -ENOENT && f->alternative)
		r = cgroup_file_put(d->path, f->alternative, value);
	if (r == -ENOENT)
		return note(notes, row->name, err);
	if ((r == -EINVAL || r == -EBUSY) && again) {
		*again = true;
		return 0;
	}
	return r < 0 ? write_refused(r, d->path, f->file, value, err) : 0;
}

static int apply_numbers(
	const struct cgroup *cg, const struct cgroup_limits *limits, char ***notes, struct err *err)
{
	struct cgroup_limits copy = *limits, *l = &copy;
	bool again[ARRAY_LEN(rows)] = {false}, own_swap = false;
	int r = 0;

	/* no memory limit and no word about swap: no limit of both together either (as runc) */
	if (cgroup_limits_has(l, CGROUP_MEMORY_LIMIT) && l->value[CGROUP_MEMORY_LIMIT] < 0 &&
		!cgroup_limits_has(l, CGROUP_MEMORY_SWAP)) {
		cgroup_limits_set(l, CGROUP_MEMORY_SWAP, -1);
		own_swap = true; /* nobody asked, so nobody is told that it cannot be had */
	}

	for (size_t i = 0; r == 0 && i < ARRAY_LEN(rows); i++)
		if (cgroup_limits_has(l, rows[i].which))
			r = apply_row(cg, &rows[i], l,
				own_swap && rows[i].which == CGROUP_MEMORY_SWAP ? NULL : notes,
				&again[i], err);
	for (size_t i = 0; r == 0 && i < ARRAY_LEN(rows); i++)
		if (again[i])
			r = apply_row(cg, &rows[i], l, notes, NULL, err);
	return r;
}

/* A file of the same name in both versions. */
static int apply_cpuset(const struct cgroup *cg, const char *file, const char *value, char ***notes,
	struct err *err)
{
	size_t i;
	int r;

	if (str_empty(value))
		return 0;
	if (!cgroup_has(cg, CGROUP_CPUSET, &i))
		return note(notes, file, err);
	r = cgroup_file_put(cg->dirs[i].path, file, value);
	return r < 0 ? write_refused(r, cg->dirs[i].path, file, value, err) : 0;
}

/* "2MB", "1GB", "64KB": it becomes a part of a file name. */
static bool is_page_size(const char *s)
{
	size_t digits = strspn(s, "0123456789");

	return digits > 0 && digits < 8 && strchr("KMGT", s[digits]) && s[digits] &&
	       str_eq(s + digits + 1, "B");
}

static int apply_hugetlb(
	const struct cgroup *cg, const struct cgroup_hugetlb *h, char ***notes, struct err *err)
{
	char file[64], reserved[64], value[VALUE_MAX];
	const char *suffix;
	size_t i;
	int r;

	if (!is_page_size(h->page_size))
		return err_setf(err, ERR_INVALID, EINVAL, "hugepage limit: \"%s\" is no page size",
			h->page_size);
	(void)snprintf(value, sizeof(value), "%" PRIu64, h->limit);
	(void)snprintf(file, sizeof(file), "hugetlb.%s", h->page_size);
	if (!cgroup_has(cg, CGROUP_HUGETLB, &i))
		return note(notes, file, err);
	suffix = cg->dirs[i].v2 ? "max" : "limit_in_bytes";
	(void)snprintf(file, sizeof(file), "hugetlb.%s.%s", h->page_size, suffix);
	(void)snprintf(reserved, sizeof(reserved), "hugetlb.%s.rsvd.%s", h->page_size, suffix);
	r = cgroup_file_put(cg->dirs[i].path, file, value);
	if (r == -ENOENT)
		return note(notes, file, err);
	if (r < 0)
		return write_refused(r, cg->dirs[i].path, file, value, err);
	r = cgroup_file_put(cg->dirs[i].path, reserved, value); /* not before Linux 5.7 */
	if (r < 0 && r != -ENOENT)
		return write_refused(r, cg->dirs[i].path, reserved, value, err);
	return 0;
}

/* A key is a file name of a controller; of the core's files only the two limits. */
static bool is_unified_key(const char *key)
{
	if (!strchr(key, '.') || key[0] == '.' || strchr(key, '/') || strlen(key) > UNIFIED_KEY_MAX)
		return false;
	return !str_has_prefix(key, "cgroup.") || str_eq(key, "cgroup.max.depth") ||
	       str_eq(key, "cgroup.max.descendants");
}

static int apply_unified(
	const struct cgroup *cg, const struct cgroup_unified *u, char ***notes, struct err *err)
{
	const struct cgroup_dir *d = cg->n > 0 ? &cg->dirs[cg->n - 1] : NULL;
	int r;

	if (!is_unified_key(u->key))
		return err_setf(err, ERR_INVALID, EINVAL,
			"linux.resources.unified: \"%.*s\" is no limit of cgroup v2",
			UNIFIED_KEY_MAX, u->key);
	if (!d || !d->v2)
		return note(notes, u->key, err);
	r = cgroup_file_put(d->path, u->key, u->value);
	if (r == -ENOENT)
		return note(notes, u->key, err);
	return r < 0 ? write_refused(r, d->path, u->key, u->value, err) : 0;
}

int cgroup_limits_apply(
	const struct cgroup *cg, const struct cgroup_limits *limits, char ***notes, struct err *err)
{
	int r = apply_numbers(cg, limits, notes, err);

	if (r == 0)
		r = apply_cpuset(cg, "cpuset.cpus", limits->cpus, notes, err);
	if (r == 0)
		r = apply_cpuset(cg, "cpuset.mems", limits->mems, notes, err);
	for (size_t i = 0; r == 0 && i < limits->n_hugetlb; i++)
		r = apply_hugetlb(cg, &limits->hugetlb[i], notes, err);
	for (size_t i = 0; r == 0 && i < limits->n_unified; i++)
		r = apply_unified(cg, &limits->unified[i], notes, err);
	return r;
}
