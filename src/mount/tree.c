#include "mount/tree.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>
#include "base/cleanup.h"
#include "mount/mountinfo.h"

int tree_open(int dirfd, const char *path, bool recursive, struct err *err)
{
	unsigned flags = OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC;
	int fd;

	if (!*path)
		flags |= AT_EMPTY_PATH;
	if (recursive)
		flags |= AT_RECURSIVE;
	fd = open_tree(dirfd, path, flags);
	return fd < 0 ? err_sysf(err, errno, "%s", path) : fd;
}

int tree_mount_at(int dirfd, const char *source, const char *target, const char *fstype,
	unsigned long flags, const char *data)
{
	int r;

	if (fchdir(dirfd) < 0)
		return -errno;
	r = mount(source, target, fstype, flags, data) < 0 ? -errno : 0;
	return chdir("/") < 0 && r == 0 ? -errno : r;
}

/* mount(2) on a descriptor: through /proc, which may be another namespace's. */
static int old_mount(int fd, unsigned long flags, int proc_fd)
{
	char path[32];

	(void)snprintf(path, sizeof(path), "self/fd/%d", fd);
	return tree_mount_at(proc_fd, NULL, path, NULL, flags, NULL);
}

/* The old call replaces all flags: those that are there must be said again. */
static unsigned long present_flags(int fd)
{
	static const struct {
		unsigned long st, ms;
	} map[] = {{ST_RDONLY, MS_RDONLY}, {ST_NOSUID, MS_NOSUID}, {ST_NODEV, MS_NODEV},
		{ST_NOEXEC, MS_NOEXEC}, {ST_NOATIME, MS_NOATIME}, {ST_NODIRATIME, MS_NODIRATIME},
		{ST_RELATIME, MS_RELATIME}};
	struct statvfs v;
	unsigned long flags = 0;

	if (fstatvfs(fd, &v) < 0)
		return 0;
	for (size_t i = 0; i < ARRAY_LEN(map); i++) {
		if (v.f_flag & map[i].st)
			flags |= map[i].ms;
	}
	return flags;
}

static int set_flags_old(
	int fd, unsigned long set, unsigned long clear, int proc_fd, struct err *err)
{
	unsigned long flags = (present_flags(fd) & ~clear) | set;
	int r = old_mount(fd, MS_REMOUNT | MS_BIND | flags, proc_fd);

	return r < 0 ? err_sysf(err, -r, "changing mount options") : 0;
}

static bool is_missing_call(int errnum)
{
	return errnum == ENOSYS || errnum == EPERM; /* EPERM: some engines' filter on old kernels */
}

/* Also true when it cannot be known. */
static bool has_submounts(int fd, int proc_fd)
{
	_cleanup_(mountinfo_done) struct mountinfo t = MOUNTINFO_INIT;
	struct statx st;

	if (statx(fd, "", AT_EMPTY_PATH, STATX_MNT_ID, &st) < 0 || !(st.stx_mask & STATX_MNT_ID) ||
		mountinfo_read(proc_fd, "self/mountinfo", &t, NULL) < 0)
		return true;
	for (size_t i = 0; i < t.n; i++) {
		if ((uint64_t)t.entries[i].parent == st.stx_mnt_id)
			return true;
	}
	return false;
}

int tree_set_flags(int fd, unsigned long set, unsigned long clear, bool recursive, int proc_fd,
	struct err *err)
{
	struct mount_attr attr = {0};
	uint64_t attr_set, attr_clear;

	mount_options_attr(set, clear, &attr_set, &attr_clear);
	attr.attr_set = attr_set;
	attr.attr_clr = attr_clear;
	if (attr_set == 0 && attr_clear == 0)
		return 0;
	if (mount_setattr(fd, "", AT_EMPTY_PATH | (recursive ? AT_RECURSIVE : 0), &attr,
		    sizeof(attr)) == 0)
		return 0;
	if (!is_missing_call(errno))
		return err_sysf(err, errno, "changing mount options");
	if (recursive && has_submounts(fd, proc_fd))
		return err_setf(err, ERR_UNIMPLEMENTED, ENOSYS,
			"recursive mount options need Linux 5.12 or later");
	return set_flags_old(fd, set, clear, proc_fd, err);
}

int tree_set_propagation(
	int fd, unsigned long propagation, bool recursive, int proc_fd, struct err *err)
{
	struct mount_attr attr = {.propagation = propagation};
	int r;

	if (mount_setattr(fd, "", AT_EMPTY_PATH | (recursive ? AT_RECURSIVE : 0), &attr,
		    sizeof(attr)) == 0)
		return 0;
	if (!is_missing_call(errno))
		return err_sysf(err, errno, "changing mount propagation");
	r = old_mount(fd, propagation | (recursive ? MS_REC : 0), proc_fd);
	return r < 0 ? err_sysf(err, -r, "changing mount propagation") : 0;
}

int tree_attach(int tree, int target, const struct mount_options *options, int proc_fd,
	const char *what, struct err *err)
{
	unsigned long propagation = options->propagation;
	bool recursive = options->propagation_recursive;
	int r;

	if (!propagation) {
		propagation = MS_PRIVATE;
		recursive = true;
	}
	/* attached first: before 5.12 nothing else can be changed on a detached mount. Nobody else
	   is in this namespace yet, and its mounts are not shared. */
	if (move_mount(tree, "", target, "", MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH) < 0)
		return err_sysf(err, errno, "mounting %s", what);
	r = tree_set_propagation(tree, propagation, recursive, proc_fd, err);
	if (r == 0)
		r = tree_set_flags(tree, options->set, options->clear, false, proc_fd, err);
	if (r == 0)
		r = tree_set_flags(tree, options->rec_set, options->rec_clear, true, proc_fd, err);
	return r < 0 ? err_wrapf(err, "mounting %s", what) : 0;
}
