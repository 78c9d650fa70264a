#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>
#include "base/cleanup.h"
#include "base/fd.h"
#include "base/str.h"
#include "mount/guard.h"
#include "mount/mountinfo.h"
#include "mount/op.h"
#include "mount/target.h"
#include "mount/tree.h"

/* What the operations need to know. */
struct applier {
	int root, proc_fd;
	struct mount_foreign *foreign;
	struct mount_guard guard;
	char *parent_path; /* of the last node or link that was made, open as `parent` */
	int parent;
	int *group_mounts; /* the mounts that came from the group, open (O_PATH) */
	size_t n_group_mounts;
};

static void forget_parent(struct applier *a)
{
	free(a->parent_path);
	a->parent_path = NULL;
	fd_close(&a->parent);
}

static void applier_done(struct applier *a)
{
	for (size_t i = 0; i < a->n_group_mounts; i++)
		fd_close(&a->group_mounts[i]);
	free(a->group_mounts);
	forget_parent(a);
	mount_guard_done(&a->guard);
	fd_close(&a->root);
}

/* Opens the root of every mount that is there before the first operation. */
static int open_group_mounts(struct applier *a, struct err *err)
{
	_cleanup_(mountinfo_done) struct mountinfo t = MOUNTINFO_INIT;
	int r = mountinfo_read(a->proc_fd, "self/mountinfo", &t, err);

	if (r == 0)
		r = mountinfo_keep_visible(&t, err);
	if (r < 0)
		return r;
	a->group_mounts = calloc(t.n + 1, sizeof(*a->group_mounts));
	if (!a->group_mounts)
		return err_sysf(err, ENOMEM, "mount table");
	for (size_t i = 0; i < t.n; i++) {
		int fd = mount_target_find(a->root, t.entries[i].point);

		if (fd < 0)
			return err_sysf(err, -fd, "%s", t.entries[i].point);
		a->group_mounts[a->n_group_mounts++] = fd;
	}
	return 0;
}

/* Opens the directory that `path` lies in (made if missing) as a->parent, and points at the last
 * component. It stays open for the next one: those of /dev come one after the other. */
static int open_parent(struct applier *a, const char *path, const char **ret_name, struct err *err)
{
	size_t len;

	if (strlen(path) >= PATH_MAX || path[0] != '/')
		return err_setf(err, ERR_INVALID, EINVAL, "%s: not an absolute path", path);
	*ret_name = strrchr(path, '/') + 1;
	len = *ret_name - path > 1 ? (size_t)(*ret_name - path - 1) : 1;
	if (a->parent_path && strlen(a->parent_path) == len &&
		memcmp(a->parent_path, path, len) == 0)
		return 0;
	forget_parent(a);
	a->parent_path = strndup(path, len);
	if (!a->parent_path)
		return err_sysf(err, ENOMEM, "%s", path);
	a->parent =
		mount_target_open(a->root, a->parent_path, MOUNT_TARGET_DIR, a->foreign, NULL, err);
	if (a->parent >= 0)
		return 0;
	free(a->parent_path);
	a->parent_path = NULL;
	return a->parent;
}

/*
 * A sysfs or mqueue that is mounted read-only for the first time in its namespace gets a read-only
 * superblock, and nobody else in the pod could mount it writable then. While this descriptor is
 * open there is a writable one, and "ro" is of the mount only. Best effort: -errno is no error.
 */
static int hold_writable(const char *fstype)
{
	int fd = fsopen(fstype, FSOPEN_CLOEXEC);

	if (fd >= 0)
		(void)fsconfig(fd, FSCONFIG_CMD_CREATE, NULL, NULL, 0);
	return fd;
}

static int apply_fs(struct applier *a, const struct mount_op *op, struct err *err)
{
	const struct mount_options *o = &op->options;
	_cleanup_close_ int target =
		mount_target_open(a->root, op->dest, MOUNT_TARGET_DIR, a->foreign, NULL, err);
	_cleanup_close_ int writable UNUSED =
		o->set & MS_RDONLY ? hold_writable(op->fstype) : -EBADF;
	int r;

	if (target < 0)
		return target;
	r = mount_guard_put(&a->guard, -EBADF, &target, op->dest, a->proc_fd, err);
	if (r < 0)
		return r;
	r = tree_mount_at(target, op->source ? op->source : op->fstype, ".", op->fstype, o->set,
		o->data.len > 0 ? o->data.data : NULL);
	if (r < 0)
		return err_sysf(err, -r, "mounting %s on %s%s%s", op->fstype, op->dest,
			o->data.len > 0 ? " with " : "", o->data.len > 0 ? o->data.data : "");
	return 0;
}

static int attach(struct applier *a, int tree, int guard, const char *dest,
	const struct mount_options *options, struct err *err)
{
	struct stat st;
	int target, r;

	if (fstat(tree, &st) < 0)
		return err_sysf(err, errno, "%s", dest);
	target = mount_target_open(a->root, dest,
		S_ISDIR(st.st_mode) ? MOUNT_TARGET_DIR : MOUNT_TARGET_FILE, a->foreign, NULL, err);
	if (target < 0)
		return target;
	r = mount_guard_put(&a->guard, guard, &target, dest, a->proc_fd, err);
	if (r == 0)
		r = tree_attach(tree, target, options, a->proc_fd, dest, err);
	fd_close(&target);
	return r;
}

