#include "mask/mask.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>
#include "base/cleanup.h"
#include "base/fd.h"
#include "base/sha256.h"
#include "base/str.h"
#include "mask/layer.h"
#include "mount/options.h"
#include "mount/submounts.h"
#include "mount/target.h"
#include "mount/tree.h"

/* Limits, not reservations: 64 bytes of name and an inode for each whiteout. */
#define MASK_TMPFS_DATA "mode=0700,size=64m,nr_inodes=1m"

/* Where a file system comes from a device or memory of this machine, a look cannot hang. */
static bool is_local(const struct mountinfo_entry *e)
{
	static const char *const types[] = {
		"tmpfs", "ramfs", "overlay", "btrfs", "zfs", "bcachefs", "f2fs"};

	if (e->major != 0)
		return true;
	for (size_t i = 0; i < ARRAY_LEN(types); i++) {
		if (str_eq(e->fstype, types[i]))
			return true;
	}
	return false;
}

static int make_plan(struct mask *m, const struct mask_rules *rules, const struct mountinfo *shown,
	struct err *err)
{
	_cleanup_strv_ char **walked = NULL;
	int r;

	m->root = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
	r = m->root < 0 ? -errno : strv_append(&m->points, "/");

	for (size_t i = 0; r == 0 && i < shown->n; i++) {
		r = strv_append(&m->points, shown->entries[i].point);
		if (r == 0 && is_local(&shown->entries[i]))
			r = strv_append(&walked, shown->entries[i].point);
	}
	if (r < 0)
		return err_sysf(err, -r, "hidden paths");
	return mask_plan_make(m->root, rules, walked, &m->plan, err);
}

/* The nothing that is bound over a hidden path: EMPTY/dir and EMPTY/file. */
static int make_empty(struct mask *m, struct err *err)
{
	int fd;

	if ((mkdirat(m->fd, "empty", 0755) < 0 || mkdirat(m->fd, "empty/dir", 0755) < 0) &&
		errno != EEXIST)
		return err_sysf(err, errno, "%s/empty", m->dir);
	fd = openat(m->fd, "empty/file", O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0444);
	if (fd < 0)
		return err_sysf(err, errno, "%s/empty", m->dir);
	fd_close(&fd);
	return 0;
}

