#include "node/overlay.h"

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
#include "mount/group.h"
#include "node/pods.h"
#include "store/layout.h"

/* The group of all pods: the only one there is while the isolation is `node`. */
#define NODE_GROUP "node"

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

static struct mount_group_spec spec_of(const struct store_layout *layout, const char *name)
{
	return (struct mount_group_spec) {.name = name,
		.run_dir = layout->root,
		.ns_dir = layout->ns,
		.base_dir = layout->overlay};
}

/* The pinned groups, and the node's even without a pin: its making may have been interrupted. */
static int group_names(const struct store_layout *layout, char ***ret, struct err *err)
{
	_cleanup_strv_ char **names = NULL;
	int r = mount_group_list(layout->ns, &names, err);

	if (r < 0)
		return r;
	for (char **n = names; n && *n; n++) {
		if (str_eq(*n, NODE_GROUP)) {
			*ret = TAKE_PTR(names);
			return 0;
		}
	}
	r = strv_append(&names, NODE_GROUP);
	if (r < 0)
		return err_sysf(err, -r, "groups");
	*ret = TAKE_PTR(names);
	return 0;
}

static int put_group(struct json_object *list, const char *name, const char *upper,
	const struct mount_group_info *info)
{
	struct json_object *o = json_new_object();

	if (json_put_bool(o, "pinned", info->pinned) < 0 ||
		json_put_bool(o, "mounted", info->mounted) < 0 ||
		json_put_str(o, "upper", upper) < 0 ||
		json_put_u64(o, "size_bytes", info->size_bytes) < 0 ||
		json_put_u64(o, "used_bytes", info->used_bytes) < 0 ||
		json_put_u64(o, "inodes", info->inodes) < 0 ||
		json_put_u64(o, "used_inodes", info->used_inodes) < 0 ||
		json_put_u64(o, "processes", info->processes) < 0) {
		json_object_freep(&o);
		return -ENOMEM;
	}
	return json_put_consume(list, name, o);
}

static void print_group(const char *name, const char *upper, const struct mount_group_info *info)
{
	const uint64_t mib = 1 << 20;

	(void)printf("%-16s %8llu MiB of %llu MiB  %8llu files of %llu  %4u processes  %s%s\n",
		name, (unsigned long long)((info->used_bytes + mib - 1) / mib),
		(unsigned long long)(info->size_bytes / mib), (unsigned long long)info->used_inodes,
		(unsigned long long)info->inodes, info->processes, upper,
		info->pinned && info->mounted ? "" : "  (incomplete: overlay gc removes it)");
}

static int list(const struct cli_args *args, const struct store_layout *layout,
	struct json_object *out, struct err *err)
{
	_cleanup_strv_ char **names = NULL;
	bool some = false;
	int r = group_names(layout, &names, err);

	for (char **n = names; r == 0 && n && *n; n++) {
		struct mount_group_spec spec = spec_of(layout, *n);
		struct mount_group_info info;

		r = mount_group_inspect(&spec, &info, err);
		if (r == -ENOENT) {
			r = 0;
			continue;
		}
		if (r < 0)
			break;
		some = true;
		if (args->json)
			r = put_group(out, *n, layout->upper, &info);
		else
			print_group(*n, layout->upper, &info);
	}
	if (r == 0 && !some && !args->json)
		(void)puts("no overlay: no Reaper pod has run since the last boot or gc");
	return r;
}

static int print_object(struct json_object *o)
{
	_cleanup_free_ char *text = NULL;

	if (json_write(o, JSON_COMPACT, &text, NULL) < 0)
		return 1;
	(void)fputs(text, stdout);
	return 0;
}

int overlay_list_command(const struct cli_args *args)
{
	_cleanup_(store_layout_done) struct store_layout layout = STORE_LAYOUT_INIT;
	_cleanup_(json_object_freep) struct json_object *o = json_new_object();
	struct err err = ERR_INIT;

	if (load_layout(&layout, &err) < 0 || list(args, &layout, o, &err) < 0)
		return fail(&err);
	return args->json ? print_object(o) : 0;
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
	(void)rmdir(layout->overlay);
	(void)rmdir(layout->root);
}

static int gc(const struct store_layout *layout, bool all, unsigned *ret_removed,
	unsigned *ret_used, struct err *err)
{
	_cleanup_strv_ char **names = NULL;
	int r = group_names(layout, &names, err);

	for (char **n = names; r >= 0 && n && *n; n++) {
		struct mount_group_spec spec = spec_of(layout, *n);

		r = mount_group_gc(&spec, err);
		if (r == -ENOENT)
			r = 0;
		*ret_removed += r == MOUNT_GROUP_REMOVED;
		*ret_used += r == MOUNT_GROUP_IN_USE;
		if (all && r == MOUNT_GROUP_IN_USE)
			(void)fprintf(stderr,
				"reaperctl: overlay gc: %s is in use; end its pods first "
				"(reaperctl "
				"overlay list)\n",
				*n);
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
		print_object(o) != 0)
		return 1;
	return args->all && used > 0;
}
