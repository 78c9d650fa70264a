#include "uppers/overlay.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>
#include "base/cleanup.h"
#include "base/json.h"
#include "base/str.h"
#include "conf/settings.h"
#include "groups/groups.h"
#include "groups/members.h"
#include "node/pods.h"
#include "store/layout.h"

static int fail(const struct err *err)
{
	(void)fprintf(stderr, "reaperctl: overlay: %s\n", err->text);
	return 1;
}

/* Where things are on this node, as the settings have it. */
static int load_layout(struct store_layout *layout, struct err *err)
{
	struct settings s = SETTINGS_INIT;
	int r = settings_load(NULL, environ, NULL, 0, &s, err);

	if (r < 0)
		return r;
	r = store_layout_init(layout, NULL, s.overlay_base, err);
	settings_done(&s);
	return r;
}

static int put_group(struct json_object *list, const struct store_group *g,
	const struct mount_group_info *info, char *const *pods)
{
	struct json_object *o = json_new_object();
	_cleanup_free_ char *upper = NULL;

	if (str_printf(&upper, "%s/upper", g->base_dir) < 0 ||
		json_put_str(o, "scope", store_group_scope_name(g->scope)) < 0 ||
		json_put_str(o, "namespace", g->ns) < 0 || json_put_str(o, "id", g->id) < 0 ||
		json_put_str(o, "name", g->name) < 0 || json_put_str(o, "pod", g->pod) < 0 ||
		json_put_bool(o, "pinned", info->pinned) < 0 ||
		json_put_bool(o, "mounted", info->mounted) < 0 ||
		json_put_str(o, "upper", upper) < 0 ||
		json_put_u64(o, "size_bytes", info->size_bytes) < 0 ||
		json_put_u64(o, "used_bytes", info->used_bytes) < 0 ||
		json_put_u64(o, "inodes", info->inodes) < 0 ||
		json_put_u64(o, "used_inodes", info->used_inodes) < 0 ||
		json_put_u64(o, "processes", info->processes) < 0 ||
		json_put_strv(o, "pods", pods) < 0) {
		json_object_freep(&o);
		return -ENOMEM;
	}
	return json_put_consume(list, g->key, o);
}

static unsigned long long mebibytes(uint64_t bytes)
{
	return (bytes + (1 << 20) - 1) >> 20;
}

enum { PODS_SHOWN = 4 };

/* The names last, which may be long; many of them are a number. */
static void print_group(
	const struct store_group *g, const struct mount_group_info *info, char *const *pods)
{
	size_t n = strv_len(pods);

	(void)printf("%9llu %9llu %9llu %9llu %9u  %s%s", mebibytes(info->used_bytes),
		mebibytes(info->size_bytes), (unsigned long long)info->used_inodes,
		(unsigned long long)info->inodes, info->processes, g->key,
		info->pinned && info->mounted ? "" : "  (incomplete: overlay gc removes it)");
	for (size_t i = 0; i < n && i < PODS_SHOWN; i++)
		(void)printf("%s%s", i ? ", " : "  ", pods[i]);
	if (n > PODS_SHOWN)
		(void)printf(" and %zu more", n - PODS_SHOWN);
	(void)putchar('\n');
}

static void print_titles(void)
{
	(void)printf("%9s %9s %9s %9s %9s  %s\n", "MiB", "of", "files", "of", "processes",
		"group, its pods");
}

/* 1: it was there and has been told. */
static int show_group(const struct cli_args *args, const struct store_layout *layout,
	const struct containers *containers, const char *key, struct json_object *out, bool *titled,
	struct err *err)
{
	_cleanup_strv_ char **pods = NULL;
	_cleanup_(store_group_done) struct store_group g = STORE_GROUP_INIT;
	struct mount_group_spec spec;
	struct mount_group_info info;
	int r = store_group_load(layout, key, &g, err);

	if (r < 0)
		return r;
	spec = groups_mount_spec(layout, &g);
	r = mount_group_inspect(&spec, &info, err);
	if (r == -ENOENT)
		return 0;
	if (r == 0)
		r = groups_pods(containers, key, &pods, err);
	if (r == 0 && args->json && put_group(out, &g, &info, pods) < 0)
		r = err_sysf(err, ENOMEM, "group %s", key);
	if (r == 0 && !args->json) {
		if (!*titled)
			print_titles();
		print_group(&g, &info, pods);
		*titled = true;
	}
	return r < 0 ? r : 1;
}

