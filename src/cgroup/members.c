/* Who is in a cgroup. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/cleanup.h"
#include "base/file.h"
#include "base/num.h"
#include "base/str.h"
#include "cgroup/cgroup.h"
#include "cgroup/tree.h"

/* Eleven bytes each, and a file may name a process more than once. */
enum { PROCS_TEXT_MAX = 16 << 20 };

struct pid_list {
	pid_t *pids;
	size_t n, cap;
};

static void pid_list_done(struct pid_list *l)
{
	free(l->pids);
}

static int push(struct pid_list *l, pid_t pid)
{
	if (l->n == l->cap) {
		size_t cap = l->cap ? l->cap * 2 : 64;
		pid_t *pids;

		if (cap > 16 * (size_t)CGROUP_PIDS_MAX)
			return -EOVERFLOW;
		pids = reallocarray(l->pids, cap, sizeof(*pids));
		if (!pids)
			return -ENOMEM;
		l->pids = pids;
		l->cap = cap;
	}
	l->pids[l->n++] = pid;
	return 0;
}

/* Text of one cgroup.procs. A pid of 0 is a process of a pid namespace that we do not see. */
static int push_text(struct pid_list *l, char *text)
{
	char *save = NULL;

	for (char *line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
		uint64_t pid;
		int r = num_parse_u64(line, INT_MAX, &pid);

		if (r == 0 && pid > 0)
			r = push(l, (pid_t)pid);
		if (r < 0)
			return r;
	}
	return 0;
}

/* -EOPNOTSUPP: a threaded v2 cgroup, whose processes its domain lists. Gone meanwhile: empty. */
static int read_procs(const char *dir, char **ret_text)
{
	char path[PATH_MAX];
	int r = cgroup_file_path(path, sizeof(path), dir, "cgroup.procs");

	if (r == 0)
		r = file_read_at(AT_FDCWD, path, PROCS_TEXT_MAX, ret_text, NULL, NULL);
	if (r == -ENOENT || r == -ENODEV || r == -EOPNOTSUPP) {
		*ret_text = NULL;
		return 0;
	}
	return r;
}

static int collect_dir(struct pid_list *l, const char *dir, struct err *err)
{
	_cleanup_(cgroup_tree_done) struct cgroup_tree tree = CGROUP_TREE_INIT;
	int r = cgroup_tree_read(dir, &tree, err);

	for (size_t i = 0; r == 0 && i < tree.n; i++) {
		_cleanup_free_ char *text = NULL;

		r = read_procs(tree.paths[i], &text);
		if (r == 0 && text)
			r = push_text(l, text);
		if (r < 0)
			return err_sysf(err, -r, "%s/cgroup.procs", tree.paths[i]);
	}
	return r;
}

static int compare_pids(const void *a, const void *b)
{
	pid_t x = *(const pid_t *)a, y = *(const pid_t *)b;

	return (x > y) - (x < y);
}

int cgroup_pids(const struct cgroup *cg, pid_t **ret_pids, size_t *ret_n, struct err *err)
{
	_cleanup_(pid_list_done) struct pid_list l = {0};
	size_t n = 0;

	for (size_t i = 0; i < cg->n; i++) {
		int r = collect_dir(&l, cg->dirs[i].path, err);

		if (r < 0)
			return r;
	}
	if (l.n > 0)
		qsort(l.pids, l.n, sizeof(*l.pids), compare_pids);
	for (size_t i = 0; i < l.n; i++)
		if (n == 0 || l.pids[n - 1] != l.pids[i])
			l.pids[n++] = l.pids[i];
	if (n > CGROUP_PIDS_MAX)
		return err_sysf(err, EOVERFLOW, "listing %zu processes of a cgroup", n);
	*ret_pids = n > 0 ? TAKE_PTR(l.pids) : NULL;
	*ret_n = n;
	return 0;
}

int cgroup_put(const struct cgroup_host *host, const char *path, pid_t pid, struct err *err)
{
	bool found = false;
	char number[16];

	if (path[0] != '/' || strstr(path, "/../") || str_has_suffix(path, "/.."))
		return err_setf(err, ERR_INVALID, EINVAL,
			"%.200s: the path of a cgroup is absolute and without \"..\"", path);
	(void)snprintf(number, sizeof(number), "%d", pid);
	for (size_t i = 0; i < host->n; i++) {
		_cleanup_free_ char *dir = NULL;
		int r = str_printf(&dir, "%s%s", host->hierarchies[i].root, path);

		if (r == 0)
			r = cgroup_file_put(dir, "cgroup.procs", number);
		if (r == -ENOENT)
			continue;
		if (r < 0)
			return err_sysf(err, -r, "%.1000s/cgroup.procs", dir ? dir : path);
		found = true;
	}
	return found ? 0 : err_setf(err, ERR_NOT_FOUND, ENOENT, "there is no cgroup %.200s", path);
}

/* cgroup.events says it for the whole subtree. -ENOENT where there is no such file. */
static int is_populated_v2(const char *dir)
{
	_cleanup_free_ char *text = NULL;
	char path[PATH_MAX];
	int r = cgroup_file_path(path, sizeof(path), dir, "cgroup.events");

	if (r == 0)
		r = file_read_at(AT_FDCWD, path, 4096, &text, NULL, NULL);
	if (r < 0)
		return r;
	return text && strstr(text, "populated 1");
}

/* v1: a directory counts as soon as its file is not empty, whoever it names. */
static int is_populated_tree(const char *dir, struct err *err)
{
	_cleanup_(cgroup_tree_done) struct cgroup_tree tree = CGROUP_TREE_INIT;
	int r = cgroup_tree_read(dir, &tree, err);

	for (size_t i = 0; r == 0 && i < tree.n; i++) {
		_cleanup_free_ char *text = NULL;

		r = read_procs(tree.paths[i], &text);
		if (r < 0)
			return err_sysf(err, -r, "%s/cgroup.procs", tree.paths[i]);
		r = text && text[0] != '\0';
	}
	return r;
}

int cgroup_is_empty(const struct cgroup *cg, struct err *err)
{
	for (size_t i = 0; i < cg->n; i++) {
		const struct cgroup_dir *d = &cg->dirs[i];
		int r = d->v2 ? is_populated_v2(d->path) : is_populated_tree(d->path, err);

		if (r == -ENOENT || r == -ENODEV)
			continue;
		if (r < 0)
			return d->v2 ? err_sysf(err, -r, "%s/cgroup.events", d->path) : r;
		if (r > 0)
			return 0;
	}
	return 1;
}
