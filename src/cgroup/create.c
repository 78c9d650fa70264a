/* Making and removing the directories of a cgroup. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>
#include "base/cleanup.h"
#include "base/file.h"
#include "base/str.h"
#include "cgroup/cgroup.h"
#include "cgroup/tree.h"

/* How often mkdir -p starts again because another container removed an empty parent meanwhile. */
enum { MKDIR_TRIES = 16, CPUSET_DEPTH = 64, CPUSET_TEXT_MAX = 1 << 16 };

static int read_file(const char *dir, const char *file, char **ret_text)
{
	char path[PATH_MAX];
	int r = cgroup_file_path(path, sizeof(path), dir, file);

	return r < 0 ? r : file_read_at(AT_FDCWD, path, CPUSET_TEXT_MAX, ret_text, NULL, NULL);
}

/*
 * v1 cpuset: a new directory has no cpus and no memory nodes, and then no process can enter. Copies
 * `file` down from the nearest parent that has a value, which *ret_value is.
 */
static int cpuset_inherit(const char *dir, const char *file, unsigned depth, char **ret_value)
{
	_cleanup_free_ char *own = NULL, *parents = NULL, *parent = NULL;
	int r = read_file(dir, file, &own);

	if (r < 0)
		return r;
	if (own[0] != '\0' && own[0] != '\n') {
		*ret_value = TAKE_PTR(own);
		return 0;
	}
	if (depth == 0 || strrchr(dir, '/') == dir)
		return -ELOOP;
	parent = strndup(dir, (size_t)(strrchr(dir, '/') - dir));
	if (!parent)
		return -ENOMEM;
	r = cpuset_inherit(parent, file, depth - 1, &parents);
	if (r == 0)
		r = cgroup_file_put(dir, file, parents);
	if (r == 0)
		*ret_value = TAKE_PTR(parents);
	return r;
}

static bool has_word(const char *words, const char *word, size_t len)
{
	while (*words) {
		size_t n = strcspn(words, " \n");

		if (n == len && memcmp(words, word, len) == 0)
			return true;
		words += n + (words[n] != '\0');
	}
	return false;
}

/*
 * Lets the children of `dir` have every controller that it has itself. Each one alone, so that one
 * that is refused (cpu with realtime processes) does not take the others with it. What could not be
 * enabled is seen afterwards in the cgroup's own cgroup.controllers.
 */
static void enable_controllers(const char *dir)
{
	_cleanup_free_ char *have = NULL, *enabled = NULL;

	if (read_file(dir, "cgroup.controllers", &have) < 0 ||
		read_file(dir, "cgroup.subtree_control", &enabled) < 0)
		return;
	for (const char *p = have; *p;) {
		size_t n = strcspn(p, " \n");
		char word[64];

		if (n > 0 && n < sizeof(word) - 1 && !has_word(enabled, p, n)) {
			(void)snprintf(word, sizeof(word), "+%.*s", (int)n, p);
			(void)cgroup_file_put(dir, "cgroup.subtree_control", word);
		}
		p += n + (p[n] != '\0');
	}
}

/* Every level above `path`, from the top; directories that are no cgroup have no such files. */
static void enable_chain(const char *path)
{
	char prefix[PATH_MAX];
	size_t len = strlen(path);

	memcpy(prefix, path, len + 1); /* cgroup_plan checked the length */
	for (size_t i = 1; i < len; i++) {
		if (prefix[i] != '/')
			continue;
		prefix[i] = '\0';
		enable_controllers(prefix);
		prefix[i] = '/';
	}
}

/* mkdir -p of what lies behind d->keep. 1: the last one was there before, 0: made. */
static int make_levels(const struct cgroup_dir *d)
{
	char path[PATH_MAX];
	size_t len = strlen(d->path);
	int r = 0;

	/* as a rule its parents are there */
	if (mkdir(d->path, 0755) == 0)
		return 0;
	if (errno == EEXIST)
		return 1;
	memcpy(path, d->path, len + 1);
	for (size_t i = d->keep + 1; i <= len; i++) {
		if (path[i] != '/' && path[i] != '\0')
			continue;
		path[i] = '\0';
		r = mkdir(path, 0755) < 0 ? -errno : 0;
		if (r < 0 && r != -EEXIST)
			return r;
		/* of containers that share a parent the last one takes it away, whoever made it;
		 * where the kernel takes no mark only the maker does, if it is the last */
		if (r == 0 && i < len)
			(void)setxattr(path, CGROUP_MARK, "1", 1, 0);
		path[i] = i < len ? '/' : '\0';
	}
	return r == -EEXIST;
}

/* 1: nobody is in it, or (`inside`) only the caller. */
static int is_free(const struct cgroup_dir *d, bool inside, struct err *err)
{
	struct cgroup one = {.dirs = {*d}, .n = 1};
	_cleanup_free_ pid_t *pids = NULL;
	size_t n = 0;
	int r = cgroup_is_empty(&one, err);

	if (r != 0 || !inside)
		return r;
	r = cgroup_pids(&one, &pids, &n, err);
	return r < 0 ? r : n == 1 && pids[0] == getpid();
}

