#include "uppers/upper_walk.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>
#include "base/cleanup.h"
#include "base/str.h"

enum { XATTR_MAX = 64 << 10 }; /* the kernel's limit of a list and of a value */

struct walker {
	upper_visit visit;
	void *arg;
	unsigned depth;
};

struct item {
	char *name;
	struct stat st;
	bool whiteout;
};

struct items {
	struct item *v;
	size_t n;
};

static void items_done(struct items *items)
{
	for (size_t i = 0; i < items->n; i++)
		free(items->v[i].name);
	free(items->v);
}

bool upper_is_whiteout(const struct stat *st)
{
	return S_ISCHR(st->st_mode) && st->st_rdev == makedev(0, 0);
}

/* The path of an entry for calls that take no directory; the l-variants do not follow it. */
static int xattr_path(int dir, const char *name, char **ret_path)
{
	return str_printf(ret_path, "/proc/self/fd/%d/%s", dir, name);
}

static bool is_overlays_own(const char *attr)
{
	return str_has_prefix(attr, "trusted.overlay.") || str_has_prefix(attr, "user.overlay.");
}

int upper_list_xattrs(int dir, const char *name, char **ret, size_t *ret_len)
{
	_cleanup_free_ char *path = NULL, *list = malloc(XATTR_MAX);
	size_t kept = 0;
	ssize_t n;

	if (!list || xattr_path(dir, name, &path) < 0)
		return -ENOMEM;
	n = llistxattr(path, list, XATTR_MAX);
	if (n < 0 && errno != ENOTSUP && errno != EPERM)
		return -errno;
	for (ssize_t at = 0; at < n;) {
		size_t len = strlen(list + at) + 1;

		if (!is_overlays_own(list + at)) {
			memmove(list + kept, list + at, len);
			kept += len;
		}
		at += (ssize_t)len;
	}
	*ret = TAKE_PTR(list);
	*ret_len = kept;
	return 0;
}

int upper_get_xattr(int dir, const char *name, const char *attr, char **ret, size_t *ret_len)
{
	_cleanup_free_ char *path = NULL, *value = malloc(XATTR_MAX);
	ssize_t n;

	if (!value || xattr_path(dir, name, &path) < 0)
		return -ENOMEM;
	n = lgetxattr(path, attr, value, XATTR_MAX);
	if (n < 0)
		return -errno;
	*ret = TAKE_PTR(value);
	*ret_len = (size_t)n;
	return 0;
}

int upper_open_file(int dir, const char *name)
{
	_cleanup_close_ int fd =
		openat(dir, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY);
	struct stat st;

	if (fd < 0)
		return errno == ELOOP || errno == ENXIO ? -ENOENT : -errno;
	if (fstat(fd, &st) < 0)
		return -errno;
	return S_ISREG(st.st_mode) ? TAKE_FD(fd) : -ENOENT;
}

static bool is_opaque(int dir, const char *name)
{
	_cleanup_free_ char *path = NULL;
	char value = 0;

	return xattr_path(dir, name, &path) == 0 &&
	       lgetxattr(path, "trusted.overlay.opaque", &value, 1) == 1 && value == 'y';
}

/* As if the name of a whiteout had its prefix. */
static int compare_items(const void *a, const void *b)
{
	static const char prefix[] = ".wh.";
	const struct item *x = a, *y = b;
	const char *p = x->whiteout ? prefix : x->name, *q = y->whiteout ? prefix : y->name;
	bool in_p = x->whiteout, in_q = y->whiteout;

	for (;;) {
		if (in_p && !*p) {
			p = x->name;
			in_p = false;
		}
		if (in_q && !*q) {
			q = y->name;
			in_q = false;
		}
		if (*p != *q || !*p)
			return (unsigned char)*p - (unsigned char)*q;
		p++;
		q++;
	}
}

static int read_items(int dir, struct items *items)
{
	int copy = openat(dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	_cleanup_closedir_ DIR *stream = copy >= 0 ? fdopendir(copy) : NULL;
	size_t room = 0;
	struct dirent *e;

	if (!stream)
		return -errno;
	while ((e = readdir(stream))) {
		struct item item;

		if (str_eq(e->d_name, ".") || str_eq(e->d_name, ".."))
			continue;
		if (fstatat(dir, e->d_name, &item.st, AT_SYMLINK_NOFOLLOW) < 0)
			continue; /* gone */
		item.whiteout = upper_is_whiteout(&item.st);
		if (items->n == room) {
			struct item *grown;

			room = room ? 2 * room : 32;
			grown = reallocarray(items->v, room, sizeof(*grown));
			if (!grown)
				return -ENOMEM;
			items->v = grown;
		}
		item.name = strdup(e->d_name);
		if (!item.name)
			return -ENOMEM;
		items->v[items->n++] = item;
	}
	if (items->n > 0)
		qsort(items->v, items->n, sizeof(*items->v), compare_items);
	return 0;
}

/* -EBADF if there is no such directory. */
static int open_dir(int dir, const char *name)
{
	int fd = dir < 0 ? -EBADF
			 : openat(dir, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);

	return fd < 0 ? -EBADF : fd;
}

static int walk_dir(struct walker *w, int upper, int lower, const char *path, struct err *err);

static int walk_item(struct walker *w, int upper, int lower, const char *path,
	const struct item *item, struct err *err)
{
	_cleanup_free_ char *whole = NULL;
	_cleanup_close_ int down = -EBADF, lower_down = -EBADF;
	struct upper_entry e = {.name = item->name,
		.dir = upper,
		.lower_dir = lower,
		.st = item->st,
		.whiteout = item->whiteout};
	int r;

	if (str_printf(&whole, "%s%s%s", path, str_eq(path, "/") ? "" : "/", item->name) < 0)
		return err_sysf(err, ENOMEM, "%s", path);
	e.path = whole;
	e.opaque = S_ISDIR(item->st.st_mode) && is_opaque(upper, item->name);
	r = w->visit(w->arg, &e, err);
	if (r < 0 || !S_ISDIR(item->st.st_mode))
		return r;
	down = open_dir(upper, item->name);
	if (down < 0)
		return 0;
	lower_down = open_dir(lower, item->name);
	return walk_dir(w, down, lower_down, whole, err);
}

static int walk_dir(struct walker *w, int upper, int lower, const char *path, struct err *err)
{
	_cleanup_(items_done) struct items items = {.n = 0};
	int r;

	if (w->depth == UPPER_DEPTH_MAX)
		return err_setf(err, ERR_EXHAUSTED, ELOOP,
			"%.200s …: more than %d directories deep", path, UPPER_DEPTH_MAX);
	r = read_items(upper, &items);
	if (r < 0)
		return err_sysf(err, -r, "%.500s", path);
	w->depth++;
	for (size_t i = 0; i < items.n && r == 0; i++)
		r = walk_item(w, upper, lower, path, &items.v[i], err);
	w->depth--;
	return r;
}

int upper_walk(
	int upper, int lower, const char *point, upper_visit visit, void *arg, struct err *err)
{
	struct walker w = {.visit = visit, .arg = arg};

	return walk_dir(&w, upper, lower, point, err);
}
