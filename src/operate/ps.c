#include "operate/ps.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/json.h"
#include "base/str.h"
#include "operate/running.h"

static int fail(const char *command, const struct err *err)
{
	(void)fprintf(stderr, "reaperctl: %s: %s\n", command, err->text);
	return 1;
}

static int put_numbers(struct json_object *o, const struct running *r)
{
	const struct store_record *record = &r->info->record;

	if (record->init_pid > 0 && json_put_i64(o, "pid", record->init_pid) < 0)
		return -ENOMEM;
	if (r->identity.known &&
		(json_put_u64(o, "uid", r->identity.uid) < 0 ||
			json_put_u64(o, "gid", r->identity.gid) < 0 ||
			json_put_str(o, "capabilities", r->identity.capabilities) < 0))
		return -ENOMEM;
	if (r->has_memory && json_put_u64(o, "memory_bytes", r->memory_bytes) < 0)
		return -ENOMEM;
	if (r->has_cpu && json_put_u64(o, "cpu_usec", r->cpu_usec) < 0)
		return -ENOMEM;
	if (record->exited && json_put_u64(o, "exit_status", record->exit_status) < 0)
		return -ENOMEM;
	return 0;
}

static int put_container(struct json_object *list, const struct running *r)
{
	const struct store_record *record = &r->info->record;
	struct json_object *o = json_new_object();
	char created[CLOCK_TEXT_SIZE];

	clock_text(record->created.tv_sec, created);
	if (json_put_str(o, "namespace", r->names.ns) < 0 ||
		json_put_str(o, "pod", r->names.pod) < 0 ||
		json_put_str(o, "container", r->names.container) < 0 ||
		json_put_str(o, "id", record->id) < 0 ||
		json_put_str(o, "containerd_namespace", record->ns) < 0 ||
		json_put_str(o, "status", running_status(r)) < 0 ||
		json_put_str(o, "created", record->created.tv_sec ? created : NULL) < 0 ||
		json_put_str(o, "group", record->view) < 0 ||
		json_put_str(o, "bundle", r->info->bundle) < 0 ||
		json_put_strv(o, "cgroups", record->cgroups) < 0 || put_numbers(o, r) < 0) {
		json_object_freep(&o);
		return -ENOMEM;
	}
	return json_append(list, o);
}

static int print_json(const struct running_list *list)
{
	_cleanup_(json_object_freep) struct json_object *o = json_new_object();
	struct json_object *all = json_new_list();
	int r = 0;

	for (size_t i = 0; r == 0 && i < list->n; i++)
		r = put_container(all, &list->v[i]);
	if (json_put_consume(o, "containers", all) < 0 || r < 0)
		return 1;
	return cli_print_json(o);
}

struct cells {
	char age[RUNNING_AGE_SIZE], uid[16], memory[RUNNING_BYTES_SIZE], cpu[24];
};

static struct cells cells_of(const struct running *r)
{
	struct cells c = {.age = "-", .uid = "-", .memory = "-", .cpu = "-"};

	if (r->info->record.created.tv_sec)
		running_age(clock_wall().tv_sec - r->info->record.created.tv_sec, c.age);
	if (r->identity.known)
		(void)snprintf(c.uid, sizeof(c.uid), "%u", r->identity.uid);
	if (r->has_memory)
		running_bytes(r->memory_bytes, c.memory);
	if (r->has_cpu)
		(void)snprintf(c.cpu, sizeof(c.cpu), "%" PRIu64 ".%02" PRIu64,
			r->cpu_usec / 1000000, r->cpu_usec / 10000 % 100);
	return c;
}

static void print_table(const struct running_list *list, bool wide)
{
	(void)printf("%-8s %5s %6s %7s %8s  %-12s %s%s\n", "STATUS", "AGE", "UID", "MEMORY",
		"CPU s", "GROUP", wide ? "    PID  ID  " : "", "POD, CONTAINER");
	for (size_t i = 0; i < list->n; i++) {
		const struct running *r = &list->v[i];
		struct cells c = cells_of(r);
		_cleanup_free_ char *name = running_name(&r->names, r->info->record.id);

		(void)printf("%-8s %5s %6s %7s %8s  %-12s ", running_status(r), c.age, c.uid,
			c.memory, c.cpu, r->info->record.view ? r->info->record.view : "-");
		if (wide)
			(void)printf(
				"%7d  %s  ", (int)r->info->record.init_pid, r->info->record.id);
		(void)puts(name ? name : "?");
	}
}

int ps_command(const struct cli_args *args)
{
	_cleanup_(running_done) struct running_list list = RUNNING_LIST_INIT;
	struct err err = ERR_INIT;

	if (running_find(args, &list, &err) < 0)
		return fail("ps", &err);
	if (args->json || args->format == CLI_FORMAT_JSON)
		return print_json(&list);
	if (list.n == 0)
		(void)puts("no container of Reaper is on this node");
	else
		print_table(&list, args->wide || args->format == CLI_FORMAT_WIDE);
	return 0;
}