static int apply_bind(struct applier *a, const struct mount_op *op, struct err *err)
{
	struct mount_options o = op->options;
	int r;

	if (op->tree < 0)
		return 0; /* optional, and not there */
	/* "rw" and "dev" take nothing away: a mount that is read-only on the host stays it */
	o.clear = o.rec_clear = 0;
	r = attach(a, op->tree, op->guard, op->dest, &o, err);
	if (r == -ENOENT && op->optional) {
		if (err)
			*err = (struct err)ERR_INIT;
		return 0; /* the host has removed it meanwhile */
	}
	if (r == 0 && op->of_host && mount_foreign_add(a->foreign, op->tree) == -ENOMEM)
		return err_sysf(err, ENOMEM, "%s", op->dest);
	return r;
}

static int apply_dir(struct applier *a, const struct mount_op *op, struct err *err)
{
	bool made;
	_cleanup_close_ int fd =
		mount_target_open(a->root, op->dest, MOUNT_TARGET_DIR, a->foreign, &made, err);

	if (fd < 0)
		return fd;
	if (made && fchownat(fd, "", op->uid, op->gid, AT_EMPTY_PATH) < 0)
		return err_sysf(err, errno, "owner of %s", op->dest);
	return 0;
}

static int apply_symlink(struct applier *a, const struct mount_op *op, struct err *err)
{
	const char *name = "";
	int r = open_parent(a, op->dest, &name, err);

	if (r < 0)
		return r;
	if (symlinkat(op->source, a->parent, name) < 0 && errno != EEXIST)
		return err_sysf(err, errno, "symbolic link %s", op->dest);
	return 0;
}

static int apply_node(struct applier *a, const struct mount_op *op, struct err *err)
{
	/* read-only: the node can be written to, but its mode and owner are the host's */
	static const struct mount_options bound = {.set = MS_RDONLY | MS_NOSUID | MS_NOEXEC};
	dev_t dev = makedev(op->major, op->minor);
	const char *name = "";
	bool made;
	struct stat st;
	int r;

	if (op->bind_nodes)
		return attach(a, op->tree, -EBADF, op->dest, &bound, err);
	r = open_parent(a, op->dest, &name, err);
	if (r < 0)
		return r;
	made = mknodat(a->parent, name, op->mode, dev) == 0;
	if (!made && errno != EEXIST)
		return err_sysf(err, errno, "device node %s", op->dest);
	/* the umask is 0 here, and most nodes are root's; a directory may have rules of its own */
	if (fstatat(a->parent, name, &st, AT_SYMLINK_NOFOLLOW) < 0 || st.st_rdev != dev ||
		(st.st_mode & S_IFMT) != (op->mode & S_IFMT))
		return err_sysf(err, made ? EIO : EEXIST, "device node %s", op->dest);
	if ((st.st_uid != op->uid || st.st_gid != op->gid) &&
		fchownat(a->parent, name, op->uid, op->gid, AT_SYMLINK_NOFOLLOW) < 0)
		return err_sysf(err, errno, "owner of %s", op->dest);
	if ((st.st_mode & 07777) != (op->mode & 07777) &&
		fchmodat(a->parent, name, op->mode & 07777, 0) < 0)
		return err_sysf(err, errno, "mode of %s", op->dest);
	return 0;
}

static int apply_seal(struct applier *a, const struct mount_op *op, struct err *err)
{
	_cleanup_close_ int fd = mount_target_find(a->root, op->dest);

	if (fd < 0)
		return err_sysf(err, -fd, "%s", op->dest);
	return tree_set_flags(fd, MS_RDONLY, 0, false, a->proc_fd, err);
}

static int apply_readonly(struct applier *a, const struct mount_op *op, struct err *err)
{
	static const struct mount_options ro = {
		.set = MS_RDONLY, .propagation = MS_PRIVATE, .propagation_recursive = true};
	_cleanup_close_ int there = mount_target_find(a->root, op->dest);
	_cleanup_close_ int tree = -EBADF, guard = -EBADF;
	int r;

	if (there == -ENOENT || there == -ENOTDIR)
		return 0;
	if (there < 0)
		return err_sysf(err, -there, "read-only path %s", op->dest);
	r = mount_guard_copy(&a->guard, there, op->dest, &guard, err);
	if (r < 0)
		return r;
	tree = tree_open(there, "", true, err);
	if (tree < 0)
		return err_wrapf(err, "read-only path %s", op->dest);
	r = mount_guard_put(&a->guard, guard, &there, op->dest, a->proc_fd, err);
	return r < 0 ? r : tree_attach(tree, there, &ro, a->proc_fd, op->dest, err);
}

