#include "cgroup/tree.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "base/cleanup.h"
#include "base/file.h"
#include "base/str.h"

void cgroup_tree_done(struct cgroup_tree *t)
{
	if (!t)
		return;
	for (size_t i = 0; i < t->n; i++)
		free(t->paths[i]);
	free(t->paths);
	*t = (struct cgroup_tree)CGROUP_TREE_INIT;
}

/* Owns `path` always. */
static int push_consume(struct cgroup_tree *t, char *path)
{
	_cleanup_free_ char *owned = path;

	if (!owned)
		return -ENOMEM;
	if (t->n == CGROUP_TREE_MAX)
		return -EOVERFLOW;
	if (t->n == t->cap) {
		size_t cap = t->cap ? t->cap * 2 : 8;
		char **paths = reallocarray(t->paths, cap, sizeof(*paths));

		if (!paths)
			return -ENOMEM;
		t->paths = paths;
		t->cap = cap;
	}
	t->paths[t->n++] = TAKE_PTR(owned);
	return 0;
}

/* Appends the subdirectories of paths[i]. */
static int read_level(struct cgroup_tree *t, size_t i)
{
	_cleanup_closedir_ DIR *dir = opendir(t->paths[i]);
	struct dirent *e;
	int r;

	if (!dir)
		return -errno;
	for (errno = 0; (e = readdir(dir)); errno = 0) {
		char *path = NULL;

		if (e->d_type != DT_DIR || str_eq(e->d_name, ".") || str_eq(e->d_name, ".."))
			continue;
		r = str_printf(&path, "%s/%s", t->paths[i], e->d_name);
		if (r == 0)
			r = push_consume(t, path);
		if (r < 0)
			return r;
	}
	return errno == ENOENT || errno == ENODEV ? 0 : -errno;
}

int cgroup_tree_read(const char *path, struct cgroup_tree *ret_tree, struct err *err)
{
	_cleanup_(cgroup_tree_done) struct cgroup_tree t = CGROUP_TREE_INIT;
	int r = push_consume(&t, strdup(path));

	for (size_t i = 0; r == 0 && i < t.n; i++) {
		r = read_level(&t, i);
		if (r != -ENOENT && r != -ENODEV)
			continue;
		r = 0;
		if (i == 0) /* there is none */
			cgroup_tree_done(&t);
	}
	if (r < 0)
		return err_sysf(err, -r, "%s", path);
	*ret_tree = t;
	t = (struct cgroup_tree)CGROUP_TREE_INIT;
	return 0;
}

int cgroup_file_path(char *out, size_t size, const char *dir, const char *file)
{
	int n = snprintf(out, size, "%s/%s", dir, file);

	return n < 0 || (size_t)n >= size ? -ENAMETOOLONG : 0;
}

int cgroup_file_put(const char *dir, const char *file, const char *text)
{
	char path[PATH_MAX];
	int r = cgroup_file_path(path, sizeof(path), dir, file);

	return r < 0 ? r : file_put_at(AT_FDCWD, path, text, NULL);
}
