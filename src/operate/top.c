#include "operate/top.h"

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/json.h"
#include "base/macro.h"
#include "base/str.h"
#include "operate/running.h"

/* A pod, or a container. */
struct row {
	const struct running *first; /* of its containers */
	size_t containers;
	uint64_t cpu_usec, memory_bytes;
};

struct table {
	struct row *v;
	size_t n;
	uint64_t elapsed_usec;
};

static bool is_same_pod(const struct running *a, const struct running *b)
{
	return a->names.pod && b->names.pod && str_eq(a->names.pod, b->names.pod) &&
	       str_eq(a->names.ns ? a->names.ns : "", b->names.ns ? b->names.ns : "");
}

static struct row *row_of(struct table *t, const struct running *r, bool each)
{
	for (size_t i = 0; !each && i < t->n; i++) {
		if (is_same_pod(t->v[i].first, r))
			return &t->v[i];
	}
	t->v[t->n] = (struct row) {.first = r};
	return &t->v[t->n++];
}

static int busiest_first(const void *a, const void *b)
{
	const struct row *x = a, *y = b;

	if (x->cpu_usec != y->cpu_usec)
		return x->cpu_usec < y->cpu_usec ? 1 : -1;
	return x->memory_bytes < y->memory_bytes ? 1 : x->memory_bytes > y->memory_bytes ? -1 : 0;
}

/* Rates need two readings; nothing tells when time has gone by but the clock. */
static int measure(struct running_list *list, uint64_t seconds, bool each, struct table *t)
{
	_cleanup_free_ uint64_t *before = calloc(list->n + 1, sizeof(*before));
	uint64_t begin = clock_boot_usec();

	t->v = calloc(list->n + 1, sizeof(*t->v));
	if (!before || !t->v)
		return -ENOMEM;
	for (size_t i = 0; i < list->n; i++) {
		running_measure(&list->v[i]);
		before[i] = list->v[i].cpu_usec;
	}
	(void)poll(NULL, 0, (int)seconds * 1000); /* how long it was is measured */
	for (size_t i = 0; i < list->n; i++) {
		struct running *r = &list->v[i];
		struct row *row = row_of(t, r, each);

		running_measure(r);
		row->containers++;
		row->memory_bytes += r->has_memory ? r->memory_bytes : 0;
		if (r->has_cpu && r->cpu_usec > before[i])
			row->cpu_usec += r->cpu_usec - before[i];
	}
	t->elapsed_usec = clock_boot_usec() - begin;
	t->elapsed_usec += t->elapsed_usec == 0;
	if (t->n > 0)
		qsort(t->v, t->n, sizeof(*t->v), busiest_first);
	return 0;
}

static uint64_t thousandths(const struct table *t, const struct row *row)
{
	return row->cpu_usec * 1000 / t->elapsed_usec;
}

static void print_table(const struct table *t, bool each)
{
	if (t->n == 0)
		(void)puts("no container of Reaper is on this node");
	else
		(void)printf("%8s %7s  %s\n", "CPU %", "MEMORY",
			each ? "POD, CONTAINER" : "POD, CONTAINERS");
	for (size_t i = 0; i < t->n; i++) {
		const struct row *row = &t->v[i];
		struct oci_pod_names names = row->first->names; /* borrowed */
		_cleanup_free_ char *name = NULL;
		char memory[RUNNING_BYTES_SIZE];

		if (!each)
			names.container = NULL;
		name = running_name(&names, row->first->info->record.id);
		running_bytes(row->memory_bytes, memory);
		(void)printf("%6" PRIu64 ".%" PRIu64 " %7s  %s", thousandths(t, row) / 10,
			thousandths(t, row) % 10, memory, name ? name : "?");
		if (!each && names.pod)
			(void)printf(" %zu", row->containers);
		(void)putchar('\n');
	}
}

static int put_row(
	struct json_object *list, const struct table *t, const struct row *row, bool each)
{
	const struct oci_pod_names *names = &row->first->names;
	struct json_object *o = json_new_object();

	if (json_put_str(o, "namespace", names->ns) < 0 || json_put_str(o, "pod", names->pod) < 0 ||
		json_put_u64(o, "cpu_millicores", thousandths(t, row)) < 0 ||
		json_put_u64(o, "memory_bytes", row->memory_bytes) < 0 ||
		json_put_u64(o, "containers", row->containers) < 0 ||
		(each && json_put_str(o, "container", names->container) < 0) ||
		((each || !names->pod) && json_put_str(o, "id", row->first->info->record.id) < 0)) {
		json_object_freep(&o);
		return -ENOMEM;
	}
	return json_append(list, o);
}

static int print_json(const struct table *t, bool each)
{
	_cleanup_(json_object_freep) struct json_object *o = json_new_object();
	struct json_object *all = json_new_list();
	int r = json_put_u64(o, "interval_ms", t->elapsed_usec / 1000);

	for (size_t i = 0; r == 0 && i < t->n; i++)
		r = put_row(all, t, &t->v[i], each);
	if (json_put_consume(o, "pods", all) < 0 || r < 0)
		return 1;
	return cli_print_json(o);
}

static int show(const struct cli_args *args)
{
	_cleanup_(running_done) struct running_list list = RUNNING_LIST_INIT;
	bool each = args->wide || args->format == CLI_FORMAT_WIDE;
	struct table t = {.v = NULL};
	struct err err = ERR_INIT;
	int r = running_find(args, &list, &err);

	if (r == 0 && measure(&list, args->interval_s, each, &t) < 0)
		r = err_sysf(&err, ENOMEM, "table");
	if (r < 0)
		(void)fprintf(stderr, "reaperctl: top: %s\n", err.text);
	else if (args->json || args->format == CLI_FORMAT_JSON)
		r = print_json(&t, each);
	else
		print_table(&t, each);
	free(t.v);
	return r != 0;
}

int top_command(const struct cli_args *args)
{
	int r;

	if (args->interval_s == 0) {
		(void)fputs("reaperctl: top: --interval: must be 1 or more\n", stderr);
		return CLI_EXIT_USAGE;
	}
	do {
		r = show(args);
		(void)fflush(stdout);
	} while (args->batch && r == 0 && !ferror(stdout));
	return r;
}