static int apply_mask(struct applier *a, const struct mount_op *op, struct err *err)
{
	static const struct mount_options ro = {.set = MS_RDONLY};
	_cleanup_close_ int there = mount_target_find(a->root, op->dest);
	_cleanup_close_ int null = -EBADF;
	struct stat st;
	int r;

	if (there == -ENOENT || there == -ENOTDIR)
		return 0;
	if (there < 0 || fstat(there, &st) < 0)
		return err_sysf(err, there < 0 ? -there : errno, "masked path %s", op->dest);
	r = mount_guard_put(&a->guard, -EBADF, &there, op->dest, a->proc_fd, err);
	if (r < 0)
		return r;
	if (!S_ISDIR(st.st_mode)) {
		null = tree_open(a->root, "dev/null", false, err);
		if (null < 0)
			return err_wrapf(err, "masked path %s", op->dest);
		return tree_attach(null, there, &ro, a->proc_fd, op->dest, err);
	}
	r = tree_mount_at(there, "reaper", ".", "tmpfs",
		MS_RDONLY | MS_NOSUID | MS_NODEV | MS_NOEXEC, "size=4k,nr_inodes=2,mode=0755");
	return r < 0 ? err_sysf(err, -r, "masked path %s", op->dest) : 0;
}

static int set_on_group(struct applier *a, unsigned long flag, struct err *err)
{
	for (size_t i = 0; i < a->n_group_mounts; i++) {
		int r = tree_set_flags(a->group_mounts[i], flag, 0, false, a->proc_fd, err);

		if (r < 0)
			return r;
	}
	return 0;
}

static int apply_view_nodev(struct applier *a, const struct mount_op *op UNUSED, struct err *err)
{
	return set_on_group(a, MS_NODEV, err);
}

static int apply_view_readonly(struct applier *a, const struct mount_op *op UNUSED, struct err *err)
{
	return set_on_group(a, MS_RDONLY, err);
}

static int apply_nothing(
	struct applier *a UNUSED, const struct mount_op *op UNUSED, struct err *err)
{
	/* mount_ops_open has put binds in its place */
	return err_setf(err, ERR_INTERNAL, EINVAL, "a mirror was not opened");
}

static int (*const appliers[_MOUNT_OP_KIND_MAX])(
	struct applier *, const struct mount_op *, struct err *) = {
	[MOUNT_OP_FS] = apply_fs,
	[MOUNT_OP_BIND] = apply_bind,
	[MOUNT_OP_MIRROR] = apply_nothing,
	[MOUNT_OP_DIR] = apply_dir,
	[MOUNT_OP_SYMLINK] = apply_symlink,
	[MOUNT_OP_NODE] = apply_node,
	[MOUNT_OP_SEAL] = apply_seal,
	[MOUNT_OP_READONLY] = apply_readonly,
	[MOUNT_OP_MASK] = apply_mask,
	[MOUNT_OP_VIEW_NODEV] = apply_view_nodev,
	[MOUNT_OP_VIEW_READONLY] = apply_view_readonly,
};

static bool changes_view(const struct mount_ops *ops)
{
	for (size_t i = 0; i < ops->n; i++) {
		if (ops->v[i].kind == MOUNT_OP_VIEW_NODEV ||
			ops->v[i].kind == MOUNT_OP_VIEW_READONLY)
			return true;
	}
	return false;
}

/* The first guard lies where something is mounted in any case. */
static int init_guard(struct applier *a, const struct mount_share *share, struct err *err)
{
	static const char place[] = "/proc";
	_cleanup_close_ int made = -EBADF;

	if (share->n_ids == 0)
		return 0;
	made = mount_target_open(a->root, place, MOUNT_TARGET_DIR, a->foreign, NULL, err);
	if (made < 0)
		return made;
	return mount_guard_init(
		a->root, place, share->ids, share->n_ids, a->proc_fd, &a->guard, err);
}

static int apply_all(struct applier *a, const struct mount_ops *ops,
	const struct mount_share *share, struct err *err)
{
	int r = changes_view(ops) ? open_group_mounts(a, err) : 0;

	if (r == 0)
		r = init_guard(a, share, err);
	for (size_t i = 0; i < ops->n && r == 0; i++) {
		enum mount_op_kind kind = ops->v[i].kind;

		if (kind != MOUNT_OP_NODE && kind != MOUNT_OP_SYMLINK)
			forget_parent(a); /* it may be covered now */
		r = appliers[kind](a, &ops->v[i], err);
	}
	return r;
}

int mount_ops_apply(
	const struct mount_ops *ops, struct mount_share *share, int proc_fd, struct err *err)
{
	_cleanup_(applier_done) struct applier a = {.proc_fd = proc_fd,
		.root = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC),
		.foreign = &share->foreign,
		.guard = MOUNT_GUARD_INIT,
		.parent = -EBADF};
	mode_t mask;
	int r;

	if (a.root < 0)
		return err_sysf(err, errno, "root of the view");
	mask = umask(0); /* modes are as the plan has them */
	r = apply_all(&a, ops, share, err);
	(void)umask(mask);
	return r;
}
