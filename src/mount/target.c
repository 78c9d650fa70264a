#include "mount/target.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>
#include "base/cleanup.h"
#include "base/fd.h"
#include "base/str.h"
#include "mount/mountinfo.h"

enum { LINKS_MAX = 40, COMPONENTS_MAX = 256 };

void mount_foreign_done(struct mount_foreign *f)
{
	if (!f)
		return;
	free(f->ids);
	*f = (struct mount_foreign)MOUNT_FOREIGN_INIT;
}

static int add_id(struct mount_foreign *f, uint64_t id)
{
	if (f->n == f->cap) {
		size_t cap = f->cap ? f->cap * 2 : 64;
		uint64_t *ids = reallocarray(f->ids, cap, sizeof(*ids));

		if (!ids)
			return -ENOMEM;
		f->ids = ids;
		f->cap = cap;
	}
	f->ids[f->n++] = id;
	return 0;
}

int mount_foreign_find(
	const struct mountinfo *table, struct mount_foreign *ret_foreign, struct err *err)
{
	_cleanup_(mount_foreign_done) struct mount_foreign f = MOUNT_FOREIGN_INIT;

	for (size_t i = 0; i < table->n; i++) {
		if (!str_eq(table->entries[i].fstype, "overlay") &&
			add_id(&f, (uint64_t)table->entries[i].id) < 0)
			return err_sysf(err, ENOMEM, "mount table");
	}
	*ret_foreign = f;
	f = (struct mount_foreign)MOUNT_FOREIGN_INIT;
	return 0;
}

int mount_target_id(int fd, uint64_t *ret_id)
{
	struct statx st;

	if (statx(fd, "", AT_EMPTY_PATH, STATX_MNT_ID, &st) < 0)
		return -errno;
	if (!(st.stx_mask & STATX_MNT_ID))
		return -ENODATA;
	*ret_id = st.stx_mnt_id;
	return 0;
}

int mount_foreign_add(struct mount_foreign *f, int fd)
{
	uint64_t id = 0;
	int r = mount_target_id(fd, &id);

	return r < 0 ? r : add_id(f, id);
}

static bool is_foreign(int fd, const struct mount_foreign *foreign)
{
	uint64_t id = 0;

	if (!foreign || mount_target_id(fd, &id) < 0)
		return false;
	for (size_t i = 0; i < foreign->n; i++) {
		if (foreign->ids[i] == id)
			return true;
	}
	return false;
}

static int open_in(int root, const char *path, uint64_t flags, uint64_t resolve)
{
	struct open_how how = {
		.flags = flags | O_CLOEXEC,
		.resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS | resolve,
	};
	/* EAGAIN: something was renamed during the walk */
	for (int tries = 0; tries < 16; tries++) {
		long fd = syscall(SYS_openat2, root, path, &how, sizeof(how));

		if (fd >= 0)
			return (int)fd;
		if (errno != EAGAIN && errno != EINTR)
			break;
	}
	return -errno;
}

int mount_target_find(int root, const char *path)
{
	return open_in(root, path, O_PATH, 0);
}

/*
 * The walk by hand, for paths of which a part is missing. `todo` holds the components that are
 * still to be walked, the next one last; `done` the path so far, free of links.
 */
struct walk {
	int root;
	enum mount_target_kind kind;
	const struct mount_foreign *foreign;
	char **todo;
	size_t n_todo;
	unsigned links;
	char done[PATH_MAX];
	int fd; /* of `done` */
};

static void walk_done(struct walk *w)
{
	for (size_t i = 0; w->todo && i < w->n_todo; i++)
		free(w->todo[i]);
	free(w->todo);
	fd_close(&w->fd);
}

/* Puts the components of `path` before those that are left. */
static int push(struct walk *w, const char *path)
{
	_cleanup_strv_ char **parts = NULL;
	size_t n;

	if (strv_split(&parts, path, "/") < 0)
		return -ENOMEM;
	n = strv_len(parts);
	if (w->n_todo + n > COMPONENTS_MAX)
		return -ENAMETOOLONG;
	for (size_t i = 0; i < n; i++)
		w->todo[w->n_todo + n - 1 - i] = parts[i];
	w->n_todo += n;
	free(parts);
	parts = NULL;
	return 0;
}

static int reopen(struct walk *w)
{
	int fd = open_in(
		w->root, *w->done ? w->done : "/", O_PATH | O_DIRECTORY, RESOLVE_NO_SYMLINKS);

	if (fd < 0)
		return fd;
	fd_close(&w->fd);
	w->fd = fd;
	return 0;
}

