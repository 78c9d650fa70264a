#include "mask/layer.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>
#include "base/buf.h"
#include "base/cleanup.h"
#include "base/file.h"
#include "base/str.h"
#include "mask/shadow.h"

enum { SHADOW_MAX = 16 << 20 };

static int open_below(int root, const char *path, int flags)
{
	struct open_how how = {.flags = (uint64_t)(unsigned)(flags | O_CLOEXEC | O_NOFOLLOW),
		.resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS};
	const char *relative = path[1] ? path + 1 : ".";
	long fd = syscall(SYS_openat2, root, relative, &how, sizeof(how));

	return fd < 0 ? -errno : (int)fd;
}

/* ---- one file's attributes ---- */

/* Labels and access lists, but no overlay's own: the host may be one itself. */
static int copy_xattrs(int from, int to, bool fresh, const char *path, struct err *err)
{
	static const char *const names[] = {
		"security.selinux", "system.posix_acl_access", "system.posix_acl_default"};
	char value[4096];

	if (fresh && flistxattr(from, NULL, 0) == 0) /* as nearly everywhere */
		return 0;
	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		ssize_t n = fgetxattr(from, names[i], value, sizeof(value));

		if (n < 0 && (errno == ENODATA || errno == EOPNOTSUPP)) {
			/* what the host no longer has; nothing there is no error */
			(void)fremovexattr(to, names[i]);
			continue;
		}
		if (n < 0 || fsetxattr(to, names[i], value, (size_t)n, 0) < 0)
			return err_sysf(err, errno, "%s of %s", names[i], path);
	}
	return 0;
}

/* fresh: `to` has none yet. */
static int copy_attributes(int from, int to, bool fresh, const char *path, struct err *err)
{
	struct stat st;

	if (fstat(from, &st) < 0)
		return err_sysf(err, errno, "%s", path);
	if (fchown(to, st.st_uid, st.st_gid) < 0 || fchmod(to, st.st_mode & 07777) < 0 ||
		futimens(to, (const struct timespec[]) {st.st_atim, st.st_mtim}) < 0)
		return err_sysf(err, errno, "owner and mode of %s", path);
	return copy_xattrs(from, to, fresh, path, err);
}

/* ---- a new layer ---- */

struct writer {
	int root, layer;
	const char *point;
	char last[PATH_MAX]; /* the directory that was made last: most entries follow in it */
	int last_fd;
	struct err *err;
};

/* The host's directory; -ENOENT (quietly) if there is none any more. */
static int open_host_dir(struct writer *w, const char *path)
{
	int fd = open_below(w->root, path, O_RDONLY | O_DIRECTORY);

	if (fd >= 0)
		return fd;
	return fd == -ENOTDIR || fd == -ELOOP || fd == -ENOENT ? -ENOENT
							       : err_sysf(w->err, -fd, "%s", path);
}

/* What of `path` lies below the layer's file system: "" or "/a/b". */
static const char *below_point(const struct writer *w, const char *path)
{
	return path + (w->point[1] ? strlen(w->point) : path[1] ? 0 : 1);
}

/* The directory of the layer for the host's directory `path`, with all above. -ENOENT (quietly):
 * the host's is gone. */
