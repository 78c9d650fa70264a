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
#include "base/num.h"
#include "cgroup/limits_file.h"
#include "cgroup/tree.h"

enum { VALUE_MAX = CGROUP_VALUE_MAX, FILE_TEXT_MAX = 4096 };

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
	/* an idle cgroup has no weight, and the kernel refuses one */
	if (cgroup_limits_has(l, CGROUP_CPU_IDLE) && l->value[CGROUP_CPU_IDLE] == 1)
		return 0;
	return unless_zero(l, v <= 0 ? 0 : (int64_t)cgroup_weight_from_shares((uint64_t)v), out);
}

uint64_t cgroup_io_weight(uint64_t weight)
{
	if (weight < 10)
		return 0;
	return 1 + ((weight > 1000 ? 1000 : weight) - 10) * 9999 / 990;
}

static int io_weight(const struct cgroup_limits *l, int64_t v, char out[VALUE_MAX])
{
	return unless_zero(l, v < 0 ? 0 : (int64_t)cgroup_io_weight((uint64_t)v), out);
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

/* v1's is both together, as OCI's; the kernel would say EINVAL and no more. */
static int swap_and_memory(const struct cgroup_limits *l, int64_t v, char out[VALUE_MAX])
{
	if (v > 0 && v < l->value[CGROUP_MEMORY_LIMIT])
		return -EINVAL;
	return unless_zero(l, v, out);
}

struct limit_file {
	enum cgroup_controller controller;
	const char *file;
	limit_format_fn *format; /* NULL: this version has no such limit */
	/* tried first: a kernel with the BFQ scheduler has this one, in OCI's own numbers */
	const char *bfq;
};

/* The order is that of writing; what the kernel refuses at first is tried again after the others.
 */
static const struct limit_row {
	enum cgroup_limit which;
	const char *name;
	struct limit_file v1, v2;
} rows[] = {
	{CGROUP_CPU_SHARES, "cpu.shares", {CGROUP_CPU, "cpu.shares", unless_zero},
		{CGROUP_CPU, "cpu.weight", weight}},
	{CGROUP_CPU_PERIOD, "cpu.period", {CGROUP_CPU, "cpu.cfs_period_us", unless_zero},
		{CGROUP_CPU, "cpu.max", cpu_max_of_period}},
	{CGROUP_CPU_QUOTA, "cpu.quota", {CGROUP_CPU, "cpu.cfs_quota_us", unless_zero},
		{CGROUP_CPU, "cpu.max", cpu_max}},
	{CGROUP_CPU_BURST, "cpu.burst", {CGROUP_CPU, "cpu.cfs_burst_us", as_is},
		{CGROUP_CPU, "cpu.max.burst", as_is}},
	{CGROUP_CPU_RT_PERIOD, "cpu.realtimePeriod", {CGROUP_CPU, "cpu.rt_period_us", unless_zero},
		{.format = NULL}},
	{CGROUP_CPU_RT_RUNTIME, "cpu.realtimeRuntime",
		{CGROUP_CPU, "cpu.rt_runtime_us", unless_zero}, {.format = NULL}},
	{CGROUP_CPU_IDLE, "cpu.idle", {CGROUP_CPU, "cpu.idle", as_is},
		{CGROUP_CPU, "cpu.idle", as_is}},
	{CGROUP_MEMORY_LIMIT, "memory.limit", {CGROUP_MEMORY, "memory.limit_in_bytes", unless_zero},
		{CGROUP_MEMORY, "memory.max", max_if_negative}},
	{CGROUP_MEMORY_SWAP, "memory.swap",
		{CGROUP_MEMORY, "memory.memsw.limit_in_bytes", swap_and_memory},
		{CGROUP_MEMORY, "memory.swap.max", swap_only}},
	{CGROUP_MEMORY_RESERVATION, "memory.reservation",
		{CGROUP_MEMORY, "memory.soft_limit_in_bytes", unless_zero},
		{CGROUP_MEMORY, "memory.low", max_if_negative}},
	{CGROUP_MEMORY_SWAPPINESS, "memory.swappiness", {CGROUP_MEMORY, "memory.swappiness", as_is},
		{.format = NULL}},
	{CGROUP_MEMORY_NO_OOM_KILL, "memory.disableOOMKiller",
		{CGROUP_MEMORY, "memory.oom_control", unless_zero}, {.format = NULL}},
	{CGROUP_PIDS_LIMIT, "pids", {CGROUP_PIDS, "pids.max", max_unless_positive},
		{CGROUP_PIDS, "pids.max", max_unless_positive}},
	{CGROUP_BLKIO_WEIGHT, "blockIO.weight",
		{CGROUP_BLKIO, "blkio.weight", unless_zero, "blkio.bfq.weight"},
		{CGROUP_IO, "io.weight", io_weight, "io.bfq.weight"}},
	{CGROUP_BLKIO_LEAF_WEIGHT, "blockIO.leafWeight",
		{CGROUP_BLKIO, "blkio.leaf_weight", unless_zero}, {.format = NULL}},
	{CGROUP_MEMORY_KERNEL_TCP, "memory.kernelTCP",
		{CGROUP_MEMORY, "memory.kmem.tcp.limit_in_bytes", unless_zero}, {.format = NULL}},
};

_Static_assert(ARRAY_LEN(rows) == _CGROUP_LIMIT_MAX, "one row per limit");

const struct cgroup_dir *cgroup_limit_dir(
	const struct cgroup *cg, enum cgroup_controller c, bool v2)
{
	for (size_t i = 0; i < cg->n; i++)
		if (cg->dirs[i].v2 == v2 && (cg->dirs[i].controllers & CGROUP_BIT(c)))
			return &cg->dirs[i];
	return NULL;
}

int cgroup_limit_note(char ***notes, const char *name, struct err *err)
{
	int r = notes ? strv_append(notes, name) : 0;

	return r < 0 ? err_sysf(err, -r, "limit %s", name) : 0;
}

int cgroup_limit_refused(
	int r, const char *dir, const char *file, const char *value, struct err *err)
{
	if (r == -EBUSY && str_has_prefix(file, "memory."))
		return err_setf(err, ERR_PRECONDITION, EBUSY,
			"writing \"%s\" to %s/%s: more than that is in use, and the kernel cannot "
			"free "
			"it",
			value, dir, file);
	return err_sysf(err, -r, "writing \"%s\" to %s/%s", value, dir, file);
}

static int put(const struct limit_writer *w, const struct cgroup_dir *d, const struct limit_file *f,
	const char *value, int64_t v)
{
	int r = -ENOENT;

	if (f->bfq) {
		char plain[VALUE_MAX];

		(void)snprintf(plain, sizeof(plain), "%" PRId64, v);
		r = w->put(w->ctx, d, f->bfq, plain);
	}
	return r == -ENOENT ? w->put(w->ctx, d, f->file, value) : r;
}

/*
 * One row. *again is set when the kernel said EINVAL or EBUSY: the value may only be wrong beside
 * another one that is not written yet (a quota against a period, a limit against memory+swap).
 */
static int apply_row(const struct limit_writer *w, const struct limit_row *row,
	const struct cgroup_limits *l, bool *again, struct err *err)
{
	const struct cgroup_dir *d = cgroup_limit_dir(w->cg, row->v1.controller, false);
	const struct limit_file *f = &row->v1;
	limit_format_fn *format;
	char value[VALUE_MAX];
	int r;

	if (!d) {
		f = &row->v2;
		d = f->format ? cgroup_limit_dir(w->cg, f->controller, true) : NULL;
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
		return cgroup_limit_note(w->notes, row->name, err);
	r = put(w, d, f, value, l->value[row->which]);
	if (r == -ENOENT)
		return cgroup_limit_note(w->notes, row->name, err);
	if ((r == -EINVAL || r == -EBUSY) && again) {
		*again = true;
		return 0;
	}
	return r < 0 ? cgroup_limit_refused(r, d->path, f->file, value, err) : 0;
}

/* A file with one or two numbers in it; "max" is -1. Returns how many there are. */
static int read_numbers(const struct cgroup_dir *d, const char *file, int64_t v[2])
{
	_cleanup_free_ char *text = NULL;
	char path[PATH_MAX], *save = NULL;
	int n = 0;

	if (cgroup_file_path(path, sizeof(path), d->path, file) < 0 ||
		file_read_at(AT_FDCWD, path, FILE_TEXT_MAX, &text, NULL, NULL) < 0)
		return 0;
	for (char *w = strtok_r(text, " \n", &save); w && n < 2; w = strtok_r(NULL, " \n", &save)) {
		v[n] = -1;
		if (!str_eq(w, "max") && num_parse_i64(w, -1, INT64_MAX, &v[n]) < 0)
			return n;
		n++;
	}
	return n;
}

/* v2 has two numbers in one file, or needs one to compute the other, as systemd's properties do:
 * what the caller leaves as it is, is read. */
static void complete_pairs(const struct cgroup *cg, struct cgroup_limits *l)
{
	const struct cgroup_dir *v1 = cgroup_limit_dir(cg, CGROUP_CPU, false),
				*cpu = cgroup_limit_dir(cg, CGROUP_CPU, true),
				*memory = cgroup_limit_dir(cg, CGROUP_MEMORY, true);
	bool quota = cgroup_limits_has(l, CGROUP_CPU_QUOTA) && l->value[CGROUP_CPU_QUOTA] != 0,
	     period = cgroup_limits_has(l, CGROUP_CPU_PERIOD) && l->value[CGROUP_CPU_PERIOD] != 0;
	int64_t v[2];

	if (v1 && quota && !period && read_numbers(v1, "cpu.cfs_period_us", v) == 1)
		cgroup_limits_set(l, CGROUP_CPU_PERIOD, v[0]);
	if (v1 && period && !quota && read_numbers(v1, "cpu.cfs_quota_us", v) == 1)
		cgroup_limits_set(l, CGROUP_CPU_QUOTA, v[0]);
	if (cpu && quota != period && read_numbers(cpu, "cpu.max", v) == 2) {
		if (!quota)
			cgroup_limits_set(l, CGROUP_CPU_QUOTA, v[0]);
		else if (v[1] > 0)
			cgroup_limits_set(l, CGROUP_CPU_PERIOD, v[1]);
	}
	if (memory && cgroup_limits_has(l, CGROUP_MEMORY_SWAP) &&
		l->value[CGROUP_MEMORY_SWAP] > 0 && !cgroup_limits_has(l, CGROUP_MEMORY_LIMIT) &&
		read_numbers(memory, "memory.max", v) == 1)
		cgroup_limits_set(l, CGROUP_MEMORY_LIMIT, v[0]);
}

int cgroup_limits_apply_numbers(
	const struct limit_writer *w, const struct cgroup_limits *limits, struct err *err)
{
	struct cgroup_limits copy = *limits, *l = &copy;
	bool again[ARRAY_LEN(rows)] = {false}, own_swap = false;
	struct limit_writer silent = *w;
	int r = 0;

	/* no memory limit and no word about swap: no limit of both together either (as runc) */
	if (cgroup_limits_has(l, CGROUP_MEMORY_LIMIT) && l->value[CGROUP_MEMORY_LIMIT] < 0 &&
		!cgroup_limits_has(l, CGROUP_MEMORY_SWAP)) {
		cgroup_limits_set(l, CGROUP_MEMORY_SWAP, -1);
		own_swap = true; /* nobody asked, so nobody is told that it cannot be had */
	}

	silent.notes = NULL;
	complete_pairs(w->cg, l);
	for (size_t i = 0; r == 0 && i < ARRAY_LEN(rows); i++)
		if (cgroup_limits_has(l, rows[i].which))
			r = apply_row(own_swap && rows[i].which == CGROUP_MEMORY_SWAP ? &silent : w,
				&rows[i], l, &again[i], err);
	for (size_t i = 0; r == 0 && i < ARRAY_LEN(rows); i++)
		if (again[i])
			r = apply_row(w, &rows[i], l, NULL, err);
	return r;
}

/* The writer of cgroup_limits_apply. */
static int put_file(void *ctx, const struct cgroup_dir *d, const char *file, const char *value)
{
	(void)ctx;
	return cgroup_file_put(d->path, file, value);
}

static int apply(const struct limit_writer *w, const struct cgroup_limits *limits, struct err *err)
{
	int r = cgroup_limits_apply_numbers(w, limits, err);

	if (r == 0 && limits->memory_kernel)
		r = cgroup_limit_note(w->notes, "memory.kernel", err);
	return r < 0 ? r : cgroup_limits_apply_lists(w, limits, err);
}

int cgroup_limits_apply(
	const struct cgroup *cg, const struct cgroup_limits *limits, char ***notes, struct err *err)
{
	const struct limit_writer w = {.cg = cg, .put = put_file, .notes = notes};

	return apply(&w, limits, err);
}

struct visitor {
	cgroup_limits_visit_fn *fn;
	void *ctx;
};

static int visit_file(void *ctx, const struct cgroup_dir *d, const char *file, const char *value)
{
	const struct visitor *v = ctx;

	return v->fn(v->ctx, d->v2, file, value);
}

int cgroup_limits_visit(const struct cgroup *cg, const struct cgroup_limits *limits,
	cgroup_limits_visit_fn *fn, void *ctx, struct err *err)
{
	struct visitor v = {fn, ctx};
	const struct limit_writer w = {.cg = cg, .put = visit_file, .ctx = &v};

	return apply(&w, limits, err);
}