static int make_dir(struct cgroup_dir *d, bool alone, bool inside, struct err *err)
{
	int r = -ENOENT;

	for (unsigned i = 0; r == -ENOENT && i < MKDIR_TRIES; i++) {
		r = make_levels(d);
		/* a slice that systemd was believed to have made here, and has not */
		if (r == -ENOENT && inside)
			(void)file_mkdir_p(d->path, 0755);
	}
	if (r < 0)
		return err_sysf(err, -r, "making the cgroup %s", d->path);
	if (r > 0) { /* left over, or made in advance: never start in a frozen one */
		r = is_free(d, inside, err);
		if (r < 0)
			return r;
		if (r == 0)
			return err_setf(err, ERR_EXISTS, EEXIST,
				"cgroup %s: processes are in it already", d->path);
		(void)cgroup_file_put(
			d->path, d->v2 ? "cgroup.freeze" : "freezer.state", d->v2 ? "0" : "THAWED");
	}
	if (d->v2) {
		/* beside v1, cgroup2 is for tracking: a controller that is taken there could not be
		 * mounted as v1 any more by whoever runs the host */
		if (alone)
			enable_chain(d->path);
		cgroup_dir_probe(d);
		return 0;
	}
	/* from a record, when there was no directory to look at */
	if (inside && d->controllers == 0)
		cgroup_dir_probe(d);
	if (d->controllers & CGROUP_BIT(CGROUP_CPUSET)) {
		_cleanup_free_ char *cpus = NULL, *mems = NULL;

		r = cpuset_inherit(d->path, "cpuset.cpus", CPUSET_DEPTH, &cpus);
		if (r == 0)
			r = cpuset_inherit(d->path, "cpuset.mems", CPUSET_DEPTH, &mems);
		if (r < 0)
			return err_sysf(err, -r, "cgroup %s: cpuset.cpus and cpuset.mems", d->path);
	}
	return 0;
}

/* Names what goes with a directory that could not be made. */
static int note_lost(const struct cgroup_dir *d, bool inside, char ***notes)
{
	int r = 0;

	if (!notes)
		return 0;
	if (d->controllers == 0 && inside) /* from a record: what it is is not known */
		return strv_append(notes, d->path);
	if (d->controllers == 0)
		return strv_append(notes, d->v2 ? "cgroup2" : "name=systemd");
	for (unsigned c = 0; r == 0 && c < _CGROUP_CONTROLLER_MAX; c++)
		if (d->controllers & CGROUP_BIT(c))
			r = strv_append(notes, cgroup_controller_name(c));
	return r;
}

static int create_all(struct cgroup *cg, bool inside, char ***notes, size_t *done, struct err *err)
{
	while (*done < cg->n) {
		struct cgroup_dir *d = &cg->dirs[*done];
		int r = make_dir(d, cg->n == 1, inside, err);

		if (r == -EROFS || r == -EPERM || r == -EACCES) {
			r = note_lost(d, inside, notes);
			if (r < 0)
				return err_sysf(err, -r, "%s", d->path);
			free(d->path);
			cg->n--;
			memmove(d, d + 1, (cg->n - *done) * sizeof(*d));
			continue;
		}
		if (r < 0)
			return r;
		(*done)++;
	}
	return 0;
}

static int create(struct cgroup *cg, bool inside, char ***notes, struct err *err)
{
	size_t done = 0;
	int r = create_all(cg, inside, notes, &done, err);

	if (r < 0) {
		struct cgroup made = *cg;

		/* the one that failed may be half made, but not when its processes are others' */
		made.n = done + (r != -EEXIST && done < cg->n);
		(void)cgroup_remove(&made, NULL);
	}
	return r;
}

int cgroup_create(struct cgroup *cg, char ***notes, struct err *err)
{
	return create(cg, false, notes, err);
}

int cgroup_create_inside(struct cgroup *cg, char ***notes, struct err *err)
{
	return create(cg, true, notes, err);
}

/* The parents that are ours, as far as they are empty. */
static void remove_parents(const struct cgroup_dir *d)
{
	_cleanup_free_ char *path = strdup(d->path);
	char *slash;

	while (path && (slash = strrchr(path, '/')) && (size_t)(slash - path) > d->keep) {
		*slash = '\0';
		if (rmdir(path) < 0 && errno != ENOENT)
			return;
	}
}

static int remove_dir(const struct cgroup_dir *d, struct err *err)
{
	_cleanup_(cgroup_tree_done) struct cgroup_tree tree = CGROUP_TREE_INIT;
	int r;

	if (rmdir(d->path) < 0 && errno != ENOENT) {
		r = cgroup_tree_read(d->path, &tree, err);
		if (r < 0)
			return r;
		for (size_t i = tree.n; i-- > 0;) {
			if (rmdir(tree.paths[i]) == 0 || errno == ENOENT)
				continue;
			if (errno == EBUSY)
				return err_setf(err, ERR_PRECONDITION, EBUSY,
					"cgroup %s: still has processes", tree.paths[i]);
			return err_sysf(err, errno, "removing the cgroup %s", tree.paths[i]);
		}
	}
	remove_parents(d);
	return 0;
}

int cgroup_remove(const struct cgroup *cg, struct err *err)
{
	int r = 0;

	/* all that can go goes; the first error is the one that is told */
	for (size_t i = 0; i < cg->n; i++) {
		int one = remove_dir(&cg->dirs[i], r == 0 ? err : NULL);

		if (r == 0)
			r = one;
	}
	return r;
}
