/* reaperctl overlay show, diff, export, reset: one group, --group or the node's own. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <unistd.h>
#include "base/cleanup.h"
#include "base/json.h"
#include "base/str.h"
#include "conf/settings.h"
#include "groups/groups.h"
#include "uppers/overlay.h"
#include "cli/text.h"
#include "uppers/upper_diff.h"
#include "uppers/upper_export.h"
#include "store/layout.h"
#include "view/uppers.h"

/* The group that a command is about. */
struct target {
	struct store_layout layout;
	struct store_group group;
	struct mount_group_spec spec;
	struct mount_uppers uppers;
};

#define TARGET_INIT                                                     \
	{                                                               \
		.layout = STORE_LAYOUT_INIT, .group = STORE_GROUP_INIT, \
		.uppers = MOUNT_UPPERS_INIT,                            \
	}

static void target_done(struct target *t)
{
	mount_uppers_done(&t->uppers);
	store_group_done(&t->group);
	store_layout_done(&t->layout);
}

static int fail(const char *command, const struct err *err)
{
	(void)fprintf(stderr, "reaperctl: overlay %s: %s\n", command, err->text);
	return 1;
}

static int find_group(const struct cli_args *args, struct target *t, struct err *err)
{
	const char *key = args->group ? args->group : STORE_GROUP_NODE_KEY;
	struct settings s = SETTINGS_INIT;
	_cleanup_free_ char *checked = NULL;
	int r = settings_load(NULL, environ, NULL, 0, &s, err);

	if (r < 0)
		return r;
	r = store_layout_init(&t->layout, NULL, s.overlay_base, err);
	settings_done(&s);
	if (r == 0)
		r = store_ns_path(&t->layout, key, &checked, err);
	if (r == 0)
		r = store_group_load(&t->layout, key, &t->group, err);
	if (r == 0)
		t->spec = groups_mount_spec(&t->layout, &t->group);
	return r;
}

static int find_uppers(const struct cli_args *args, struct target *t, struct err *err)
{
	int r = find_group(args, t, err);

	return r < 0 ? r : mount_group_uppers(&t->spec, &t->uppers, err);
}

/* ---- show ---- */

static int show_json(const struct target *t, const struct mount_group_info *info, struct err *err)
{
	_cleanup_(json_object_freep) struct json_object *o = json_new_object();
	struct json_object *layers = json_new_list();
	int r = 0;

	for (size_t i = 0; i < t->uppers.n && r == 0; i++) {
		struct json_object *layer = json_new_object();

		r = json_put_str(layer, "over", t->uppers.v[i].point);
		if (r == 0)
			r = json_put_str(layer, "upper", t->uppers.v[i].dir);
		r = json_append(layers, layer) < 0 ? -ENOMEM : r;
	}
	if (json_put_consume(o, "layers", layers) < 0 || r < 0 ||
		json_put_str(o, "group", t->group.key) < 0 ||
		json_put_str(o, "scope", store_group_scope_name(t->group.scope)) < 0 ||
		json_put_str(o, "namespace", t->group.ns) < 0 ||
		json_put_str(o, "name", t->group.name) < 0 ||
		json_put_str(o, "pod", t->group.pod) < 0 ||
		json_put_u64(o, "size_bytes", info->size_bytes) < 0 ||
		json_put_u64(o, "used_bytes", info->used_bytes) < 0 ||
		json_put_u64(o, "inodes", info->inodes) < 0 ||
		json_put_u64(o, "used_inodes", info->used_inodes) < 0 ||
		json_put_u64(o, "processes", info->processes) < 0)
		return err_sysf(err, ENOMEM, "group");
	return cli_print_json(o);
}

static void show_text(const struct target *t, const struct mount_group_info *info)
{
	(void)printf("group      %s\nscope      %s\n", t->group.key,
		store_group_scope_name(t->group.scope));
	if (t->group.ns)
		(void)printf("namespace  %s\n", t->group.ns);
	if (t->group.name) {
		_cleanup_free_ char *name = text_escape(t->group.name);

		(void)printf("name       %s\n", name ? name : "");
	}
	if (t->group.pod)
		(void)printf("pod        %s\n", t->group.pod);
	(void)printf("bytes      %llu of %llu\nfiles      %llu of %llu\nprocesses  %u\n",
		(unsigned long long)info->used_bytes, (unsigned long long)info->size_bytes,
		(unsigned long long)info->used_inodes, (unsigned long long)info->inodes,
		info->processes);
	for (size_t i = 0; i < t->uppers.n; i++)
		(void)printf("layer      %s: %s\n", t->uppers.v[i].point, t->uppers.v[i].dir);
}

