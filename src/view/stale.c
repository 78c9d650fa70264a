#include "view/stale.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>
#include "base/buf.h"
#include "base/cleanup.h"
#include "base/file.h"
#include "base/num.h"
#include "base/str.h"
#include "mount/submounts.h"

enum { NOTES_MAX = 16 << 20 };

/* What is remembered in the group's directory, a line each. */
#define STAMP_NAME "stamp"  /* what the places looked like when the processes were searched */
#define DIRS_NAME  "in-use" /* directories of what they had open */
#define STALE_NAME "stale"  /* "INODE PATH" of what was found, "-INODE PATH" if deleted */

void stale_files_done(struct stale_files *files)
{
	for (size_t i = 0; i < files->n; i++)
		free(files->v[i].path);
	free(files->v);
	*files = (struct stale_files)STALE_FILES_INIT;
}

static int add_stale(struct stale_files *files, const struct stale_file *f)
{
	char *path;

	if (files->n == files->cap) {
		size_t cap = files->cap ? files->cap * 2 : 16;
		struct stale_file *v = reallocarray(files->v, cap, sizeof(*v));

		if (!v)
			return -ENOMEM;
		files->v = v;
		files->cap = cap;
	}
	path = strdup(f->path);
	if (!path)
		return -ENOMEM;
	files->v[files->n] = *f;
	files->v[files->n++].path = path;
	return 0;
}

/* ---- one path in both worlds ---- */

/* statx of `path` below `root`, through no symbolic link. */
static int look(int root, const char *path, struct statx *ret)
{
	struct open_how how = {.flags = O_PATH | O_CLOEXEC | O_NOFOLLOW,
		.resolve = RESOLVE_IN_ROOT | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS};
	_cleanup_close_ int fd = (int)syscall(SYS_openat2, root, path, &how, sizeof(how));

	*ret = (struct statx) {0};
	if (fd < 0)
		return -errno;
	if (statx(fd, "", AT_EMPTY_PATH | AT_STATX_DONT_SYNC, STATX_BASIC_STATS | STATX_MNT_ID,
		    ret) < 0)
		return -errno;
	return 0;
}

/* A layered file system: its mount in the view, and the one on the host that is its lower layer. */
struct pair {
	uint64_t view_id, host_id;
	bool has_device;
	unsigned major, minor; /* as files of the lower layer have it in the view */
};

struct comparison {
	const struct stale_search *s;
	struct pair *pairs;
	size_t n_pairs;
};

static void comparison_done(struct comparison *c)
{
	free(c->pairs);
}

static int read_pairs(struct comparison *c, struct err *err)
{
	c->pairs = calloc(strv_len(c->s->layers) + 1, sizeof(*c->pairs));
	if (!c->pairs)
		return err_sysf(err, ENOMEM, "layers");
	for (char *const *l = c->s->layers; l && *l; l++) {
		struct statx view, host;

		if (look(c->s->view_root, *l, &view) < 0 || look(c->s->host_root, *l, &host) < 0 ||
			!(view.stx_mask & host.stx_mask & STATX_MNT_ID))
			continue; /* before Linux 5.8 nothing can be said */
		c->pairs[c->n_pairs++] =
			(struct pair) {.view_id = view.stx_mnt_id, .host_id = host.stx_mnt_id};
	}
	return 0;
}

static struct pair *find_pair(struct comparison *c, uint64_t view_id)
{
	for (size_t i = 0; i < c->n_pairs; i++) {
		if (c->pairs[i].view_id == view_id)
			return &c->pairs[i];
	}
	return NULL;
}

/* The length of the longest of these mount points that `path` lies below. */
static size_t longest(char *const *points, const char *path)
{
	size_t best = 0;

	for (char *const *p = points; p && *p; p++) {
		if (submount_is_below(path, *p) && strlen(*p) > best)
			best = strlen(*p);
	}
	return best;
}

enum verdict { FRESH, REPLACED, DELETED };

/* What differs; `view` is filled if not FRESH. Which layer the view's file is from is not asked. */
static enum verdict differs(
	struct comparison *c, const char *path, struct statx *view, struct pair **ret_pair)
{
	struct statx host;
	int r;

	if (longest(c->s->others, path) > longest(c->s->layers, path) ||
		look(c->s->view_root, path, view) < 0 || !S_ISREG(view->stx_mode))
		return FRESH;
	*ret_pair = find_pair(c, view->stx_mnt_id);
	if (!*ret_pair)
		return FRESH;
	r = look(c->s->host_root, path, &host);
	if (r == -ENOENT)
		return DELETED;
	if (r < 0 || !S_ISREG(host.stx_mode) || host.stx_mnt_id != (*ret_pair)->host_id)
		return FRESH;
	if (host.stx_ino != view->stx_ino)
		return REPLACED;
	/* one that is the host's: its device is that of the layer */
	if (host.stx_size == view->stx_size && host.stx_mtime.tv_sec == view->stx_mtime.tv_sec &&
		host.stx_mtime.tv_nsec == view->stx_mtime.tv_nsec) {
		(*ret_pair)->has_device = true;
		(*ret_pair)->major = view->stx_dev_major;
		(*ret_pair)->minor = view->stx_dev_minor;
	}
	return FRESH;
}

