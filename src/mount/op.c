#include "mount/op.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>
#include "base/cleanup.h"
#include "base/fd.h"
#include "base/str.h"
#include "mount/guard.h"
#include "mount/tree.h"

static const char *const kind_names[_MOUNT_OP_KIND_MAX] = {
#define X(kind, name) [MOUNT_OP_##kind] = (name),
	MOUNT_OP_KINDS(X)
#undef X
};

const char *mount_op_kind_name(enum mount_op_kind kind)
{
	return (unsigned)kind < _MOUNT_OP_KIND_MAX ? kind_names[kind] : "?";
}

static void op_done(struct mount_op *op)
{
	free(op->dest);
	free(op->source);
	free(op->fstype);
	free(op->skip);
	mount_options_done(&op->options);
	fd_close(&op->tree);
	fd_close(&op->guard);
}

struct mount_op *mount_ops_add(struct mount_ops *ops, enum mount_op_kind kind, const char *dest,
	const char *source, const char *fstype)
{
	struct mount_op op = {
		.kind = kind, .options = MOUNT_OPTIONS_INIT, .tree = -EBADF, .guard = -EBADF};

	if (ops->n == ops->cap) {
		size_t cap = ops->cap ? ops->cap * 2 : 32;
		struct mount_op *v = reallocarray(ops->v, cap, sizeof(*v));

		if (!v)
			return NULL;
		ops->v = v;
		ops->cap = cap;
	}
	if (str_dup(&op.dest, dest) < 0 || str_dup(&op.source, source) < 0 ||
		str_dup(&op.fstype, fstype) < 0) {
		op_done(&op);
		return NULL;
	}
	ops->v[ops->n] = op;
	return &ops->v[ops->n++];
}

int mount_ops_prepend(struct mount_ops *ops, struct mount_ops *more)
{
	size_t n = ops->n + more->n;
	struct mount_op *v = reallocarray(more->v, n + 1, sizeof(*v));

	if (!v)
		return -ENOMEM;
	if (ops->n > 0)
		memcpy(v + more->n, ops->v, ops->n * sizeof(*v));
	free(ops->v);
	*ops = (struct mount_ops) {.v = v, .n = n, .cap = n + 1};
	*more = (struct mount_ops)MOUNT_OPS_INIT;
	return 0;
}

void mount_ops_done(struct mount_ops *ops)
{
	if (!ops)
		return;
	for (size_t i = 0; i < ops->n; i++)
		op_done(&ops->v[i]);
	free(ops->v);
	*ops = (struct mount_ops)MOUNT_OPS_INIT;
}

static const struct {
	unsigned long flag;
	const char *name;
} shown_flags[] = {
	{MS_RDONLY, "ro"},
	{MS_NOSUID, "nosuid"},
	{MS_NODEV, "nodev"},
	{MS_NOEXEC, "noexec"},
};

static const char *propagation_name(const struct mount_options *o)
{
	switch (o->propagation) {
	case MS_SHARED:
		return "shared";
	case MS_SLAVE:
		return "slave";
	case MS_UNBINDABLE:
		return "unbindable";
	default:
		return "private";
	}
}

int mount_op_format(const struct mount_op *op, char **ret_text)
{
	_cleanup_(buf_done) struct buf b = BUF_INIT(65536);
	int r = buf_printf(&b, "%-7s", mount_op_kind_name(op->kind));

	if (r == 0 && op->fstype)
		r = buf_printf(&b, " %s", op->fstype);
	if (r == 0 && op->source && !op->fstype)
		r = buf_printf(&b, " %s on", op->source);
	if (r == 0 && op->dest)
		r = buf_printf(&b, " %s", op->dest);
	if (op->kind == MOUNT_OP_NODE && r == 0)
		r = buf_printf(&b, " %c %u:%u %04o%s", S_ISBLK(op->mode) ? 'b' : 'c', op->major,
			op->minor, op->mode & 07777, op->bind_nodes ? " (the host's)" : "");
	for (size_t i = 0; i < ARRAY_LEN(shown_flags) && r == 0; i++) {
		if (op->options.set & shown_flags[i].flag)
			r = buf_printf(&b, " %s", shown_flags[i].name);
		if (r == 0 && op->options.rec_set & shown_flags[i].flag)
			r = buf_printf(&b, " r%s", shown_flags[i].name);
	}
	if (r == 0 && op->options.data.len > 0)
		r = buf_printf(&b, " %s", op->options.data.data);
	if (r == 0 && op->kind == MOUNT_OP_BIND)
		r = buf_printf(&b, "%s %s%s", op->options.recursive_bind ? " recursive" : "",
			propagation_name(&op->options), op->optional ? " if-present" : "");
	if (r == 0)
		*ret_text = TAKE_PTR(b.data);
	return r;
}

static int open_bind(struct mount_op *op, struct err *err)
{
	int fd = tree_open(
		AT_FDCWD, op->source, op->options.recursive_bind, op->optional ? NULL : err);

	if (fd == -ENOENT && op->optional)
		return 0;
	if (fd < 0 && op->optional)
		return err_sysf(err, -fd, "%s", op->source);
	if (fd == -ENOENT)
		return err_setf(err, ERR_NOT_FOUND, ENOENT,
			"volume for %s: %s does not exist on the host", op->dest, op->source);
	if (fd < 0)
		return err_wrapf(err, "volume for %s", op->dest);
	op->tree = fd;
	return 0;
}