static int list(const struct cli_args *args, const struct store_layout *layout,
	struct json_object *out, struct err *err)
{
	_cleanup_(containers_done) struct containers containers = CONTAINERS_INIT;
	_cleanup_strv_ char **keys = NULL;
	bool some = false, titled = false;
	int r = store_groups_list(layout, &keys, err);

	if (r == 0 && keys)
		r = containers_find(NULL, &containers, err);
	for (char **key = keys; r >= 0 && key && *key; key++) {
		r = show_group(args, layout, &containers, *key, out, &titled, err);
		some |= r > 0;
	}
	if (r >= 0 && !some && !args->json)
		(void)puts("no overlay: no Reaper pod has run since the last boot or gc");
	return r < 0 ? r : 0;
}

int overlay_list_command(const struct cli_args *args)
{
	_cleanup_(store_layout_done) struct store_layout layout = STORE_LAYOUT_INIT;
	_cleanup_(json_object_freep) struct json_object *o = json_new_object();
	struct err err = ERR_INIT;

	if (load_layout(&layout, &err) < 0 || list(args, &layout, o, &err) < 0)
		return fail(&err);
	return args->json ? cli_print_json(o) : 0;
}

/* ---- gc ---- */

/* The files of a directory that is a cache, and the directory. */
static void remove_cache(const char *path)
{
	_cleanup_closedir_ DIR *dir = opendir(path);
	struct dirent *e;

	while (dir && (e = readdir(dir))) {
		if (!str_eq(e->d_name, ".") && !str_eq(e->d_name, ".."))
			(void)unlinkat(dirfd(dir), e->d_name, 0);
	}
	(void)rmdir(path);
}

/* What is left when there is no group and no pod. Whatever is not empty stays. */
static void remove_rest(const struct store_layout *layout)
{
	_cleanup_close_ int lock = open(layout->root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	/* who is about to make a group holds the directory's lock */
	if (lock < 0 || flock(lock, LOCK_EX | LOCK_NB) < 0 || pods_count() > 0)
		return;
	remove_cache(layout->seccomp);
	(void)rmdir(layout->ns);
	(void)rmdir(layout->groups);
	(void)rmdir(layout->overlay);
	(void)unlinkat(lock, "packages", 0); /* view/stale.h: the package's trigger made it */
	(void)rmdir(layout->root);
}

static int gc(const struct store_layout *layout, bool all, unsigned *ret_removed,
	unsigned *ret_used, struct err *err)
{
	_cleanup_strv_ char **keys = NULL;
	int r = store_groups_list(layout, &keys, err);

	for (char **key = keys; r >= 0 && key && *key; key++) {
		r = groups_remove(layout, *key, err);
		*ret_removed += r == MOUNT_GROUP_REMOVED;
		*ret_used += r == MOUNT_GROUP_IN_USE;
		if (all && r == MOUNT_GROUP_IN_USE)
			(void)fprintf(stderr,
				"reaperctl: overlay gc: %s is in use; end its pods first "
				"(reaperctl overlay list)\n",
				*key);
	}
	if (r >= 0 && all && *ret_used == 0)
		remove_rest(layout);
	return r < 0 ? r : 0;
}

int overlay_gc_command(const struct cli_args *args)
{
	_cleanup_(store_layout_done) struct store_layout layout = STORE_LAYOUT_INIT;
	_cleanup_(json_object_freep) struct json_object *o = NULL;
	unsigned removed = 0, used = 0;
	struct err err = ERR_INIT;

	if (load_layout(&layout, &err) < 0 || gc(&layout, args->all, &removed, &used, &err) < 0)
		return fail(&err);
	if (!args->json) {
		(void)printf("reaperctl: %u removed, %u in use\n", removed, used);
		return args->all && used > 0;
	}
	o = json_new_object();
	if (json_put_str(o, "result", removed ? "changed" : "unchanged") < 0 ||
		json_put_u64(o, "removed", removed) < 0 || json_put_u64(o, "in_use", used) < 0 ||
		cli_print_json(o) != 0)
		return 1;
	return args->all && used > 0;
}
