#include "cgroup/cgroup.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/magic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/vfs.h>
#include <sys/xattr.h>
#include <unistd.h>
#include "base/cleanup.h"
#include "base/file.h"
#include "base/str.h"
#include "cgroup/tree.h"

/* In a record: what stands behind it is ours to remove. */
#define MARK "/./"

void cgroup_done(struct cgroup *cg)
{
	if (!cg)
		return;
	for (size_t i = 0; i < cg->n; i++)
		free(cg->dirs[i].path);
	*cg = (struct cgroup)CGROUP_INIT;
}

/* Whether this directory is there, and not one that create.c made and marked: for one of us, and so
 * for the last of us to remove. */
static bool is_others(const char *dir)
{
	return getxattr(dir, CGROUP_MARK, NULL, 0) < 0 && errno != ENOENT &&
	       (errno == ENODATA || access(dir, F_OK) == 0);
}

/* The length of the longest existing parent of `path` that is not ours, at least `min`. */
static size_t existing_prefix(const char *path, size_t min)
{
	char prefix[PATH_MAX];
	size_t len = strlen(path);

	if (len >= sizeof(prefix))
		return min;
	memcpy(prefix, path, len + 1);
	for (;;) {
		while (len > min && prefix[len] != '/')
			len--;
		if (len <= min)
			return min;
		prefix[len] = '\0';
		if (is_others(prefix))
			return len;
	}
}

int cgroup_plan(const struct cgroup_host *host, const struct cgroup_path *path,
	struct cgroup *ret_cg, struct err *err)
{
	_cleanup_(cgroup_done) struct cgroup cg = CGROUP_INIT;

	for (size_t i = 0; i < host->n; i++) {
		const struct cgroup_hierarchy *h = &host->hierarchies[i];
		struct cgroup_dir *d = &cg.dirs[i];
		size_t root_len = strlen(h->root);
		int r = str_printf(&d->path, "%s%s", h->root, path->path);

		if (r < 0)
			return err_sysf(err, -r, "cgroup %s", path->path);
		cg.n++;
		if (strlen(d->path) + NAME_MAX >= PATH_MAX)
			return err_setf(err, ERR_INVALID, ENAMETOOLONG,
				"cgroup %s: too long below %s", path->path, h->root);
		d->keep = path->own_parents ? root_len : existing_prefix(d->path, root_len);
		d->controllers = h->controllers;
		d->v2 = h->v2;
	}
	*ret_cg = cg;
	cg.n = 0;
	return 0;
}

/* Hierarchies that systemd makes directories in itself (v1), as soon as a unit is delegated. */
static bool is_systemds(const struct cgroup_dir *d)
{
	const uint32_t its = CGROUP_BIT(CGROUP_CPU) | CGROUP_BIT(CGROUP_MEMORY) |
			     CGROUP_BIT(CGROUP_DEVICES) | CGROUP_BIT(CGROUP_BLKIO) |
			     CGROUP_BIT(CGROUP_PIDS);

	return d->v2 || d->controllers == 0 || (d->controllers & its);
}

int cgroup_delegate(struct cgroup *cg, struct err *err)
{
	for (size_t i = 0; i < cg->n; i++) {
		struct cgroup_dir *d = &cg->dirs[i];
		char *below;

		if (is_systemds(d))
			d->keep = (size_t)(strrchr(d->path, '/') - d->path);
		if (d->v2 || !(d->controllers & CGROUP_BIT(CGROUP_DEVICES)))
			continue;
		if (str_printf(&below, "%s/" CGROUP_WORKLOAD, d->path) < 0)
			return err_sysf(err, ENOMEM, "cgroup");
		free(d->path);
		d->path = below;
	}
	return 0;
}

void cgroup_refresh(struct cgroup *cg)
{
	size_t n = 0;

	for (size_t i = 0; i < cg->n; i++) {
		struct cgroup_dir *d = &cg->dirs[i];

		if (access(d->path, F_OK) < 0) {
			free(d->path);
			continue;
		}
		if (d->v2)
			cgroup_dir_probe(d);
		cg->dirs[n++] = *d;
	}
	cg->n = n;
}

int cgroup_to_strv(const struct cgroup *cg, char ***ret_dirs)
{
	_cleanup_strv_ char **v = NULL;

	for (size_t i = 0; i < cg->n; i++) {
		const struct cgroup_dir *d = &cg->dirs[i];
		int r = strv_appendf(
			&v, "%.*s" MARK "%s", (int)d->keep, d->path, d->path + d->keep + 1);

		if (r < 0)
			return r;
	}
	*ret_dirs = TAKE_PTR(v);
	return 0;
}