int overlay_show_command(const struct cli_args *args)
{
	_cleanup_(target_done) struct target t = TARGET_INIT;
	struct mount_group_info info;
	struct err err = ERR_INIT;
	int r = find_uppers(args, &t, &err);

	if (r == 0)
		r = mount_group_inspect(&t.spec, &info, &err);
	if (r == 0 && args->json)
		r = show_json(&t, &info, &err);
	else if (r == 0)
		show_text(&t, &info);
	return r < 0 ? fail("show", &err) : r;
}

/* ---- diff ---- */

static const char *const kind_names[] = {
	[UPPER_ADDED] = "added", [UPPER_CHANGED] = "changed", [UPPER_DELETED] = "deleted"};

static int open_upper(const struct mount_upper *u, struct err *err)
{
	int fd = open(u->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);

	return fd < 0 ? err_sysf(err, errno, "%s", u->dir) : fd;
}

/* The layer below, without what is mounted on it: a copy of the mount that nobody else sees. */
static int open_lower(const struct mount_upper *u)
{
	return open_tree(AT_FDCWD, u->point, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_NO_AUTOMOUNT);
}

static int diff_layer(const struct mount_upper *u, struct upper_changes *changes, struct err *err)
{
	_cleanup_close_ int upper = open_upper(u, err), tree = open_lower(u);
	/* of the open_tree only the place can be used */
	_cleanup_close_ int lower =
		tree < 0 ? -EBADF : openat(tree, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (upper < 0)
		return upper;
	if (lower < 0)
		return err_sysf(err, errno, "%s of the node", u->point);
	return upper_diff(upper, lower, u->point, changes, err);
}

static int find_changes(const struct target *t, struct upper_changes *changes, struct err *err)
{
	int r = 0;

	for (size_t i = 0; i < t->uppers.n && r == 0; i++)
		r = diff_layer(&t->uppers.v[i], changes, err);
	return r < 0 ? r : upper_find_packages(changes, &t->uppers, err);
}

static void print_change(const struct upper_change *c, const char *path)
{
	const char *sep = "  (";

	(void)printf("%-8s %s", kind_names[c->kind], path);
	for (size_t i = 0; i < ARRAY_LEN(upper_what_names); i++) {
		if (!(c->what & (1U << i)))
			continue;
		(void)printf("%s%s", sep, upper_what_names[i]);
		sep = ", ";
	}
	(void)printf("%s%s%s\n", c->what ? ")" : "", c->package ? "  package " : "",
		c->package ? c->package : "");
}

static int put_change(struct json_object *list, const struct upper_change *c, const char *path)
{
	_cleanup_strv_ char **what = NULL;
	struct json_object *o = json_new_object();
	int r = 0;

	for (size_t i = 0; i < ARRAY_LEN(upper_what_names) && r == 0; i++) {
		if (c->what & (1U << i))
			r = strv_append(&what, upper_what_names[i]);
	}
	if (r == 0)
		r = json_put_str(o, "path", path);
	if (r == 0)
		r = json_put_str(o, "change", kind_names[c->kind]);
	if (r == 0 && c->kind == UPPER_CHANGED)
		r = json_put_strv(o, "what", what);
	if (r == 0)
		r = json_put_str(o, "package", c->package);
	return json_append(list, o) < 0 ? -ENOMEM : r;
}

static int tell_changes(const struct cli_args *args, const struct target *t,
	const struct upper_changes *changes, struct err *err)
{
	_cleanup_(json_object_freep) struct json_object *o = json_new_object();
	struct json_object *list = json_new_list();
	int r = 0;

	for (size_t i = 0; i < changes->n && r == 0; i++) {
		_cleanup_free_ char *path = text_escape(changes->v[i].path);

		if (!path)
			r = -ENOMEM;
		else if (args->json)
			r = put_change(list, &changes->v[i], path);
		else
			print_change(&changes->v[i], path);
	}
	if (json_put_consume(o, "changes", list) < 0 ||
		json_put_str(o, "group", t->group.key) < 0 || r < 0)
		return err_sysf(err, ENOMEM, "changes");
	return args->json ? cli_print_json(o) : 0;
}

int overlay_diff_command(const struct cli_args *args)
{
	_cleanup_(target_done) struct target t = TARGET_INIT;
	_cleanup_(upper_changes_done) struct upper_changes changes = UPPER_CHANGES_INIT;
	struct err err = ERR_INIT;
	int r = find_uppers(args, &t, &err);

	if (r == 0)
		r = find_changes(&t, &changes, &err);
	if (r == 0)
		r = tell_changes(args, &t, &changes, &err);
	return r < 0 ? fail("diff", &err) : r;
}

/* ---- export ---- */

static void print_note(const char *text)
{
	(void)fprintf(stderr, "reaperctl: overlay export: %s\n", text);
}

static int export_layers(const struct target *t, struct upper_export *x, struct err *err)
{
	int r = 0;

	for (size_t i = 0; i < t->uppers.n && r == 0; i++) {
		_cleanup_close_ int upper = open_upper(&t->uppers.v[i], err);

		r = upper < 0 ? upper : upper_export(x, upper, t->uppers.v[i].point, err);
	}
	return r < 0 ? r : upper_export_end(x, err);
}

static int export_to(const struct target *t, FILE *out, struct err *err)
{
	struct upper_export x = {.out = out, .note = print_note};
	int r = export_layers(t, &x, err);

	upper_export_done(&x);
	return r < 0 ? r : x.left_out > 0;
}

/* A name that is there already is not written over: it may be anybody's. */
static int export_to_file(const struct target *t, const char *path, struct err *err)
{
	_cleanup_close_ int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	FILE *out;
	int r;

	if (fd < 0)
		return err_sysf(err, errno, "%s", path);
	out = fdopen(fd, "w");
	if (!out)
		return err_sysf(err, errno, "%s", path);
	(void)TAKE_FD(fd);
	r = export_to(t, out, err);
	if (fclose(out) != 0 && r >= 0)
		r = err_sysf(err, errno, "%s", path);
	if (r < 0)
		(void)unlink(path);
	return r;
}

int overlay_export_command(const struct cli_args *args)
{
	_cleanup_(target_done) struct target t = TARGET_INIT;
	struct err err = ERR_INIT;
	int r;

	if (!args->output && isatty(STDOUT_FILENO)) {
		(void)fputs("reaperctl: overlay export: standard output is a terminal: name a file "
			    "with --output, or use a pipe\n",
			stderr);
		return CLI_EXIT_USAGE;
	}
	r = find_uppers(args, &t, &err);
	if (r == 0)
		r = args->output ? export_to_file(&t, args->output, &err)
				 : export_to(&t, stdout, &err);
	return r < 0 ? fail("export", &err) : r;
}

/* ---- reset ---- */

int overlay_reset_command(const struct cli_args *args)
{
	_cleanup_(target_done) struct target t = TARGET_INIT;
	_cleanup_(json_object_freep) struct json_object *o = NULL;
	unsigned processes = 0;
	struct err err = ERR_INIT;
	int r = find_group(args, &t, &err);

	if (r == 0)
		r = mount_group_reset(&t.spec, &processes, &err);
	if (r < 0)
		return fail("reset", &err);
	if (args->json) {
		o = json_new_object();
		if (json_put_str(o, "result", r ? "changed" : "unchanged") < 0 ||
			json_put_str(o, "group", t.group.key) < 0 ||
			json_put_u64(o, "processes", processes) < 0)
			return 1;
		return cli_print_json(o);
	}
	if (r == 0)
		(void)printf("reaperctl: %s: nothing was written, nothing to reset\n", t.group.key);
	else if (processes == 0)
		(void)printf("reaperctl: %s: empty again\n", t.group.key);
	else
		(void)printf("reaperctl: %s: empty for the next containers; %u processes keep what "
			     "they see until they end\n",
			t.group.key, processes);
	return 0;
}