static int attach_tmpfs(struct mask *m, int tree, struct err *err)
{
	int r = 0;

	if (mkdir(m->dir, 0700) < 0 && errno != EEXIST)
		return err_sysf(err, errno, "%s", m->dir);
	if (tree >= 0)
		r = move_mount(tree, "", AT_FDCWD, m->dir, MOVE_MOUNT_F_EMPTY_PATH);
	else
		r = mount("reaper-mask", m->dir, "tmpfs", MS_NOSUID | MS_NODEV | MS_NOEXEC,
			MASK_TMPFS_DATA);
	if (r < 0)
		return err_sysf(err, errno, "mounting the layer of hidden paths on %s", m->dir);
	/* the view's namespace is not the host's peer, nor a peer of its own */
	if (mount(NULL, m->dir, NULL, MS_PRIVATE, NULL) < 0)
		return err_sysf(err, errno, "%s", m->dir);
	m->fd = open(m->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	if (m->fd < 0)
		return err_sysf(err, errno, "%s", m->dir);
	return make_empty(m, err);
}

int mask_begin(const struct mask_rules *rules, const struct mountinfo *shown, const char *base_dir,
	int tree, int proc_fd, struct mask *ret_mask, struct err *err)
{
	struct mask m = MASK_INIT;
	int r;

	*ret_mask = m;
	if (rules->off)
		return 0;
	m.on = true;
	m.proc_fd = proc_fd;
	r = make_plan(&m, rules, shown, err);
	if (r == 0 && str_printf(&m.dir, "%s/mask", base_dir) < 0)
		r = err_sysf(err, ENOMEM, "%s", base_dir);
	if (r == 0)
		r = attach_tmpfs(&m, tree, err);
	if (r < 0) {
		mask_done(&m);
		return err_wrapf(err, "hiding the host's secrets");
	}
	*ret_mask = m;
	return 0;
}

void mask_done(struct mask *m)
{
	free(m->dir);
	fd_close(&m->fd);
	fd_close(&m->root);
	mask_plan_done(&m->plan);
	(void)strv_free(m->points);
	*m = (struct mask)MASK_INIT;
}

/* The file system on which an entry lies: where its directory is, for a mount point is an entry of
 * the one above. */
static const char *point_of(const struct mask *m, const char *path)
{
	const char *best = m->points[0]; /* "/" */

	for (char **p = m->points; *p; p++) {
		if (strlen(*p) > strlen(best) && !str_eq(*p, path) && submount_is_below(path, *p))
			best = *p;
	}
	return best;
}

static const struct mask_entry **entries_of(const struct mask *m, const char *point, size_t *ret_n)
{
	const struct mask_entry **v = calloc(m->plan.n + 1, sizeof(void *));
	size_t n = 0;

	for (size_t i = 0; v && i < m->plan.n; i++) {
		if (str_eq(point_of(m, m->plan.v[i].path), point))
			v[n++] = &m->plan.v[i];
	}
	*ret_n = n;
	return v;
}

/* A new directory on the tmpfs: FIRST, or the first free FIRST.NUMBER. */
static int make_dir(struct mask *m, const char *first, char **ret_name, struct err *err)
{
	for (unsigned i = 0;; i++) {
		_cleanup_free_ char *name = NULL;

		if ((i == 0 ? str_dup(&name, first) : str_printf(&name, "%s.%u", first, i)) < 0)
			return err_sysf(err, ENOMEM, "layer of hidden paths");
		if (mkdirat(m->fd, name, 0700) == 0) {
			*ret_name = TAKE_PTR(name);
			return 0;
		}
		if (errno != EEXIST)
			return err_sysf(err, errno, "layer of hidden paths");
	}
}

static int write_layer(struct mask *m, const char *point, const char *name, struct err *err)
{
	_cleanup_free_ char *made = NULL;
	_cleanup_free_ const struct mask_entry **entries = NULL;
	_cleanup_close_ int fresh = -EBADF, live = -EBADF;
	size_t n = 0;
	int r = make_dir(m, name, &made, err);

	if (r < 0)
		return r;
	entries = entries_of(m, point, &n);
	fresh = openat(m->fd, made, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	if (!entries || fresh < 0)
		return err_sysf(err, entries ? errno : ENOMEM, "layer of hidden paths");
	r = mask_layer_write(m->root, fresh, point, entries, n, err);
	if (r < 0 || str_eq(made, name))
		return r;
	live = openat(m->fd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	if (live < 0)
		return err_sysf(err, errno, "layer of hidden paths");
	r = mask_layer_update(live, fresh, err);
	if (r == 0)
		(void)unlinkat(m->fd, made, AT_REMOVEDIR);
	return r;
}

/* A file beside the layer says that no overlay took it. */
#define MARK "bound."
enum { MARK_LEN = sizeof(MARK) - 1, MARK_SIZE = SHA256_HEX_SIZE + MARK_LEN };

static void mark_name(const char *point, char buf[MARK_SIZE])
{
	char hash[SHA256_HEX_SIZE];

	sha256_hex(point, strlen(point), hash);
	/* not by a copy of its own: half of the word in the program's code is one that lintian
	 * knows to be misspelt */
	(void)snprintf(buf, MARK_SIZE, "%s%s", MARK, hash);
}

static bool has_layer(const struct mask *m, const char *point)
{
	char name[MARK_SIZE];

	mark_name(point, name);
	return faccessat(m->fd, name + MARK_LEN, F_OK, 0) == 0 &&
	       faccessat(m->fd, name, F_OK, 0) < 0;
}

int mask_layer(struct mask *m, const char *point, char **ret_dir, struct err *err)
{
	char name[MARK_SIZE];
	int r;

	*ret_dir = NULL;
	if (!m->on)
		return 0;
	mark_name(point, name);
	(void)unlinkat(m->fd, name, 0);
	r = write_layer(m, point, name + MARK_LEN, err);
	if (r == 0 && str_printf(ret_dir, "%s/%s", m->dir, name + MARK_LEN) < 0)
		r = err_sysf(err, ENOMEM, "%s", point);
	return r < 0 ? err_wrapf(err, "hiding the host's secrets") : 0;
}

int mask_no_layer(struct mask *m, const char *point, struct err *err)
{
	char name[MARK_SIZE];
	int fd;

	if (!m->on)
		return 0;
	mark_name(point, name);
	fd = openat(m->fd, name, O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		return err_sysf(err, errno, "hiding the host's secrets");
	fd_close(&fd);
	return 0;
}

bool mask_hides(const struct mask *m, const char *path)
{
	for (size_t i = 0; i < m->plan.n; i++) {
		if (submount_is_below(path, m->plan.v[i].path))
			return true;
	}
	return false;
}

int mask_open_tree(void)
{
	_cleanup_close_ int empty = -EBADF;
	int tree = open_tree(AT_FDCWD, MASK_PLACE, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);

	if (tree < 0)
		return -EBADF;
	/* a group that was made without a mask has nothing there */
	empty = openat(tree, "empty", O_PATH | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	if (empty < 0)
		fd_close(&tree);
	return tree;
}

int mask_refresh(struct mask *m, struct err *err)
{
	int r = 0;

	for (char **p = m->points; m->on && p && *p && r == 0; p++) {
		_cleanup_free_ char *dir = NULL;

		if (has_layer(m, *p))
			r = mask_layer(m, *p, &dir, err);
	}
	return r;
}

void mask_detach(struct mask *m)
{
	if (!m->on)
		return;
	fd_close(&m->fd);
	(void)umount2(m->dir, MNT_DETACH | UMOUNT_NOFOLLOW);
	(void)rmdir(m->dir);
}

/* ---- covers ---- */

static int cover_path(struct mask *m, int view, const char *path, struct err *err)
{
	static const struct mount_options ro = {
		.set = MS_RDONLY | MS_NOSUID | MS_NODEV | MS_NOEXEC, .propagation = MS_PRIVATE};
	_cleanup_close_ int target = mount_target_find(view, path);
	_cleanup_close_ int tree = -EBADF;
	struct stat st, own;

	if (target == -ENOENT || target == -ENOTDIR || target == -ELOOP)
		return 0;
	if (target < 0 || fstat(target, &st) < 0 || fstat(m->fd, &own) < 0)
		return err_sysf(err, target < 0 ? -target : errno, "%s", path);
	if (st.st_dev == own.st_dev)
		return 0; /* is covered */
	tree = tree_open(m->fd, S_ISDIR(st.st_mode) ? "empty/dir" : "empty/file", false, err);
	return tree < 0 ? tree : tree_attach(tree, target, &ro, m->proc_fd, path, err);
}

static int cover_all(struct mask *m, const char *view_dir, struct err *err)
{
	_cleanup_close_ int view = open(view_dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
	int r = view < 0 ? err_sysf(err, errno, "%s", view_dir) : 0;
	const char *last = NULL; /* most entries lie on the file system of the one before */
	bool layered = false;

	for (size_t i = 0; r == 0 && i < m->plan.n; i++) {
		const struct mask_entry *e = &m->plan.v[i];
		const char *point = point_of(m, e->path);

		if (point != last)
			layered = has_layer(m, point);
		last = point;
		if (e->kind != MASK_DENY && !layered)
			r = cover_path(m, view, e->path, err);
	}
	return r < 0 ? err_wrapf(err, "hiding the host's secrets") : 0;
}

int mask_cover(struct mask *m, struct err *err)
{
	if (!m->on)
		return 0;
	m->fd = open(MASK_PLACE, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	if (m->fd < 0)
		return err_sysf(err, errno, MASK_PLACE);
	return has_layer(m, "/") ? cover_all(m, "/", err) : 0;
}

int mask_finish(struct mask *m, const char *view_dir, struct err *err)
{
	_cleanup_free_ char *place = NULL;
	struct stat st;
	int r = m->on ? cover_all(m, view_dir, err) : 0;

	if (r < 0 || !m->on)
		return r;
	if (str_printf(&place, "%s" MASK_PLACE, view_dir) < 0)
		return err_sysf(err, ENOMEM, "%s", view_dir);
	/* what workloads of an earlier boot left there may be anything */
	if ((mkdir(place, 0755) < 0 && errno != EEXIST) || lstat(place, &st) < 0 ||
		!S_ISDIR(st.st_mode))
		return err_setf(err, ERR_PRECONDITION, ENOTDIR, "%s of the host is no directory",
			MASK_PLACE);
	if (mount(m->dir, place, NULL, MS_MOVE, NULL) < 0)
		return err_sysf(err, errno, "moving the layer of hidden paths to %s", place);
	(void)rmdir(m->dir);
	return 0;
}
