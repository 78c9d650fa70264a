#include "uppers/upper_export.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "base/cleanup.h"
#include "base/str.h"
#include "uppers/tar.h"
#include "cli/text.h"
#include "uppers/upper_walk.h"

enum { TARGET_MAX = 4096, CHUNK = 64 << 10 };

#define WHITEOUT \
	"."      \
	"wh."

/* Files with several names: the first one in the archive. */
struct upper_links {
	struct upper_link {
		dev_t dev;
		ino_t ino;
		char *name;
	} * v;
	size_t n;
};

static const char *find_link(const struct upper_links *l, const struct stat *st)
{
	for (size_t i = 0; l && i < l->n; i++) {
		if (l->v[i].dev == st->st_dev && l->v[i].ino == st->st_ino)
			return l->v[i].name;
	}
	return NULL;
}

static int remember_link(struct upper_export *x, const struct stat *st, const char *name)
{
	struct upper_link *grown;

	if (!x->links)
		x->links = calloc(1, sizeof(*x->links));
	if (!x->links)
		return -ENOMEM;
	grown = reallocarray(x->links->v, x->links->n + 1, sizeof(*grown));
	if (!grown)
		return -ENOMEM;
	x->links->v = grown;
	grown[x->links->n] = (struct upper_link) {.dev = st->st_dev, .ino = st->st_ino};
	if (str_dup(&grown[x->links->n].name, name) < 0)
		return -ENOMEM;
	x->links->n++;
	return 0;
}

void upper_export_done(struct upper_export *x)
{
	for (size_t i = 0; x->links && i < x->links->n; i++)
		free(x->links->v[i].name);
	if (x->links)
		free(x->links->v);
	free(x->links);
	x->links = NULL;
}

static void note(struct upper_export *x, const char *path, const char *what)
{
	_cleanup_free_ char *shown = text_escape(path), *line = NULL;

	if (shown && str_printf(&line, "%s: %s", shown, what) == 0)
		x->note(line);
}

/* ---- attributes ---- */

struct attributes {
	struct tar_xattr *v;
	size_t n;
	char *names;
};

static void attributes_done(struct attributes *a)
{
	for (size_t i = 0; i < a->n; i++)
		free((void *)(uintptr_t)a->v[i].value);
	free(a->v);
	free(a->names);
}

static int read_attributes(const struct upper_entry *e, struct attributes *a)
{
	size_t len = 0;
	int r = upper_list_xattrs(e->dir, e->name, &a->names, &len);

	for (size_t at = 0; r == 0 && at < len; at += strlen(a->names + at) + 1) {
		struct tar_xattr *grown = reallocarray(a->v, a->n + 1, sizeof(*grown));
		char *value;

		if (!grown)
			return -ENOMEM;
		a->v = grown;
		r = upper_get_xattr(e->dir, e->name, a->names + at, &value, &grown[a->n].len);
		if (r == -ENODATA) {
			r = 0;
			continue;
		}
		if (r == 0) {
			grown[a->n].name = a->names + at;
			grown[a->n++].value = value;
		}
	}
	return r;
}

/* ---- entries ---- */

static int failed(int r, const char *path, struct err *err)
{
	_cleanup_free_ char *shown = text_escape(path);

	return err_sysf(err, -r, "writing the layer: %.500s", shown ? shown : "");
}

/* Exactly as much as the header says. */
static int put_content(struct upper_export *x, int fd, const char *path, uint64_t size)
{
	_cleanup_free_ char *chunk = malloc(CHUNK);
	uint64_t left = size;

	if (!chunk)
		return -ENOMEM;
	while (left > 0) {
		size_t want = left < CHUNK ? (size_t)left : CHUNK;
		ssize_t n = RETRY_EINTR(read(fd, chunk, want));

		if (n < 0)
			return -errno;
		if (n == 0) {
			note(x, path, "became shorter while it was read: zeros take its place");
			memset(chunk, 0, want);
			n = (ssize_t)want;
		}
		if (fwrite(chunk, (size_t)n, 1, x->out) != 1)
			return -EIO;
		left -= (uint64_t)n;
	}
	return tar_put_padding(x->out, size);
}

static int put_file(struct upper_export *x, const struct upper_entry *e, struct tar_entry *t)
{
	_cleanup_close_ int fd = -EBADF;
	const char *first = e->st.st_nlink > 1 ? find_link(x->links, &e->st) : NULL;
	int r;

	if (first) {
		t->type = '1';
		t->link = first;
		t->n_xattrs = 0;
		return tar_put_header(x->out, t);
	}
	fd = upper_open_file(e->dir, e->name);
	if (fd == -ENOENT)
		return 0; /* gone, or something else by now */
	if (fd < 0 || fstat(fd, &t->st) < 0)
		return fd < 0 ? fd : -errno;
	r = e->st.st_nlink > 1 ? remember_link(x, &e->st, t->name) : 0;
	if (r == 0)
		r = tar_put_header(x->out, t);
	return r < 0 ? r : put_content(x, fd, e->path, (uint64_t)t->st.st_size);
}

