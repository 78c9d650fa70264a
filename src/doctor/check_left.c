/*
 * Probes of what is left where nobody will take it away: mounts without a group, cgroups without a
 * container, processes without a shim. What nobody uses is removed by --fix; a process is never.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <time.h>
#include <unistd.h>
#include "base/cleanup.h"
#include "base/file.h"
#include "base/str.h"
#include "cgroup/cgroup.h"
#include "conf/settings.h"
#include "groups/containers.h"
#include "mount/mountinfo.h"
#include "doctor/check.h"
#include "store/group.h"

/* ---- what is left, and what --fix does with it ---- */

static enum check_result tell(char *const *left, const char *what, struct err *why)
{
	if (!left)
		return CHECK_PASSED;
	(void)err_setf(why, ERR_PRECONDITION, EEXIST, "%s %s%s", left[0], what,
		left[1] ? "; and there are more" : "");
	return CHECK_FAILED;
}

static int remove_all(char *const *left, int (*remove)(const char *path), bool dry_run,
	const char *verb, struct err *what)
{
	int n = 0;

	for (; left && *left; left++) {
		if (!dry_run && remove(*left) < 0)
			continue;
		n++;
		(void)err_setf(
			what, ERR_NONE, 0, "%s %s%s", verb, *left, n > 1 ? " and others" : "");
	}
	return n;
}

/* ---- mounts ---- */

static bool is_below(const char *path, const char *dir)
{
	size_t len = strlen(dir);

	return strncmp(path, dir, len) == 0 && path[len] == '/';
}

/* Where a group has mounts: its pin, and what its uppers lie on. */
static int add_expected(const struct store_layout *layout, const char *key, char ***expected)
{
	_cleanup_(store_group_done) struct store_group g = STORE_GROUP_INIT;
	_cleanup_free_ char *pin = NULL;

	if (store_group_load(layout, key, &g, NULL) < 0 ||
		store_ns_path(layout, key, &pin, NULL) < 0)
		return 0;
	return strv_append(expected, pin) < 0 || strv_append(expected, g.base_dir) < 0 ? -ENOMEM
										       : 0;
}

