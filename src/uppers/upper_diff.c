#include "uppers/upper_diff.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "base/cleanup.h"
#include "base/str.h"
#include "uppers/upper_walk.h"

enum { CHANGES_MAX = 10 << 20, LINK_MAX = 4096, CHUNK = 64 << 10 };

const char *const upper_what_names[] = {"type", "content", "mode", "owner", "xattr"};

void upper_changes_done(struct upper_changes *c)
{
	if (!c)
		return;
	for (size_t i = 0; i < c->n; i++)
		free(c->v[i].path);
	free(c->v);
	(void)strv_free(c->packages);
	*c = (struct upper_changes)UPPER_CHANGES_INIT;
}

static int add(struct upper_changes *c, enum upper_change_kind kind, unsigned what,
	const char *path, struct err *err)
{
	if (c->n == CHANGES_MAX)
		return err_setf(err, ERR_EXHAUSTED, E2BIG, "more than %d changes", CHANGES_MAX);
	if ((c->n & (c->n - 1)) == 0) { /* room doubles at each power of two */
		struct upper_change *grown = reallocarray(c->v, c->n ? 2 * c->n : 1, sizeof(*c->v));

		if (!grown)
			return err_sysf(err, ENOMEM, "changes");
		c->v = grown;
	}
	c->v[c->n] = (struct upper_change) {.kind = kind, .what = what};
	if (str_dup(&c->v[c->n].path, path) < 0)
		return err_sysf(err, ENOMEM, "changes");
	c->n++;
	return 0;
}

/* ---- comparing one entry ---- */

/* As much as there is. */
static ssize_t read_chunk(int fd, char *buf)
{
	size_t got = 0;

	while (got < CHUNK) {
		ssize_t n = RETRY_EINTR(read(fd, buf + got, CHUNK - got));

		if (n < 0)
			return -errno;
		if (n == 0)
			break;
		got += (size_t)n;
	}
	return (ssize_t)got;
}

/* Something that cannot be read is not the same. */
static bool same_bytes(const struct upper_entry *e, const struct stat *lower)
{
	_cleanup_close_ int a = -EBADF, b = -EBADF;
	_cleanup_free_ char *x = NULL, *y = NULL;

	if (e->st.st_size != lower->st_size)
		return false;
	a = upper_open_file(e->dir, e->name);
	b = upper_open_file(e->lower_dir, e->name);
	x = malloc(CHUNK);
	y = malloc(CHUNK);
	if (a < 0 || b < 0 || !x || !y)
		return false;
	for (;;) {
		ssize_t n = read_chunk(a, x), m = read_chunk(b, y);

		if (n != m || n < 0 || memcmp(x, y, (size_t)n) != 0)
			return false;
		if (n == 0)
			return true;
	}
}

static bool same_target(const struct upper_entry *e)
{
	char a[LINK_MAX], b[LINK_MAX];
	ssize_t n = readlinkat(e->dir, e->name, a, sizeof(a));
	ssize_t m = readlinkat(e->lower_dir, e->name, b, sizeof(b));

	return n >= 0 && n == m && memcmp(a, b, (size_t)n) == 0;
}

static bool same_content(const struct upper_entry *e, const struct stat *lower)
{
	switch (e->st.st_mode & S_IFMT) {
	case S_IFREG:
		return same_bytes(e, lower);
	case S_IFLNK:
		return same_target(e);
	case S_IFCHR:
	case S_IFBLK:
		return e->st.st_rdev == lower->st_rdev;
	default:
		return true;
	}
}

