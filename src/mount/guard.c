#include "mount/guard.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/cleanup.h"
#include "base/fd.h"
#include "mount/target.h"
#include "mount/tree.h"

#define KEPT      "kept"
#define FILE_NAME "file"

void mount_guard_done(struct mount_guard *g)
{
	if (g)
		fd_close(&g->source);
}

static int attach(int mount, int target, const char *dest, struct err *err)
{
	if (move_mount(mount, "", target, "", MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH) <
		0)
		return err_sysf(err, errno, "guard at %s", dest);
	return 0;
}

/* The child that the guard is left alone for. */
static int keep(int source, int guard, const char *dest, struct err *err)
{
	_cleanup_close_ int place =
		openat(guard, KEPT, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	_cleanup_close_ int child = -EBADF;

	if (place < 0)
		return err_sysf(err, errno, "guard at %s", dest);
	child = tree_open(source, KEPT, false, err);
	return child < 0 ? child : attach(child, place, dest, err);
}

static int make_source(int root, const char *dest, int *ret_source, struct err *err)
{
	_cleanup_close_ int target = mount_target_find(root, dest);
	_cleanup_close_ int source = -EBADF, file = -EBADF;
	int r;

	if (target < 0)
		return err_sysf(err, -target, "guard at %s", dest);
	r = tree_mount_at(target, "reaper", ".", "tmpfs", MS_NOSUID | MS_NODEV | MS_NOEXEC,
		"size=4k,nr_inodes=8,mode=0755");
	if (r < 0)
		return err_sysf(err, -r, "guard at %s", dest);
	source = mount_target_find(root, dest);
	if (source < 0)
		return err_sysf(err, -source, "guard at %s", dest);
	if (mkdirat(source, KEPT, 0755) < 0)
		return err_sysf(err, errno, "guard at %s", dest);
	file = openat(source, FILE_NAME, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
	if (file < 0)
		return err_sysf(err, errno, "guard at %s", dest);
	*ret_source = TAKE_FD(source);
	return 0;
}

int mount_guard_init(int root, const char *dest, const uint64_t *ids, size_t n, int proc_fd,
	struct mount_guard *ret_guard, struct err *err)
{
	struct mount_guard g = MOUNT_GUARD_INIT;
	int r = 0;

	g.ids = ids;
	g.n = n;
	if (n > 0) {
		r = make_source(root, dest, &g.source, err);
		if (r == 0)
			r = tree_set_propagation(g.source, MS_PRIVATE, false, proc_fd, err);
		if (r == 0)
			r = keep(g.source, g.source, dest, err);
	}
	if (r < 0) {
		mount_guard_done(&g);
		return r;
	}
	*ret_guard = g;
	return 0;
}

/* *ret_is_dir is set if it is. */
static bool is_of_group(const struct mount_guard *g, int fd, bool *ret_is_dir)
{
	struct statx st;
	struct stat old;

	/* what cannot be known counts as one: a guard too many harms nobody */
	if (statx(fd, "", AT_EMPTY_PATH, STATX_TYPE | STATX_MNT_ID, &st) < 0) {
		*ret_is_dir = fstat(fd, &old) == 0 && S_ISDIR(old.st_mode);
		return true;
	}
	*ret_is_dir = S_ISDIR(st.stx_mode);
	if (!(st.stx_mask & STATX_MNT_ID))
		return true;
	for (size_t i = 0; i < g->n; i++) {
		if (g->ids[i] == st.stx_mnt_id)
			return true;
	}
	return false;
}

static int open_dir_guard(const char *source, struct err *err)
{
	_cleanup_close_ int fs = fsopen("tmpfs", FSOPEN_CLOEXEC);
	_cleanup_close_ int guard = -EBADF;

	if (fs < 0 || fsconfig(fs, FSCONFIG_SET_STRING, "source", "reaper", 0) < 0 ||
		fsconfig(fs, FSCONFIG_SET_STRING, "size", "4k", 0) < 0 ||
		fsconfig(fs, FSCONFIG_SET_STRING, "nr_inodes", "4", 0) < 0 ||
		fsconfig(fs, FSCONFIG_CMD_CREATE, NULL, NULL, 0) < 0)
		return err_sysf(err, errno, "guard for %s", source);
	guard = fsmount(
		fs, FSMOUNT_CLOEXEC, MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC);
	if (guard < 0 || mkdirat(guard, KEPT, 0755) < 0)
		return err_sysf(err, errno, "guard for %s", source);
	return TAKE_FD(guard);
}

int mount_guard_open(const char *source, struct err *err)
{
	struct stat st;

	if (stat(source, &st) < 0)
		return err_sysf(err, errno, "%s", source);
	if (S_ISDIR(st.st_mode))
		return open_dir_guard(source, err);
	return tree_open(AT_FDCWD, source, false, err);
}

int mount_guard_copy(
	const struct mount_guard *g, int target, const char *dest, int *ret_guard, struct err *err)
{
	bool is_dir;
	int fd;

	if (g->n == 0 || !is_of_group(g, target, &is_dir))
		return 0;
	fd = tree_open(g->source, is_dir ? "" : FILE_NAME, false, err);
	if (fd < 0)
		return err_wrapf(err, "guard at %s", dest);
	*ret_guard = fd;
	return 0;
}

int mount_guard_put(const struct mount_guard *g, int ahead, int *target, const char *dest,
	int proc_fd, struct err *err)
{
	_cleanup_close_ int guard = -EBADF;
	bool is_dir;
	int r;

	if (g->n == 0 || !is_of_group(g, *target, &is_dir))
		return 0;
	guard = ahead >= 0 ? fd_copy(ahead)
			   : tree_open(g->source, is_dir ? "" : FILE_NAME, false, err);
	if (guard < 0)
		return ahead >= 0 ? err_sysf(err, -guard, "guard at %s", dest) : guard;
	r = attach(guard, *target, dest, err);
	if (r == 0)
		r = tree_set_propagation(guard, MS_PRIVATE, false, proc_fd, err);
	/* a guard is of its target's kind: the kernel mounts nothing else there */
	if (r == 0 && is_dir)
		r = keep(g->source, guard, dest, err);
	if (r < 0)
		return r;
	fd_close(target);
	*target = TAKE_FD(guard);
	return 0;
}