/* A file without any name is one that the host replaced or deleted; what the workloads wrote, or a
 * layer between put there, has one. If the old file has another name (a backup), its device tells
 * that it is the host's. */
static bool is_of_host(const struct statx *view, const struct pair *pair)
{
	if (view->stx_nlink == 0)
		return true;
	return pair->has_device && view->stx_dev_major == pair->major &&
	       view->stx_dev_minor == pair->minor;
}

/* ---- what is remembered ---- */

static int read_note(const struct stale_search *s, const char *name, char **ret, struct err *err)
{
	_cleanup_free_ char *path = NULL;
	int r = str_printf(&path, "%s/%s", s->base_dir, name);

	if (r == 0)
		r = file_read_at(AT_FDCWD, path, NOTES_MAX, ret, NULL, err);
	if (r == -ENOENT)
		r = str_dup(ret, "");
	if (r >= 0 && !*ret)
		r = -ENOMEM;
	return r < 0 ? err_sysf(err, -r, "%s/%s", s->base_dir, name) : 0;
}

static int write_note(
	const struct stale_search *s, const char *name, const struct buf *text, struct err *err)
{
	_cleanup_free_ char *path = NULL;
	int r = str_printf(&path, "%s/%s", s->base_dir, name);

	if (r < 0)
		return err_sysf(err, -r, "%s", s->base_dir);
	r = file_replace_at(AT_FDCWD, path, text->data ? text->data : "", text->len, 0600, err);
	/* workloads have filled their tmpfs: that must not keep the next one from starting, who may
	   be there to clean up. What is not remembered is searched again. */
	return r == -ENOSPC || r == -EDQUOT ? 0 : r;
}

static int write_stale(
	const struct stale_search *s, const struct stale_files *files, struct err *err)
{
	_cleanup_(buf_done) struct buf text = BUF_INIT(NOTES_MAX);

	for (size_t i = 0; i < files->n; i++) {
		const struct stale_file *f = &files->v[i];

		if (strchr(f->path, '\n'))
			continue;
		if (buf_printf(&text, "%s%llu %s\n", f->deleted ? "-" : "",
			    (unsigned long long)f->ino, f->path) < 0)
			return err_sysf(err, ENOMEM, "stale files");
	}
	return write_note(s, STALE_NAME, &text, err);
}

/* ---- the stamp ---- */

static int add_place(struct buf *b, const char *path)
{
	struct statx st;

	/* /opt may be a server's that is gone: what is known of it will do */
	if (statx(AT_FDCWD, path, AT_NO_AUTOMOUNT | AT_STATX_DONT_SYNC, STATX_INO | STATX_CTIME,
		    &st) < 0)
		return buf_append_str(b, "-\n");
	return buf_printf(b, "%llu %lld.%09u\n", (unsigned long long)st.stx_ino,
		(long long)st.stx_ctime.tv_sec, st.stx_ctime.tv_nsec);
}

static int make_stamp(const struct stale_search *s, const char *dirs, struct buf *b)
{
	static const char *const places[] = {
		/* what package managers and the linker write at the end of each change */
		"/var/lib/dpkg/status", "/var/lib/rpm/rpmdb.sqlite", "/var/lib/rpm/Packages.db",
		"/var/lib/rpm/Packages", "/usr/lib/sysimage/rpm/rpmdb.sqlite",
		"/usr/lib/sysimage/rpm/Packages.db", "/etc/ld.so.cache",
		/* where somebody else puts programs and libraries */
		"/etc", "/bin", "/sbin", "/lib", "/lib64", "/usr/bin", "/usr/sbin", "/usr/lib",
		"/usr/lib64", "/usr/libexec", "/usr/local/bin", "/usr/local/sbin", "/usr/local/lib",
		"/usr/local/lib64", "/usr/lib/x86_64-linux-gnu", "/usr/lib/aarch64-linux-gnu",
		"/opt"};
	_cleanup_free_ char *packages = NULL;
	_cleanup_strv_ char **more = NULL;
	int r = str_printf(&packages, "%s/packages", s->run_dir);

	if (r == 0)
		r = add_place(b, packages);
	for (size_t i = 0; r == 0 && i < ARRAY_LEN(places); i++)
		r = add_place(b, places[i]);
	if (r == 0)
		r = strv_split(&more, dirs, "\n");
	for (size_t i = 0; r == 0 && more && more[i]; i++)
		r = add_place(b, more[i]);
	return r;
}

/* The directories of the sorted list, each once. */
static int write_dirs(const struct stale_search *s, const struct stale_candidates *c,
	struct buf *text, struct err *err)
{
	const char *last = "";
	size_t last_len = 0;

