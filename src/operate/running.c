#include "operate/running.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/cleanup.h"
#include "base/str.h"
#include "cgroup/cgroup.h"
#include "cgroup/read.h"
#include "cli/text.h"

static int cpu_of(const struct cgroup *cg, uint64_t *ret_usec)
{
	_cleanup_free_ char *text = NULL;
	uint64_t ns;
	int r = cgroup_read_u64(cg, CGROUP_CPUACCT, "cpuacct.usage", &ns);

	if (r == 0) {
		*ret_usec = ns / 1000;
		return 0;
	}
	r = cgroup_read_v2(cg, "cpu.stat", &text);
	return r < 0 ? r : cgroup_text_value(text, "usage_usec", ret_usec);
}

void running_measure(struct running *r)
{
	_cleanup_(cgroup_done) struct cgroup cg = CGROUP_INIT;

	if (!r->info->record.cgroups || cgroup_from_strv(r->info->record.cgroups, &cg, NULL) < 0)
		return;
	r->has_memory =
		cgroup_read_u64(&cg, CGROUP_MEMORY, "memory.current", &r->memory_bytes) == 0 ||
		cgroup_read_u64(&cg, CGROUP_MEMORY, "memory.usage_in_bytes", &r->memory_bytes) == 0;
	r->has_cpu = cpu_of(&cg, &r->cpu_usec) == 0;
}

static int read_pod(struct running *r)
{
	_cleanup_(oci_annotations_done) struct oci_annotations a = {0};

	/* a bundle without annotations, or half of one: what there is still runs */
	(void)oci_annotations_load(r->info->bundle, &a, NULL);
	return oci_pod_names_copy(&a, &r->names);
}

bool running_is_wanted(const struct cli_args *args, const struct oci_pod_names *names)
{
	if (args->pod && (!names->pod || !str_eq(names->pod, args->pod)))
		return false;
	return !args->pod_namespace || (names->ns && str_eq(names->ns, args->pod_namespace));
}

char *running_name(const struct oci_pod_names *names, const char *id)
{
	_cleanup_free_ char *name = NULL;

	if (!names->pod)
		return text_escape(id);
	if (str_printf(&name, "%s/%s%s%s", names->ns ? names->ns : "", names->pod,
		    names->container ? " " : "", names->container ? names->container : "") < 0)
		return NULL;
	return text_escape(name);
}

static void running_free(struct running *r)
{
	oci_pod_names_done(&r->names);
	identity_done(&r->identity);
	*r = (struct running) {.info = NULL};
}

int running_find(const struct cli_args *args, struct running_list *ret, struct err *err)
{
	int r = containers_find(NULL, &ret->all, err);

	if (r < 0)
		return r;
	for (char **w = ret->all.warnings; w && *w; w++)
		(void)fprintf(stderr, "reaperctl: %s\n", *w);
	ret->v = calloc(ret->all.n + 1, sizeof(*ret->v));
	for (size_t i = 0; ret->v && i < ret->all.n; i++) {
		struct running *now = &ret->v[ret->n];

		now->info = &ret->all.v[i];
		if (now->info->record.sandbox)
			continue;
		if (read_pod(now) < 0) {
			running_free(now);
			return err_sysf(err, ENOMEM, "list of containers");
		}
		if (!running_is_wanted(args, &now->names)) {
			running_free(now);
			continue;
		}
		if (now->info->status != CONTAINER_STOPPED)
			identity_read(now->info->record.init_pid, &now->identity);
		running_measure(now);
		ret->n++;
	}
	return ret->v ? 0 : err_sysf(err, ENOMEM, "list of containers");
}

void running_done(struct running_list *list)
{
	for (size_t i = 0; i < list->n; i++)
		running_free(&list->v[i]);
	free(list->v);
	containers_done(&list->all);
	*list = (struct running_list)RUNNING_LIST_INIT;
}

void running_age(int64_t seconds, char buf[RUNNING_AGE_SIZE])
{
	static const struct {
		int64_t from, unit;
		char name;
	} steps[] = {{2 * 86400, 86400, 'd'}, {2 * 3600, 3600, 'h'}, {120, 60, 'm'}, {0, 1, 's'}};
	size_t i = 0;

	seconds = seconds < 0 ? 0 : seconds;
	while (seconds < steps[i].from)
		i++;
	(void)snprintf(
		buf, RUNNING_AGE_SIZE, "%" PRId64 "%c", seconds / steps[i].unit, steps[i].name);
}

void running_bytes(uint64_t bytes, char buf[RUNNING_BYTES_SIZE])
{
	static const char units[] = "KMGT";
	uint64_t tenths = bytes * 10 / 1024;
	size_t unit = 0;

	while (tenths >= 10240 && unit < sizeof(units) - 2) {
		tenths /= 1024;
		unit++;
	}
	if (unit == 0)
		(void)snprintf(buf, RUNNING_BYTES_SIZE, "%" PRIu64 "K", tenths / 10);
	else
		(void)snprintf(buf, RUNNING_BYTES_SIZE, "%" PRIu64 ".%" PRIu64 "%c", tenths / 10,
			tenths % 10, units[unit]);
}

const char *running_status(const struct running *r)
{
	static const char *const names[_CONTAINER_STATUS_MAX] = {
		[CONTAINER_CREATED] = "created",
		[CONTAINER_RUNNING] = "running",
		[CONTAINER_PAUSED] = "paused",
		[CONTAINER_STOPPED] = "stopped",
	};

	return names[r->info->status];
}