static int put_symlink(struct upper_export *x, const struct upper_entry *e, struct tar_entry *t)
{
	char target[TARGET_MAX + 1];
	ssize_t n = readlinkat(e->dir, e->name, target, TARGET_MAX);
	int r;

	if (n < 0)
		return errno == ENOENT || errno == EINVAL ? 0 : -errno;
	target[n] = '\0';
	t->type = '2';
	t->link = target;
	r = tar_put_header(x->out, t);
	t->link = NULL;
	return r;
}

/* A file of no bytes that says something about others. */
static int put_marker(struct upper_export *x, const char *dir, const char *name, const char *path)
{
	struct tar_entry t = {.type = '0', .st = {.st_mode = S_IFREG}};
	_cleanup_free_ char *whole = NULL;
	int r = str_printf(&whole, "%s%s%s", dir, WHITEOUT, name);

	(void)path;
	t.name = whole;
	return r < 0 ? r : tar_put_header(x->out, &t);
}

static int put_entry(struct upper_export *x, const struct upper_entry *e, struct tar_entry *t)
{
	int r;

	switch (e->st.st_mode & S_IFMT) {
	case S_IFREG:
		return put_file(x, e, t);
	case S_IFLNK:
		return put_symlink(x, e, t);
	case S_IFDIR:
		t->type = '5';
		r = tar_put_header(x->out, t);
		return r == 0 && e->opaque ? put_marker(x, t->name, ".wh..opq", e->path) : r;
	case S_IFCHR:
		t->type = '3';
		return tar_put_header(x->out, t);
	case S_IFBLK:
		t->type = '4';
		return tar_put_header(x->out, t);
	case S_IFIFO:
		t->type = '6';
		return tar_put_header(x->out, t);
	default:
		note(x, e->path, "a socket, left out");
		return 0;
	}
}

static int visit(void *arg, const struct upper_entry *e, struct err *err)
{
	_cleanup_(attributes_done) struct attributes attributes = {.n = 0};
	_cleanup_free_ char *name = NULL, *dir = NULL;
	struct upper_export *x = arg;
	struct tar_entry t = {.type = '0', .st = e->st};
	int r;

	if (str_has_prefix(e->name, WHITEOUT)) {
		x->left_out++;
		note(x, e->path, "a layer takes the name for a deletion, left out");
		return 0;
	}
	if (e->whiteout) {
		dir = strndup(e->path + 1, strlen(e->path) - 1 - strlen(e->name));
		r = dir ? put_marker(x, dir, e->name, e->path) : -ENOMEM;
		return r < 0 ? failed(r, e->path, err) : 0;
	}
	r = str_printf(&name, "%s%s", e->path + 1, S_ISDIR(e->st.st_mode) ? "/" : "");
	if (r == 0)
		r = read_attributes(e, &attributes);
	if (r == -ENOENT)
		return 0; /* gone meanwhile */
	t.name = name;
	t.xattrs = attributes.v;
	t.n_xattrs = attributes.n;
	if (r == 0)
		r = put_entry(x, e, &t);
	return r < 0 ? failed(r, e->path, err) : 0;
}

/* "home/", "home/data/" for what is mounted on /home/data; as the host has them. */
static int put_parents(struct upper_export *x, const char *point)
{
	for (const char *p = point; *p;) {
		struct tar_entry t = {.type = '5'};
		_cleanup_free_ char *path = NULL, *name = NULL;
		int r;

		p += strcspn(p + 1, "/") + 1;
		path = strndup(point, (size_t)(p - point));
		if (!path || str_printf(&name, "%s/", path + 1) < 0)
			return -ENOMEM;
		if (str_eq(name, "/") || stat(path, &t.st) < 0)
			return 0;
		t.name = name;
		r = tar_put_header(x->out, &t);
		if (r < 0)
			return r;
	}
	return 0;
}

int upper_export(struct upper_export *x, int upper, const char *point, struct err *err)
{
	int r = put_parents(x, point);

	return r < 0 ? failed(r, point, err) : upper_walk(upper, -EBADF, point, visit, x, err);
}

int upper_export_end(struct upper_export *x, struct err *err)
{
	int r = tar_put_end(x->out);

	return r < 0 ? failed(r, "the end", err) : 0;
}