static int mirror_entry(struct mount_ops *out, const struct mount_op *mirror, int dir,
	const char *name, struct err *err)
{
	_cleanup_free_ char *source = NULL;
	_cleanup_free_ char *dest = NULL;
	struct mount_op *op;
	struct stat st;
	char target[4096];
	ssize_t n;

	if (fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return errno == ENOENT ? 0 : err_sysf(err, errno, "%s/%s", mirror->source, name);
	if (str_printf(&source, "%s/%s", mirror->source, name) < 0 ||
		str_printf(&dest, "%s/%s", mirror->dest, name) < 0)
		return err_sysf(err, ENOMEM, "%s", mirror->source);
	if (S_ISLNK(st.st_mode)) {
		n = readlinkat(dir, name, target, sizeof(target) - 1);
		if (n < 0)
			return errno == ENOENT ? 0 : err_sysf(err, errno, "%s", source);
		target[n] = '\0';
		op = mount_ops_add(out, MOUNT_OP_SYMLINK, dest, target, NULL);
		return op ? 0 : err_sysf(err, ENOMEM, "%s", source);
	}
	op = mount_ops_add(out, MOUNT_OP_BIND, dest, source, NULL);
	if (!op)
		return err_sysf(err, ENOMEM, "%s", source);
	op->optional = op->of_host = true;
	op->options.bind = op->options.recursive_bind = true;
	op->options.set = mirror->options.set;
	op->options.rec_set = mirror->options.rec_set;
	op->options.propagation = MS_SLAVE;
	op->options.propagation_recursive = true;
	return open_bind(op, err);
}

static int open_mirror(struct mount_ops *out, const struct mount_op *mirror, struct err *err)
{
	_cleanup_closedir_ DIR *dir = opendir(mirror->source);
	struct dirent *e;

	if (!dir)
		return err_sysf(err, errno, "%s", mirror->source);
	while ((e = readdir(dir))) {
		int r;

		if (str_eq(e->d_name, ".") || str_eq(e->d_name, "..") ||
			(mirror->skip && str_eq(e->d_name, mirror->skip)))
			continue;
		r = mirror_entry(out, mirror, dirfd(dir), e->d_name, err);
		if (r < 0)
			return r;
	}
	return 0;
}

static int open_node(struct mount_op *op, struct err *err)
{
	const char *path = op->source ? op->source : op->dest;
	struct stat st;

	op->tree = tree_open(AT_FDCWD, path, false, err);
	if (op->tree < 0)
		return err_wrapf(err, "device %s", op->dest);
	if (fstat(op->tree, &st) < 0)
		return err_sysf(err, errno, "%s", path);
	/* the number is what was allowed, not the name */
	if ((st.st_mode & S_IFMT) != (op->mode & S_IFMT) ||
		(!S_ISFIFO(op->mode) && st.st_rdev != makedev(op->major, op->minor)))
		return err_setf(err, ERR_PRECONDITION, ENODEV,
			"device %s: what is there on the host is not device %u:%u", op->dest,
			op->major, op->minor);
	return 0;
}

/* Moves the operation to the end of `out`. */
static int move_op(struct mount_ops *out, struct mount_op *op)
{
	struct mount_op *copy = mount_ops_add(out, op->kind, NULL, NULL, NULL);

	if (!copy)
		return -ENOMEM;
	*copy = *op;
	*op = (struct mount_op) {.tree = -EBADF, .guard = -EBADF};
	return 0;
}

/* Most of what is bound into these lies on file systems of the container's own, which no unmount
 * of another one arrives at. */
static bool is_in_private_dir(const char *dest)
{
	static const char *const dirs[] = {"/proc/", "/sys/", "/dev/", "/run/"};

	for (size_t i = 0; i < ARRAY_LEN(dirs); i++) {
		if (str_has_prefix(dest, dirs[i]))
			return true;
	}
	return false;
}

static int open_guard(struct mount_op *op, struct err *err)
{
	int fd;

	if (is_in_private_dir(op->dest))
		return 0;
	fd = mount_guard_open(op->source, NULL);
	if (fd == -ENOENT)
		return 0; /* open_bind says what that means */
	if (fd < 0)
		return err_sysf(err, -fd, "guard for %s", op->dest);
	op->guard = fd;
	return 0;
}

int mount_ops_open(struct mount_ops *ops, bool guarded, struct err *err)
{
	_cleanup_(mount_ops_done) struct mount_ops out = MOUNT_OPS_INIT;
	struct mount_ops old;

	for (size_t i = 0; i < ops->n; i++) {
		struct mount_op *op = &ops->v[i];
		int r = 0;

		if (op->kind == MOUNT_OP_MIRROR)
			r = open_mirror(&out, op, err);
		else if (op->kind == MOUNT_OP_BIND && guarded)
			r = open_guard(op, err);
		if (r == 0 && op->kind == MOUNT_OP_BIND)
			r = open_bind(op, err);
		else if (r == 0 && op->kind == MOUNT_OP_NODE && op->bind_nodes)
			r = open_node(op, err);
		if (r < 0)
			return r;
		if (op->kind != MOUNT_OP_MIRROR && move_op(&out, op) < 0)
			return err_sysf(err, ENOMEM, "list of mounts");
	}
	old = *ops;
	*ops = out;
	out = old; /* freed on the way out */
	return 0;
}
