/* Which files processes have open: /proc/PID/exe, maps and fd. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>
#include "base/cleanup.h"
#include "base/file.h"
#include "base/num.h"
#include "base/str.h"
#include "view/stale.h"

enum { MAPS_MAX = 16 << 20, CANDIDATES_MAX = 1 << 20 };

void stale_candidates_done(struct stale_candidates *c)
{
	for (size_t i = 0; i < c->n; i++)
		free(c->v[i].path);
	free(c->v);
	*c = (struct stale_candidates) {0};
}

/* A path as /proc shows it: of what has no name any more in the view nobody else can see anything.
 */
static int add(struct stale_candidates *c, const char *path, size_t len, pid_t holder)
{
	static const char deleted[] = " (deleted)";
	size_t tail = sizeof(deleted) - 1;
	char *copy;

	if (len == 0 || path[0] != '/' || c->n >= CANDIDATES_MAX ||
		(len > tail && strncmp(path + len - tail, deleted, tail) == 0))
		return 0;
	/* a library has several mappings in a row */
	if (c->n > 0 && strncmp(c->v[c->n - 1].path, path, len) == 0 && !c->v[c->n - 1].path[len])
		return 0;
	if (c->n == c->cap) {
		size_t cap = c->cap ? c->cap * 2 : 64;
		struct stale_candidate *v = reallocarray(c->v, cap, sizeof(*v));

		if (!v)
			return -ENOMEM;
		c->v = v;
		c->cap = cap;
	}
	copy = strndup(path, len);
	if (!copy)
		return -ENOMEM;
	c->v[c->n++] = (struct stale_candidate) {.path = copy, .holder = holder};
	return 0;
}

static int add_link(struct stale_candidates *c, int dir, const char *name, pid_t pid)
{
	char target[PATH_MAX];
	ssize_t n = readlinkat(dir, name, target, sizeof(target));

	return n <= 0 || n == sizeof(target) ? 0 : add(c, target, (size_t)n, pid);
}

static int add_maps(struct stale_candidates *c, int proc, pid_t pid)
{
	_cleanup_free_ char *text = NULL;
	int r = file_read_at(proc, "maps", MAPS_MAX, &text, NULL, NULL);

	if (r < 0)
		return r == -ENOMEM ? r : 0;
	/* "START-END perms offset device inode   PATH": no other field has a slash */
	for (char *line = text; r == 0 && *line;) {
		char *end = strchrnul(line, '\n');
		char *path = memchr(line, '/', (size_t)(end - line));

		if (path)
			r = add(c, path, (size_t)(end - path), pid);
		line = *end ? end + 1 : end;
	}
	return r;
}

static int add_fds(struct stale_candidates *c, int proc, pid_t pid)
{
	int fd = openat(proc, "fd", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	_cleanup_closedir_ DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;
	struct dirent *e;
	int r = 0;

	while (dir && r == 0 && (e = readdir(dir))) {
		if (e->d_name[0] != '.')
			r = add_link(c, dirfd(dir), e->d_name, pid);
	}
	return r;
}

static int add_process(
	struct stale_candidates *c, int proc_fd, const char *name, dev_t view, pid_t pid)
{
	_cleanup_close_ int proc = openat(proc_fd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct statx root;
	int r;

	/* the root may be a volume whose server is gone */
	if (proc < 0 || statx(proc, "root", AT_STATX_DONT_SYNC, 0, &root) < 0 ||
		makedev(root.stx_dev_major, root.stx_dev_minor) != view)
		return 0;
	r = add_link(c, proc, "exe", pid);
	if (r == 0)
		r = add_maps(c, proc, pid);
	return r < 0 ? r : add_fds(c, proc, pid);
}

static int by_path(const void *a, const void *b)
{
	return strcmp(((const struct stale_candidate *)a)->path,
		((const struct stale_candidate *)b)->path);
}

static void sort_unique(struct stale_candidates *c)
{
	size_t n = 0;

	if (c->n > 0)
		qsort(c->v, c->n, sizeof(*c->v), by_path);
	for (size_t i = 0; i < c->n; i++) {
		if (n > 0 && str_eq(c->v[n - 1].path, c->v[i].path))
			free(c->v[i].path);
		else
			c->v[n++] = c->v[i];
	}
	c->n = n;
}

int stale_read_processes(int proc_fd, int view_root, struct stale_candidates *ret, struct err *err)
{
	_cleanup_(stale_candidates_done) struct stale_candidates c = {0};
	int fd = openat(proc_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	_cleanup_closedir_ DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;
	struct dirent *e;
	struct stat view;

	if (!dir || fstat(view_root, &view) < 0)
		return err_sysf(err, errno, "/proc");
	while ((e = readdir(dir))) {
		uint64_t pid;

		if (num_parse_u64(e->d_name, INT32_MAX, &pid) < 0)
			continue;
		if (add_process(&c, proc_fd, e->d_name, view.st_dev, (pid_t)pid) < 0)
			return err_sysf(err, ENOMEM, "files in use");
	}
	sort_unique(&c);
	*ret = c;
	c = (struct stale_candidates) {0};
	return 0;
}