static int compare_names(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

/* Sorted: file systems list them in any order. */
static int sorted_xattrs(int dir, const char *name, char ***ret_names)
{
	_cleanup_free_ char *list = NULL;
	_cleanup_strv_ char **names = NULL;
	size_t len = 0;
	int r = upper_list_xattrs(dir, name, &list, &len);

	for (size_t at = 0; r == 0 && at < len; at += strlen(list + at) + 1)
		r = strv_append(&names, list + at);
	if (r < 0)
		return r;
	if (names)
		qsort(names, strv_len(names), sizeof(*names), compare_names);
	*ret_names = TAKE_PTR(names);
	return 0;
}

static bool same_xattrs(const struct upper_entry *e)
{
	_cleanup_strv_ char **ours = NULL, **theirs = NULL;

	if (sorted_xattrs(e->dir, e->name, &ours) < 0 ||
		sorted_xattrs(e->lower_dir, e->name, &theirs) < 0 ||
		strv_len(ours) != strv_len(theirs))
		return false;
	for (size_t i = 0; ours && ours[i]; i++) {
		_cleanup_free_ char *a = NULL, *b = NULL;
		size_t n, m;

		if (!str_eq(ours[i], theirs[i]) ||
			upper_get_xattr(e->dir, e->name, ours[i], &a, &n) < 0 ||
			upper_get_xattr(e->lower_dir, e->name, ours[i], &b, &m) < 0 || n != m ||
			memcmp(a, b, n) != 0)
			return false;
	}
	return true;
}

static unsigned differences(const struct upper_entry *e, const struct stat *lower)
{
	unsigned what = 0;

	if ((e->st.st_mode & S_IFMT) != (lower->st_mode & S_IFMT))
		return UPPER_TYPE;
	if (!same_content(e, lower))
		what |= UPPER_CONTENT;
	if (e->st.st_mode != lower->st_mode)
		what |= UPPER_MODE;
	if (e->st.st_uid != lower->st_uid || e->st.st_gid != lower->st_gid)
		what |= UPPER_OWNER;
	if (!same_xattrs(e))
		what |= UPPER_XATTR;
	return what;
}

/* ---- the walk ---- */

struct differ {
	struct upper_changes *changes;
};

static int compare_paths(const void *a, const void *b)
{
	return strcmp(
		((const struct upper_change *)a)->path, ((const struct upper_change *)b)->path);
}

/* What an opaque directory hides and has nothing of in its place. */
static int add_hidden(struct upper_changes *c, const struct upper_entry *e, struct err *err)
{
	int lower = openat(e->lower_dir, e->name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	_cleanup_closedir_ DIR *dir = lower >= 0 ? fdopendir(lower) : NULL;
	_cleanup_close_ int own =
		openat(e->dir, e->name, O_PATH | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	struct dirent *entry;

	while (dir && own >= 0 && (entry = readdir(dir))) {
		_cleanup_free_ char *path = NULL;
		struct stat st;
		int r;

		if (str_eq(entry->d_name, ".") || str_eq(entry->d_name, "..") ||
			fstatat(own, entry->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0)
			continue;
		if (str_printf(&path, "%s/%s", e->path, entry->d_name) < 0)
			return err_sysf(err, ENOMEM, "changes");
		r = add(c, UPPER_DELETED, 0, path, err);
		if (r < 0)
			return r;
	}
	return 0;
}

static int visit(void *arg, const struct upper_entry *e, struct err *err)
{
	struct upper_changes *c = ((struct differ *)arg)->changes;
	struct stat lower;
	unsigned what;
	bool below = e->lower_dir >= 0 &&
		     fstatat(e->lower_dir, e->name, &lower, AT_SYMLINK_NOFOLLOW) == 0 &&
		     !upper_is_whiteout(&lower);
	int r = 0;

	if (e->whiteout)
		return below ? add(c, UPPER_DELETED, 0, e->path, err) : 0;
	if (!below)
		return add(c, UPPER_ADDED, 0, e->path, err);
	what = differences(e, &lower);
	if (what)
		r = add(c, UPPER_CHANGED, what, e->path, err);
	if (r == 0 && e->opaque && S_ISDIR(lower.st_mode))
		r = add_hidden(c, e, err);
	return r;
}

int upper_diff(int upper, int lower, const char *point, struct upper_changes *c, struct err *err)
{
	struct differ d = {.changes = c};
	int r = upper_walk(upper, lower, point, visit, &d, err);

	if (r == 0 && c->n > 0)
		qsort(c->v, c->n, sizeof(*c->v), compare_paths);
	return r;
}