static bool has_dot_dot(const char *path)
{
	for (const char *p = strstr(path, "/.."); p; p = strstr(p + 1, "/.."))
		if (p[3] == '/' || p[3] == '\0')
			return true;
	return false;
}

/* The file system that `path`, or what is left of its parents, lies on. */
static int filesystem_type(const char *path, long *ret_type)
{
	char prefix[PATH_MAX];
	size_t len = strlen(path);
	struct statfs fs;

	if (len >= sizeof(prefix))
		return -ENAMETOOLONG;
	memcpy(prefix, path, len + 1);
	while (statfs(prefix, &fs) < 0) {
		if (errno != ENOENT)
			return -errno;
		while (len > 0 && prefix[len] != '/')
			len--;
		if (len == 0)
			return -ENOENT;
		prefix[len] = '\0';
	}
	*ret_type = (long)fs.f_type;
	return 0;
}

/* v2: which controllers the directory has; v1: the name says nothing, so try their files. */
static uint32_t controllers_of(const char *dir, bool v2)
{
	static const struct {
		enum cgroup_controller controller;
		const char *file;
	} v1_files[] = {
		{CGROUP_CPU, "cpu.shares"},
		{CGROUP_CPUACCT, "cpuacct.usage"},
		{CGROUP_CPUSET, "cpuset.cpus"},
		{CGROUP_MEMORY, "memory.limit_in_bytes"},
		{CGROUP_DEVICES, "devices.allow"},
		{CGROUP_FREEZER, "freezer.state"},
		{CGROUP_BLKIO, "blkio.throttle.io_serviced"},
		{CGROUP_PIDS, "pids.max"},
		{CGROUP_HUGETLB, "hugetlb.2MB.limit_in_bytes"},
		{CGROUP_NET_CLS, "net_cls.classid"},
		{CGROUP_NET_PRIO, "net_prio.ifpriomap"},
		{CGROUP_RDMA, "rdma.max"},
		{CGROUP_MISC, "misc.max"},
	};
	_cleanup_free_ char *names = NULL;
	char path[PATH_MAX];
	uint32_t set = 0;

	if (v2) {
		if (cgroup_file_path(path, sizeof(path), dir, "cgroup.controllers") < 0 ||
			file_read_at(AT_FDCWD, path, 4096, &names, NULL, NULL) < 0)
			return 0;
		for (const char *p = names; *p;) {
			size_t n = strcspn(p, " \n");

			set |= cgroup_controller_bit(p, n);
			p += n + (p[n] != '\0');
		}
		return set;
	}
	for (size_t i = 0; i < ARRAY_LEN(v1_files); i++)
		if (cgroup_file_path(path, sizeof(path), dir, v1_files[i].file) == 0 &&
			access(path, F_OK) == 0)
			set |= CGROUP_BIT(v1_files[i].controller);
	return set;
}

void cgroup_dir_probe(struct cgroup_dir *d)
{
	d->controllers = controllers_of(d->path, d->v2);
}

/* The hierarchy that a directory lies in, by the table of mounts. NULL: none of them. */
static const struct cgroup_hierarchy *hierarchy_of(const struct cgroup_host *host, const char *path)
{
	const struct cgroup_hierarchy *best = NULL;
	size_t longest = 0;

	for (size_t i = 0; i < host->n; i++) {
		const struct cgroup_hierarchy *h = &host->hierarchies[i];
		size_t len = strlen(h->root);

		if (len > longest && strncmp(path, h->root, len) == 0 && path[len] == '/') {
			best = h;
			longest = len;
		}
	}
	return best;
}

/*
 * Fills v2 and controllers. v1: the table of mounts says what a hierarchy has; it is read for the
 * first such directory, unless the caller knows it. A directory in none of its hierarchies is asked
 * itself.
 */
static int find_kind(struct cgroup_dir *d, struct cgroup_host *host, bool *is_known)
{
	const struct cgroup_hierarchy *h = *is_known ? hierarchy_of(host, d->path) : NULL;
	long type = 0;
	int r;

	if (!h) {
		r = filesystem_type(d->path, &type);
		if (r < 0)
			return r;
		if (type != CGROUP_SUPER_MAGIC && type != CGROUP2_SUPER_MAGIC)
			return -EINVAL;
		d->v2 = type == CGROUP2_SUPER_MAGIC;
		if (!d->v2 && !*is_known && cgroup_host_detect(host, NULL) == 0) {
			*is_known = true;
			h = hierarchy_of(host, d->path);
		}
	}
	if (h)
		d->v2 = h->v2;
	if (h && !h->v2)
		d->controllers = h->controllers;
	else
		cgroup_dir_probe(d);
	return 0;
}