	for (size_t i = 0; i < c->n; i++) {
		const char *path = c->v[i].path;
		size_t len = (size_t)(strrchr(path, '/') - path);

		if (!c->v[i].of_host || len == 0 || strchr(path, '\n') ||
			(len == last_len && strncmp(path, last, len) == 0))
			continue;
		if (buf_printf(text, "%.*s\n", (int)len, path) < 0)
			return err_sysf(err, ENOMEM, "directories in use");
		last = path;
		last_len = len;
	}
	return write_note(s, DIRS_NAME, text, err);
}

/* ---- the two ways to find them ---- */

/* The first round tells by which device the host's files are known, and where they lie. */
static void look_around(struct comparison *c, struct stale_candidates *candidates)
{
	for (size_t i = 0; i < candidates->n; i++) {
		struct pair *pair = NULL;
		struct statx view;
		enum verdict verdict = differs(c, candidates->v[i].path, &view, &pair);

		candidates->v[i].of_host = pair && (verdict == FRESH || is_of_host(&view, pair));
	}
}

static int compare_all(struct comparison *c, const struct stale_candidates *candidates,
	struct stale_files *ret, struct err *err)
{
	for (size_t i = 0; i < candidates->n; i++) {
		struct stale_file f = {
			.path = candidates->v[i].path, .holder = candidates->v[i].holder};
		struct pair *pair = NULL;
		struct statx view;
		enum verdict verdict = differs(c, f.path, &view, &pair);

		if (verdict == FRESH || !is_of_host(&view, pair))
			continue;
		f.ino = view.stx_ino;
		f.deleted = verdict == DELETED;
		if (add_stale(ret, &f) < 0)
			return err_sysf(err, ENOMEM, "stale files");
	}
	return 0;
}

static int search(struct comparison *c, struct stale_files *ret, struct err *err)
{
	_cleanup_(stale_candidates_done) struct stale_candidates candidates = {0};
	_cleanup_(buf_done) struct buf dirs = BUF_INIT(NOTES_MAX);
	_cleanup_(buf_done) struct buf stamp = BUF_INIT(NOTES_MAX);
	int r = stale_read_processes(c->s->proc_fd, c->s->view_root, &candidates, err);

	if (r < 0)
		return r;
	look_around(c, &candidates);
	r = write_dirs(c->s, &candidates, &dirs, err);
	/* before the comparison: what changes during it is seen the next time */
	if (r == 0 && make_stamp(c->s, dirs.data ? dirs.data : "", &stamp) < 0)
		r = err_sysf(err, ENOMEM, "stamp");
	if (r == 0)
		r = compare_all(c, &candidates, ret, err);
	if (r == 0)
		r = write_stale(c->s, ret, err);
	return r < 0 ? r : write_note(c->s, STAMP_NAME, &stamp, err);
}

/* What was found before and still is as it was found. */
static int look_again(struct comparison *c, char *known, struct stale_files *ret, struct err *err)
{
	for (char *line = known; *line;) {
		char *end = strchrnul(line, '\n'), *next = *end ? end + 1 : end;
		char *blank = memchr(line, ' ', (size_t)(end - line));
		struct stale_file f = {.deleted = line[0] == '-'};
		struct pair *pair = NULL;
		enum verdict verdict;
		struct statx view;

		*end = '\0';
		if (!blank)
			return err_setf(err, ERR_INTERNAL, EBADMSG, "%s/" STALE_NAME ": bad line",
				c->s->base_dir);
		*blank = '\0';
		f.path = blank + 1;
		if (num_parse_u64(line + f.deleted, UINT64_MAX, &f.ino) < 0)
			return err_setf(err, ERR_INTERNAL, EBADMSG, "%s/" STALE_NAME ": bad line",
				c->s->base_dir);
		verdict = differs(c, f.path, &view, &pair);
		f.deleted = verdict == DELETED;
		if (verdict != FRESH && view.stx_ino == f.ino && add_stale(ret, &f) < 0)
			return err_sysf(err, ENOMEM, "stale files");
		line = next;
	}
	return 0;
}

int stale_find(const struct stale_search *s, struct stale_files *ret, struct err *err)
{
	_cleanup_(comparison_done) struct comparison c = {.s = s};
	_cleanup_free_ char *dirs = NULL, *old = NULL, *known = NULL;
	_cleanup_(buf_done) struct buf stamp = BUF_INIT(NOTES_MAX);
	int r = read_note(s, DIRS_NAME, &dirs, err);

	if (r == 0)
		r = read_note(s, STAMP_NAME, &old, err);
	if (r == 0)
		r = read_note(s, STALE_NAME, &known, err);
	if (r < 0)
		return r;
	if (make_stamp(s, dirs, &stamp) < 0 || !stamp.data)
		return err_sysf(err, ENOMEM, "stamp");
	if (!s->search && str_eq(stamp.data, old) && *known == '\0')
		return 0;
	r = read_pairs(&c, err);
	if (r < 0)
		return r;
	if (s->search || !str_eq(stamp.data, old))
		return search(&c, ret, err);
	return look_again(&c, known, ret, err);
}