static int compare_mounts(const struct store_layout *layout, char *const *expected, char ***ret)
{
	_cleanup_(mountinfo_done) struct mountinfo table = MOUNTINFO_INIT;
	int proc_fd = open("/proc", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int r = mountinfo_read(proc_fd, "self/mountinfo", &table, NULL);

	if (proc_fd >= 0)
		(void)close(proc_fd);
	for (size_t i = 0; r == 0 && i < table.n; i++) {
		const char *point = table.entries[i].point;

		if (!is_below(point, layout->root) || strv_has(expected, point))
			continue;
		r = strv_append(ret, point);
	}
	return r;
}

/* The lock: no group is being made or removed meanwhile. */
static int find_mounts(char ***ret)
{
	_cleanup_(store_layout_done) struct store_layout layout = STORE_LAYOUT_INIT;
	_cleanup_(settings_done) struct settings s = SETTINGS_INIT;
	_cleanup_strv_ char **keys = NULL, **expected = NULL;
	_cleanup_close_ int lock = -1;
	int r;

	if (settings_load(NULL, environ, NULL, 0, &s, NULL) < 0 ||
		store_layout_init(&layout, NULL, s.overlay_base, NULL) < 0 || !layout.root)
		return -EINVAL;
	lock = open(layout.root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (lock < 0)
		return errno == ENOENT ? 0 : -errno;
	if (flock(lock, LOCK_EX) < 0)
		return -errno;
	r = store_groups_list(&layout, &keys, NULL);
	if (r == 0)
		r = strv_append(&expected, layout.ns);
	for (char **key = keys; r == 0 && key && *key; key++)
		r = add_expected(&layout, *key, &expected);
	return r < 0 ? r : compare_mounts(&layout, expected, ret);
}

enum check_result check_mounts(struct check_ctx *ctx, const struct check *c, struct err *why)
{
	_cleanup_strv_ char **left = NULL;

	(void)c;
	if (ctx->args->root || find_mounts(&left) < 0)
		return CHECK_SKIPPED;
	return tell(left, "is a mount of no group", why);
}

static int unmount(const char *path)
{
	return umount2(path, MNT_DETACH | UMOUNT_NOFOLLOW);
}

int fix_mounts(struct check_ctx *ctx, bool dry_run, struct err *what)
{
	_cleanup_strv_ char **left = NULL;

	(void)ctx;
	if (find_mounts(&left) < 0)
		return 0;
	return remove_all(left, unmount, dry_run, dry_run ? "would unmount" : "unmounted", what);
}

/* ---- who looks after a process ---- */

enum { ANCESTORS_MAX = 64, STATUS_MAX = 16 << 10 };

static pid_t parent_of(pid_t pid)
{
	_cleanup_free_ char *path = NULL, *text = NULL;
	const char *line;

	if (str_printf(&path, "/proc/%d/status", (int)pid) < 0 ||
		file_read_at(AT_FDCWD, path, STATUS_MAX, &text, NULL, NULL) < 0 || !text)
		return 0;
	line = strstr(text, "\nPPid:");
	return line ? (pid_t)strtol(line + strlen("\nPPid:"), NULL, 10) : 0;
}

/* Whether a process or one of its ancestors is a shim or a `reaper-runtime run`. One that ends
 * meanwhile needs nobody. */
static bool is_served(pid_t pid)
{
	for (int i = 0; i < ANCESTORS_MAX && pid > 1; i++) {
		if (containers_is_keeper(pid))
			return true;
		pid = parent_of(pid);
		if (pid == 0)
			return true;
	}
	return false;
}

/* The first process of a cgroup that nobody looks after; 0: each has somebody. *ret_n: how many
 * there are. */
static pid_t find_orphan(char *const *dirs, size_t *ret_n)
{
	_cleanup_(cgroup_done) struct cgroup cg = CGROUP_INIT;
	_cleanup_free_ pid_t *pids = NULL;

	*ret_n = 0;
	if (!dirs || cgroup_from_strv(dirs, &cg, NULL) < 0 ||
		cgroup_pids(&cg, &pids, ret_n, NULL) < 0)
		return 0;
	for (size_t i = 0; i < *ret_n; i++) {
		if (!is_served(pids[i]))
			return pids[i];
	}
	return 0;
}

/* ---- cgroups ---- */

/* Whether a container's record has a directory at or below `path`. */
static bool is_used(const struct containers *all, const char *path)
{
	for (size_t i = 0; i < all->n; i++) {
		_cleanup_(cgroup_done) struct cgroup cg = CGROUP_INIT;

		if (!all->v[i].record.cgroups ||
			cgroup_from_strv(all->v[i].record.cgroups, &cg, NULL) < 0)
			continue;
		for (size_t k = 0; k < cg.n; k++) {
			if (str_eq(cg.dirs[k].path, path) || is_below(cg.dirs[k].path, path))
				return true;
		}
	}
	return false;
}

enum { GROWN_UP_S = 60 };

/*
 * Whether a marked cgroup without a container of ours is nobody's. Another containerd of this
 * machine (kind) has marked ones too: its processes have shims, and one without processes is about
 * to be entered, unless it has been there for a while.
 */
static bool is_left(char *path)
{
	char *const dirs[] = {path, NULL};
	struct stat st;
	size_t n;

	if (find_orphan(dirs, &n) != 0)
		return true;
	return n == 0 && stat(path, &st) == 0 && st.st_mtime < time(NULL) - GROWN_UP_S;
}

/* Looks for cgroups that bear our mark and are nobody's, from `path` on. What is marked is not
 * looked into. */
static int walk_cgroups(char *path, const struct containers *all, char ***ret)
{
	_cleanup_closedir_ DIR *dir = opendir(path);
	struct dirent *e;
	int r = 0;

	if (getxattr(path, CGROUP_MARK, NULL, 0) >= 0)
		return is_used(all, path) || !is_left(path) ? 0 : strv_append(ret, path);
	while (r == 0 && dir && (e = readdir(dir))) {
		_cleanup_free_ char *below = NULL;

		if (e->d_type != DT_DIR || e->d_name[0] == '.')
			continue;
		r = str_printf(&below, "%s/%s", path, e->d_name);
		if (r == 0)
			r = walk_cgroups(below, all, ret);
	}
	return r;
}

static int find_cgroups(char ***ret)
{
	_cleanup_(cgroup_host_done) struct cgroup_host host = CGROUP_HOST_INIT;
	_cleanup_(containers_done) struct containers all = CONTAINERS_INIT;
	int r = cgroup_host_detect(&host, NULL);

	if (r == 0)
		r = containers_find(NULL, &all, NULL);
	for (size_t i = 0; r == 0 && i < host.n; i++)
		r = walk_cgroups(host.hierarchies[i].root, &all, ret);
	return r;
}

enum check_result check_cgroups_left(struct check_ctx *ctx, const struct check *c, struct err *why)
{
	_cleanup_strv_ char **left = NULL;

	(void)c;
	if (ctx->args->root || find_cgroups(&left) < 0)
		return CHECK_SKIPPED;
	return tell(left, "is a cgroup of no container", why);
}

/* From below; one with processes stays. */
static int remove_cgroup(const char *path)
{
	_cleanup_closedir_ DIR *dir = opendir(path);
	struct dirent *e;

	while (dir && (e = readdir(dir))) {
		_cleanup_free_ char *below = NULL;

		if (e->d_type == DT_DIR && e->d_name[0] != '.' &&
			str_printf(&below, "%s/%s", path, e->d_name) == 0)
			(void)remove_cgroup(below);
	}
	return rmdir(path);
}

int fix_cgroups_left(struct check_ctx *ctx, bool dry_run, struct err *what)
{
	_cleanup_strv_ char **left = NULL;

	(void)ctx;
	if (find_cgroups(&left) < 0)
		return 0;
	return remove_all(left, remove_cgroup, dry_run, dry_run ? "would remove" : "removed", what);
}

/* ---- processes ---- */

enum check_result check_processes_left(
	struct check_ctx *ctx, const struct check *c, struct err *why)
{
	_cleanup_(containers_done) struct containers all = CONTAINERS_INIT;
	size_t n;

	(void)c;
	if (ctx->args->root || containers_find(NULL, &all, NULL) < 0)
		return CHECK_SKIPPED;
	for (size_t i = 0; i < all.n; i++) {
		pid_t pid = find_orphan(all.v[i].record.cgroups, &n);

		if (pid == 0)
			continue;
		(void)err_setf(why, ERR_PRECONDITION, ESRCH,
			"process %d of container %.80s has no shim", (int)pid, all.v[i].record.id);
		return CHECK_FAILED;
	}
	return CHECK_PASSED;
}