/* ---- inspect ---- */

/* Without the mark of what is ours to remove (cgroup_to_strv). */
static void print_cgroup(const char *dir)
{
	const char *mark = strstr(dir, "/./");
	int ours = mark ? (int)(mark - dir) : 0;

	(void)printf("  cgroup        %.*s%s\n", ours, dir, mark ? mark + 2 : dir);
}

static bool is_meant(const struct running *r, const char *word)
{
	const char *slash = strchr(word, '/');

	if (slash)
		return r->names.pod && r->names.ns && str_eq(r->names.pod, slash + 1) &&
		       strlen(r->names.ns) == (size_t)(slash - word) &&
		       strncmp(r->names.ns, word, (size_t)(slash - word)) == 0;
	return (r->names.pod && str_eq(r->names.pod, word)) ||
	       str_has_prefix(r->info->record.id, word);
}

/* As Kubernetes makes names: what people copy into a shell is nothing else. */
static bool is_plain(const char *name)
{
	return !str_empty(name) &&
	       name[strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789.-")] == '\0';
}

/* What to type for its logs, a shell in it, and its end. */
static void print_lines(const struct running *r)
{
	const char *id = r->info->record.id, *ns = r->info->record.ns;
	const char *kube = r->names.ns, *pod = r->names.pod, *container = r->names.container;

	if (is_plain(kube) && is_plain(pod) && is_plain(container)) {
		(void)printf("  kubectl logs -n %s %s -c %s\n", kube, pod, container);
		(void)printf("  kubectl exec -n %s -it %s -c %s -- sh\n", kube, pod, container);
		(void)printf("  kubectl delete pod -n %s %s\n", kube, pod);
		(void)printf("  crictl logs %s\n", id);
		(void)printf("  crictl exec -it %s sh\n", id);
		(void)printf("  crictl stop %s\n", id);
	}
	(void)printf("  ctr -n %s tasks exec -t --exec-id sh1 %s sh\n", ns, id);
	(void)printf("  ctr -n %s tasks kill -s SIGTERM %s\n", ns, id);
}

static void print_one(const struct running *r)
{
	const struct store_record *record = &r->info->record;
	struct cells c = cells_of(r);
	_cleanup_free_ char *name = running_name(&r->names, record->id);
	char created[CLOCK_TEXT_SIZE];

	clock_text(record->created.tv_sec, created);
	(void)printf(
		"%s\n  id            %s\n  namespace     %s (containerd's)\n  status        %s",
		name ? name : "?", record->id, record->ns, running_status(r));
	if (record->exited)
		(void)printf(", status %u", record->exit_status);
	(void)printf("\n  created       %s (%s ago)\n  pid           %d\n",
		record->created.tv_sec ? created : "-", c.age, (int)record->init_pid);
	if (r->identity.known)
		(void)printf("  user, group   %u, %u\n  capabilities  %s\n", r->identity.uid,
			r->identity.gid, r->identity.capabilities);
	(void)printf("  overlay       %s\n  memory, CPU   %s, %s s\n  bundle        %s\n",
		record->view ? record->view : "-", c.memory, c.cpu, r->info->bundle);
	for (char **dir = record->cgroups; dir && *dir; dir++)
		print_cgroup(*dir);
	print_lines(r);
}

int inspect_command(const struct cli_args *args)
{
	_cleanup_(running_done) struct running_list list = RUNNING_LIST_INIT;
	struct running_list meant = RUNNING_LIST_INIT;
	struct err err = ERR_INIT;

	if (!args->operand) {
		(void)fputs("reaperctl: inspect: which one? reaperctl inspect ID|POD (see: "
			    "reaperctl ps)\n",
			stderr);
		return CLI_EXIT_USAGE;
	}
	if (running_find(args, &list, &err) < 0)
		return fail("inspect", &err);
	for (size_t i = 0; i < list.n; i++) { /* those that are meant come first */
		struct running r = list.v[i];

		if (!is_meant(&r, args->operand))
			continue;
		list.v[i] = list.v[meant.n];
		list.v[meant.n++] = r;
	}
	meant.v = list.v;
	if (meant.n == 0) {
		(void)err_setf(&err, ERR_NOT_FOUND, ENOENT,
			"%.300s: no container and no pod of this name is here; see reaperctl ps",
			args->operand);
		return fail("inspect", &err);
	}
	if (args->json)
		return print_json(&meant);
	for (size_t i = 0; i < meant.n; i++)
		print_one(&meant.v[i]);
	return 0;
}