static int dir_from_str(const char *s, struct cgroup_host *host, bool *is_known,
	struct cgroup_dir *ret_dir, struct err *err)
{
	_cleanup_free_ char *path = NULL;
	const char *mark = strstr(s, MARK);
	struct cgroup_dir d = {.v2 = false};
	int r;

	/* a mark at the very front would make the root itself what is ours */
	if (s[0] != '/' || mark == s || has_dot_dot(s) || str_has_suffix(s, "/"))
		return err_setf(err, ERR_INVALID, EINVAL, "\"%s\" is no cgroup directory", s);
	if (mark)
		r = str_printf(&path, "%.*s/%s", (int)(mark - s), s, mark + strlen(MARK));
	else
		r = str_dup(&path, s);
	if (r < 0)
		return err_sysf(err, -r, "%s", s);
	d.path = path;
	d.keep = mark ? (size_t)(mark - s) : (size_t)(strrchr(path, '/') - path);
	r = d.keep == 0 || strstr(path, MARK) ? -EINVAL : find_kind(&d, host, is_known);
	if (r == -EINVAL)
		return err_setf(
			err, ERR_INVALID, EINVAL, "%s: not below a mounted cgroup hierarchy", path);
	if (r < 0)
		return err_sysf(err, -r, "%s", path);
	*ret_dir = d;
	(void)TAKE_PTR(path);
	return 0;
}

/* `host` is filled if it is not known yet and of use. */
static int from_strv(struct cgroup_host *host, bool is_known, char *const *dirs,
	struct cgroup *ret_cg, struct err *err)
{
	_cleanup_(cgroup_done) struct cgroup cg = CGROUP_INIT;

	if (strv_len(dirs) > CGROUP_HIERARCHY_MAX)
		return err_setf(err, ERR_INVALID, E2BIG, "more than %d cgroup directories",
			CGROUP_HIERARCHY_MAX);
	for (; dirs && *dirs; dirs++) {
		int r = dir_from_str(*dirs, host, &is_known, &cg.dirs[cg.n], err);

		if (r < 0)
			return r;
		cg.n++;
		for (size_t i = cg.n - 1; i > 0 && cg.dirs[i - 1].v2 && !cg.dirs[i].v2; i--) {
			struct cgroup_dir d = cg.dirs[i];

			cg.dirs[i] = cg.dirs[i - 1];
			cg.dirs[i - 1] = d;
		}
	}
	*ret_cg = cg;
	cg.n = 0;
	return 0;
}

int cgroup_from_strv(char *const *dirs, struct cgroup *ret_cg, struct err *err)
{
	_cleanup_(cgroup_host_done) struct cgroup_host host = CGROUP_HOST_INIT;

	return from_strv(&host, false, dirs, ret_cg, err);
}

int cgroup_from_strv_on(
	const struct cgroup_host *host, char *const *dirs, struct cgroup *ret_cg, struct err *err)
{
	struct cgroup_host known = *host; /* its strings stay the caller's */

	return from_strv(&known, true, dirs, ret_cg, err);
}

bool cgroup_has(const struct cgroup *cg, enum cgroup_controller c, size_t *ret_dir)
{
	for (size_t i = 0; i < cg->n; i++) {
		if (!(cg->dirs[i].controllers & CGROUP_BIT(c)))
			continue;
		if (ret_dir)
			*ret_dir = i;
		return true;
	}
	return false;
}

int cgroup_open_v2(const struct cgroup *cg)
{
	int fd;

	if (cg->n == 0 || !cg->dirs[cg->n - 1].v2)
		return -ENOENT;
	fd = open(cg->dirs[cg->n - 1].path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

int cgroup_attach_self(const struct cgroup *cg, bool is_in_v2, struct err *err)
{
	for (size_t i = 0; i < cg->n; i++) {
		const struct cgroup_dir *d = &cg->dirs[i];
		char path[PATH_MAX];
		int r;

		if (d->v2 && is_in_v2)
			continue;
		/*
		 * "tasks" moves the calling thread, which is the whole process. For "cgroup.procs"
		 * the kernel locks out all forks and exits of the machine first, and waits for an
		 * RCU grace period: some 10 ms against 0.2 (measured).
		 */
		r = cgroup_file_path(path, sizeof(path), d->path, d->v2 ? "cgroup.procs" : "tasks");
		if (r < 0)
			return err_sysf(err, -r, "%s", d->path);
		r = file_put_at(AT_FDCWD, path, "0", err);
		if (r < 0)
			return err_wrapf(err, "joining the cgroup");
	}
	return 0;
}