static int make_dir(struct writer *w, const char *path)
{
	_cleanup_close_ int host = open_host_dir(w, path);
	int fd = host < 0 ? -EBADF : openat(w->layer, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	char name[NAME_MAX + 1];

	if (host < 0)
		return host;
	for (const char *p = below_point(w, path); fd >= 0 && *p;) {
		_cleanup_close_ int parent = fd;
		size_t len = strcspn(p + 1, "/");

		if (len > NAME_MAX)
			return -ENOENT;
		memcpy(name, p + 1, len);
		name[len] = '\0';
		if (mkdirat(parent, name, 0700) < 0 && errno != EEXIST)
			return err_sysf(w->err, errno, "hiding below %s", path);
		fd = openat(parent, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
		p += 1 + len;
	}
	return fd < 0 ? err_sysf(w->err, errno, "hiding below %s", path) : fd;
}

static int enter_dir(struct writer *w, const char *path)
{
	int fd;

	if (w->last_fd >= 0 && str_eq(w->last, path))
		return 0;
	if (w->last_fd >= 0)
		(void)close(w->last_fd);
	w->last_fd = -EBADF;
	fd = make_dir(w, path);
	if (fd < 0)
		return fd;
	memcpy(w->last, path, strlen(path) + 1);
	w->last_fd = fd;
	return 0;
}

static int put_whiteout(struct writer *w, const char *path, const char *name)
{
	if (mknodat(w->last_fd, name, S_IFCHR, makedev(0, 0)) < 0)
		return err_sysf(w->err, errno, "hiding %s", path);
	return 0;
}

static int put_locked(struct writer *w, const char *path, const char *name)
{
	_cleanup_close_ int host = open_below(w->root, path, O_RDONLY | O_NONBLOCK);
	_cleanup_close_ int fd = -EBADF;
	_cleanup_free_ char *text = NULL;
	_cleanup_(buf_done) struct buf locked = BUF_INIT(2 * SHADOW_MAX);
	size_t len = 0;
	int r;

	if (host == -ENOENT || host == -ELOOP)
		return put_whiteout(w, path, name);
	if (host < 0)
		return err_sysf(w->err, -host, "%s", path);
	r = file_read_fd(host, path, SHADOW_MAX, &text, &len, w->err);
	if (r < 0)
		return r;
	r = mask_lock_shadow(text, len, &locked);
	explicit_bzero(text, len);
	if (r < 0)
		return err_sysf(w->err, -r, "%s", path);
	fd = openat(w->last_fd, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd < 0)
		return err_sysf(w->err, errno, "hiding the passwords of %s", path);
	r = file_write_all(fd, locked.data, locked.len);
	if (r < 0)
		return err_sysf(w->err, -r, "hiding the passwords of %s", path);
	return copy_attributes(host, fd, true, path, w->err);
}

/* Debian's invoke-rc.d and deb-systemd-invoke ask it; 101 is "not here". */
static int put_policy(struct writer *w, const char *path, const char *name)
{
	static const char text[] = "#!/bin/sh\n"
				   "# This is the view of a Reaper pod: services are the node's.\n"
				   "exit 101\n";
	_cleanup_close_ int fd =
		openat(w->last_fd, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0755);
	int r = fd < 0 ? -errno : file_write_all(fd, text, sizeof(text) - 1);

	if (r == 0 && fchmod(fd, 0755) < 0)
		r = -errno;
	return r < 0 ? err_sysf(w->err, -r, "%s", path) : 0;
}

static int write_entry(struct writer *w, const struct mask_entry *e)
{
	const char *slash = strrchr(e->path, '/');
	char dir[PATH_MAX];
	size_t len = slash == e->path ? 1 : (size_t)(slash - e->path);
	int r;

	memcpy(dir, e->path, len);
	dir[len] = '\0';
	r = enter_dir(w, dir);
	if (r == -ENOENT)
		return 0;
	if (r < 0)
		return r;
	switch (e->kind) {
	case MASK_LOCK:
		return put_locked(w, e->path, slash + 1);
	case MASK_DENY:
		return put_policy(w, e->path, slash + 1);
	case MASK_HIDE:
		break;
	}
	return put_whiteout(w, e->path, slash + 1);
}

static int set_attributes(struct writer *w, const char *path)
{
	_cleanup_close_ int host = open_host_dir(w, path);
	_cleanup_close_ int fd = -EBADF;
	const char *rest = below_point(w, path);

	if (host < 0)
		return host == -ENOENT ? 0 : host; /* left to root alone */
	fd = openat(
		w->layer, *rest ? rest + 1 : ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0) /* its entry was left out */
		return errno == ENOENT ? 0 : err_sysf(w->err, errno, "hiding below %s", path);
	return copy_attributes(host, fd, true, path, w->err);
}

/* Those of the directories above the entry that were not above the one before. */
static int set_attributes_above(struct writer *w, const char *before, const char *path)
{
	size_t end = (size_t)(strrchr(path, '/') - path), same = 0;
	char dir[PATH_MAX];
	int r = 0;

	while (before[same] && before[same] == path[same])
		same++;
	for (size_t len = (size_t)(below_point(w, path) - path) + 1; r == 0 && len <= end; len++) {
		if (path[len] != '/' || len < same)
			continue;
		memcpy(dir, path, len);
		dir[len] = '\0';
		r = set_attributes(w, dir);
	}
	return r;
}

/* Last, for what is written changes the times of the directory. */
static int set_all_attributes(
	struct writer *w, int host, const struct mask_entry *const *entries, size_t n)
{
	int r = copy_attributes(host, w->layer, true, w->point, w->err);

	for (size_t i = 0; r == 0 && i < n; i++)
		r = set_attributes_above(w, i ? entries[i - 1]->path : "", entries[i]->path);
	return r;
}

int mask_layer_write(int root, int layer, const char *point,
	const struct mask_entry *const *entries, size_t n, struct err *err)
{
	struct err reason = ERR_INIT;
	struct writer w = {.root = root,
		.layer = layer,
		.point = point,
		.last_fd = -EBADF,
		.err = err ? err : &reason};
	_cleanup_close_ int host = open_host_dir(&w, point);
	int r = host < 0 ? host : 0;

	if (r == -ENOENT)
		r = err_sysf(err, ENOENT, "%s", point);
	for (size_t i = 0; i < n && r == 0; i++)
		r = write_entry(&w, entries[i]);
	if (r == 0)
		r = set_all_attributes(&w, host, entries, n);
	if (w.last_fd >= 0)
		(void)close(w.last_fd);
	return r;
}

/* ---- a layer in use ---- */

static int list(int fd, char ***ret, struct err *err)
{
	int copy = openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	_cleanup_closedir_ DIR *dir = copy >= 0 ? fdopendir(copy) : NULL;
	_cleanup_strv_ char **names = NULL;
	struct dirent *e;

	if (!dir)
		return err_sysf(err, errno, "layer of hidden paths");
	while ((e = readdir(dir))) {
		if (str_eq(e->d_name, ".") || str_eq(e->d_name, ".."))
			continue;
		if (strv_append(&names, e->d_name) < 0)
			return err_sysf(err, ENOMEM, "layer of hidden paths");
	}
	*ret = TAKE_PTR(names);
	return 0;
}

/* Both have a directory of this name. */
static int update_dir(int live, int fresh, const char *name, struct err *err)
{
	_cleanup_close_ int a = openat(live, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	_cleanup_close_ int b =
		openat(fresh, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	int r;

	if (a < 0 || b < 0)
		return err_sysf(err, errno, "%s in the layer of hidden paths", name);
	r = mask_layer_update(a, b, err);
	if (r == 0)
		(void)unlinkat(fresh, name, AT_REMOVEDIR);
	return r;
}

/* Puts what `fresh` has under this name into `live`. */
static int update_name(int live, int fresh, const char *name, struct err *err)
{
	struct stat a, b;
	unsigned flags = RENAME_NOREPLACE;

	if (fstatat(fresh, name, &b, AT_SYMLINK_NOFOLLOW) < 0)
		return err_sysf(err, errno, "%s in the layer of hidden paths", name);
	if (fstatat(live, name, &a, AT_SYMLINK_NOFOLLOW) == 0) {
		if (S_ISDIR(a.st_mode) && S_ISDIR(b.st_mode))
			return update_dir(live, fresh, name, err);
		flags = RENAME_EXCHANGE;
	}
	if (renameat2(fresh, name, live, name, flags) < 0)
		return err_sysf(err, errno, "%s in the layer of hidden paths", name);
	/* a directory that an overlay may have open keeps what it hides */
	if (flags == RENAME_EXCHANGE && !S_ISDIR(a.st_mode))
		(void)unlinkat(fresh, name, 0);
	return 0;
}

/* What is no longer hidden. Directories stay. */
static int drop(int live, const char *name, struct err *err)
{
	_cleanup_strv_ char **names = NULL;
	_cleanup_close_ int fd = -EBADF;
	int r;

	if (unlinkat(live, name, 0) == 0 || errno == ENOENT)
		return 0;
	if (errno != EISDIR && errno != EPERM)
		return err_sysf(err, errno, "%s in the layer of hidden paths", name);
	fd = openat(live, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0)
		return err_sysf(err, errno, "%s in the layer of hidden paths", name);
	r = list(fd, &names, err);
	for (char **n = names; r == 0 && n && *n; n++)
		r = drop(fd, *n, err);
	return r;
}

static bool has(char *const *names, const char *name)
{
	for (; names && *names; names++) {
		if (str_eq(*names, name))
			return true;
	}
	return false;
}

int mask_layer_update(int live, int fresh, struct err *err)
{
	_cleanup_strv_ char **have = NULL, **want = NULL;
	struct stat st;
	int r = list(live, &have, err);

	if (r == 0)
		r = list(fresh, &want, err);
	for (char **n = want; r == 0 && n && *n; n++)
		r = update_name(live, fresh, *n, err);
	for (char **n = have; r == 0 && n && *n; n++) {
		if (!has(want, *n))
			r = drop(live, *n, err);
	}
	if (r == 0 && fstat(fresh, &st) == 0)
		r = copy_attributes(fresh, live, false, "layer of hidden paths", err);
	return r;
}