static int go_up(struct walk *w)
{
	char *slash = strrchr(w->done, '/');

	if (slash)
		*slash = '\0';
	return reopen(w);
}

static int make(struct walk *w, const char *name, bool last)
{
	_cleanup_close_ int made = -EBADF;

	if (is_foreign(w->fd, w->foreign))
		return -EROFS;
	if (!last || w->kind == MOUNT_TARGET_DIR) {
		if (mkdirat(w->fd, name, 0755) < 0 && errno != EEXIST)
			return -errno;
		return 0;
	}
	made = openat(w->fd, name, O_CREAT | O_EXCL | O_WRONLY | O_NOFOLLOW | O_CLOEXEC, 0644);
	if (made < 0 && errno != EEXIST)
		return -errno;
	return 0;
}

static int follow(struct walk *w, int link)
{
	char target[PATH_MAX];
	ssize_t n = readlinkat(link, "", target, sizeof(target) - 1);
	int r;

	if (n < 0)
		return -errno;
	target[n] = '\0';
	if (++w->links > LINKS_MAX)
		return -ELOOP;
	if (target[0] == '/') {
		w->done[0] = '\0';
		r = reopen(w);
		if (r < 0)
			return r;
	}
	return push(w, target);
}

/* One component: enters it, follows it or makes it. */
static int step(struct walk *w)
{
	_cleanup_free_ char *name = w->todo[--w->n_todo];
	bool last = w->n_todo == 0;
	size_t used = strlen(w->done);
	_cleanup_close_ int fd = -EBADF;
	struct stat st;
	int r;

	if (str_eq(name, "."))
		return 0;
	if (str_eq(name, ".."))
		return go_up(w);
	if (used + strlen(name) + 2 > sizeof(w->done))
		return -ENAMETOOLONG;
	fd = open_in(w->fd, name, O_PATH | O_NOFOLLOW, 0);
	if (fd == -ENOENT) {
		r = make(w, name, last);
		if (r < 0)
			return r;
		fd = open_in(w->fd, name, O_PATH | O_NOFOLLOW, 0);
	}
	if (fd < 0)
		return fd;
	if (fstat(fd, &st) < 0)
		return -errno;
	if (S_ISLNK(st.st_mode))
		return follow(w, fd);
	w->done[used] = '/';
	memcpy(w->done + used + 1, name, strlen(name) + 1);
	fd_close(&w->fd);
	w->fd = TAKE_FD(fd);
	return 0;
}

static int walk_all(struct walk *w, const char *path)
{
	int r;

	w->todo = calloc(COMPONENTS_MAX, sizeof(*w->todo));
	if (!w->todo)
		return -ENOMEM;
	r = reopen(w);
	if (r < 0)
		return r;
	r = push(w, path);
	while (r == 0 && w->n_todo > 0)
		r = step(w);
	return r < 0 ? r : 0;
}

static int check_kind(int fd, const char *path, enum mount_target_kind kind, struct err *err)
{
	struct stat st;

	if (fstat(fd, &st) < 0)
		return err_sysf(err, errno, "%s", path);
	if (S_ISDIR(st.st_mode) != (kind == MOUNT_TARGET_DIR))
		return err_setf(err, ERR_INVALID, S_ISDIR(st.st_mode) ? EISDIR : ENOTDIR,
			"%s is %s in the host view, but what is to be there is %s", path,
			S_ISDIR(st.st_mode) ? "a directory" : "a file",
			S_ISDIR(st.st_mode) ? "a file" : "a directory");
	return 0;
}

int mount_target_open(int root, const char *path, enum mount_target_kind kind,
	const struct mount_foreign *foreign, bool *ret_made, struct err *err)
{
	_cleanup_(walk_done) struct walk w = {
		.root = root, .kind = kind, .foreign = foreign, .fd = -EBADF};
	int r = open_in(root, path, O_PATH, 0);
	bool missing = r == -ENOENT;

	if (r >= 0) {
		w.fd = r;
	} else if (missing) {
		r = walk_all(&w, path);
		if (r == -EROFS && is_foreign(w.fd, foreign))
			return err_setf(err, ERR_PRECONDITION, EROFS,
				"%s would have to be made in %s, which is the host's own: make it "
				"there "
				"first",
				path, *w.done ? w.done : "/");
	}
	if (r == -ELOOP)
		return err_setf(err, ERR_INVALID, ELOOP,
			"mount point %s: a loop of symbolic links, or a magic link of /proc", path);
	if (r < 0)
		return err_sysf(err, -r, "mount point %s", path);
	r = check_kind(w.fd, path, kind, err);
	if (r < 0)
		return r;
	if (ret_made)
		*ret_made = missing;
	return TAKE_FD(w.fd);
}
