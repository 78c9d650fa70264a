#include "view/group.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/sysmacros.h>
#include <unistd.h>
#include "base/cleanup.h"
#include "base/fd.h"
#include "base/file.h"
#include "base/num.h"
#include "base/str.h"
#include "mount/mountinfo.h"
#include "mount/pin.h"
#include "mount/share.h"
#include "view/disk.h"
#include "view/overlay.h"
#include "view/snapshot.h"

static bool is_fs(int fd, long magic)
{
	struct statfs fs;

	return fstatfs(fd, &fs) == 0 && (long)fs.f_type == magic;
}

/* LOCK_EX: may make and remove groups; LOCK_SH: may enter one. Waits for its turn. */
static int lock_groups(const struct mount_group_spec *spec, int how, struct err *err)
{
	_cleanup_close_ int fd =
		open(spec->run_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);

	if (fd < 0)
		return err_sysf(err, errno, "%s", spec->run_dir);
	if (RETRY_EINTR(flock(fd, how)) < 0)
		return err_sysf(err, errno, "locking %s", spec->run_dir);
	return TAKE_FD(fd);
}

/* Under the lock: somebody's gc may have taken them since the caller made them. */
static int make_dirs(const struct mount_group_spec *spec, struct err *err)
{
	const char *const dirs[] = {spec->ns_dir, spec->dir, spec->base_dir};

	for (size_t i = 0; i < ARRAY_LEN(dirs); i++) {
		int r = file_mkdir_p(dirs[i], 0700);

		if (r < 0)
			return err_sysf(err, -r, "%s", dirs[i]);
	}
	return 0;
}

static int open_own_namespace(int proc_fd, struct err *err)
{
	int fd = openat(proc_fd, "self/ns/mnt", O_RDONLY | O_CLOEXEC);

	return fd < 0 ? err_sysf(err, errno, "own mount namespace") : fd;
}

static int enter(int ns, const char *what, struct err *err)
{
	if (setns(ns, CLONE_NEWNS) < 0)
		return err_sysf(err, errno, "entering the mount namespace of %s", what);
	return 0;
}

static void drop_store(const char *base_dir)
{
	while (umount2(base_dir, MNT_DETACH) == 0) {
	}
}

/*
 * Makes the group: the tmpfs in the caller's namespace, where people look at it; the view in a new
 * one, which is entered, built, pinned and left again.
 */
static int make_group(const struct mount_group_spec *spec, int proc_fd, struct err *err)
{
	_cleanup_close_ int home = open_own_namespace(proc_fd, err);
	_cleanup_close_ int view = -EBADF;
	int r;

	if (home < 0)
		return home;
	r = make_dirs(spec, err);
	if (r < 0)
		return r;
	/* a tmpfs without a pin is what an interrupted making left */
	if (mountinfo_is_point(proc_fd, spec->base_dir))
		drop_store(spec->base_dir);
	if (spec->snapshot)
		r = snapshot_store_mount(spec, err);
	else if (spec->upper_base)
		r = disk_store_mount(spec, proc_fd, err);
	else
		r = overlay_store_mount(spec->base_dir, spec->size_bytes, spec->inodes, err);
	if (r < 0)
		return r;
	if (unshare(CLONE_NEWNS) < 0) {
		r = err_sysf(err, errno, "unshare(CLONE_NEWNS)");
		drop_store(spec->base_dir);
		return r;
	}
	r = overlay_build_view(proc_fd, spec, err);
	if (r == 0)
		r = mount_share_prepare(proc_fd, err);
	if (r == 0)
		r = pin_become_younger(home, proc_fd, err);
	if (r == 0)
		view = r = open_own_namespace(proc_fd, err);
	if (setns(home, CLONE_NEWNS) < 0)
		return err_sysf(err, errno, "returning from the view's mount namespace");
	if (r >= 0)
		r = pin_make(spec->ns_dir, spec->name, view, proc_fd, err);
	if (r < 0)
		drop_store(spec->base_dir);
	return r < 0 ? r : 0;
}

/* A group that is there is taken as it is, or not at all: its size is also others'. */
static int check_size(const struct mount_group_spec *spec, struct err *err)
{
	struct statfs fs;
	uint64_t unit, bytes;

	if (spec->most_bytes == 0)
		return 0;
	if (statfs(spec->base_dir, &fs) < 0)
		return err_sysf(err, errno, "%s", spec->base_dir);
	unit = (uint64_t)fs.f_bsize;
	bytes = fs.f_blocks * unit;
	if (bytes < spec->most_bytes + unit) /* sizes are whole blocks */
		return 0;
	return err_setf(err, ERR_PRECONDITION, EBUSY,
		"annotation reaper.runtime/upper-size: the group %s is there already and may write "
		"%llu bytes: ask for as much, or end its pods and reset it (reaperctl overlay "
		"reset)",
		spec->name, (unsigned long long)bytes);
}

/* The group's namespace, made if there is none; *ret_lock is held by the caller until it is in it.
 */
static int open_group(
	const struct mount_group_spec *spec, int proc_fd, int *ret_lock, struct err *err)
{
	int lock = lock_groups(spec, LOCK_SH, err), ns, r;

	if (lock < 0)
		return lock;
	*ret_lock = lock;
	ns = pin_open(spec->ns_dir, spec->name, err);
	if (ns != -ENOENT)
		return ns;
	/* a shared lock is let go while it becomes an exclusive one: another may be first */
	if (RETRY_EINTR(flock(lock, LOCK_EX)) < 0)
		return err_sysf(err, errno, "locking %s", spec->run_dir);
	ns = pin_open(spec->ns_dir, spec->name, err);
	if (ns != -ENOENT)
		return ns;
	r = make_group(spec, proc_fd, err);
	if (r < 0)
		return err_wrapf(err, "the host view cannot be made");
	return pin_open(spec->ns_dir, spec->name, err);
}

int mount_group_enter(const struct mount_group_spec *spec, int proc_fd, struct err *err)
{
	_cleanup_close_ int lock = -EBADF;
	_cleanup_close_ int ns = open_group(spec, proc_fd, &lock, err);
	_cleanup_close_ int root = -EBADF;
	int r;

	if (ns < 0)
		return ns;
	r = check_size(spec, err);
	if (r == 0)
		r = enter(ns, spec->name, err);
	if (r < 0)
		return r;
	root = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (root < 0 || !is_fs(root, OVERLAYFS_SUPER_MAGIC))
		return err_setf(err, ERR_INTERNAL, EBADF,
			"%s/%s: the namespace is no host view of ours", spec->ns_dir, spec->name);
	return 0;
}

/* The device number that files of the group's root overlay have. */
static int view_device(int ns, int proc_fd, dev_t *ret_dev, struct err *err)
{
	_cleanup_close_ int home = open_own_namespace(proc_fd, err);
	struct stat st;
	int r;

	if (home < 0)
		return home;
	r = enter(ns, "the group", err);
	if (r < 0)
		return r;
	r = stat("/", &st) < 0 ? -errno : 0;
	if (setns(home, CLONE_NEWNS) < 0)
		return err_sysf(err, errno, "returning from the view's mount namespace");
	if (r < 0)
		return err_sysf(err, -r, "root of the view");
	*ret_dev = st.st_dev;
	return 0;
}

/*
 * A process may have another root: a volume, for `chroot /host`. What counts then is the root of
 * its mount namespace, if that is not the caller's own.
 */
static bool lives_in_view(int proc_fd, const char *pid, const struct stat *own, dev_t dev)
{
	_cleanup_close_ int ns = -EBADF;
	char path[64];
	struct statx top;
	struct stat st;
	dev_t root = 0;

	(void)snprintf(path, sizeof(path), "%.20s/root", pid);
	/* the root may be a volume whose server is gone */
	if (statx(proc_fd, path, AT_STATX_DONT_SYNC, 0, &top) == 0 &&
		makedev(top.stx_dev_major, top.stx_dev_minor) == dev)
		return true;
	(void)snprintf(path, sizeof(path), "%.20s/ns/mnt", pid);
	ns = openat(proc_fd, path, O_RDONLY | O_CLOEXEC);
	if (ns < 0 || fstat(ns, &st) < 0 || st.st_ino == own->st_ino)
		return false;
	return view_device(ns, proc_fd, &root, NULL) == 0 && root == dev;
}

/* Processes in the view. One that ends meanwhile does not count. */
static int count_processes(int proc_fd, dev_t dev, unsigned *ret_n, struct err *err)
{
	int fd = openat(proc_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	_cleanup_closedir_ DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;
	struct dirent *e;
	struct stat own;
	unsigned n = 0;

	if (!dir || fstatat(proc_fd, "self/ns/mnt", &own, 0) < 0)
		return err_sysf(err, errno, "/proc");
	while ((e = readdir(dir))) {
		uint64_t pid;

		if (num_parse_u64(e->d_name, INT32_MAX, &pid) == 0 &&
			lives_in_view(proc_fd, e->d_name, &own, dev))
			n++;
	}
	*ret_n = n;
	return 0;
}

static int open_proc(struct err *err)
{
	int fd = open("/proc", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	return fd < 0 ? err_sysf(err, errno, "/proc") : fd;
}

/* Under the lock. */
static int inspect(const struct mount_group_spec *spec, int proc_fd,
	struct mount_group_info *ret_info, struct err *err)
{
	_cleanup_close_ int ns = pin_open(spec->ns_dir, spec->name, NULL);
	struct mount_group_info info = {.pinned = ns >= 0};
	struct statfs fs;
	dev_t dev = 0;
	int r;

	info.mounted = mountinfo_is_point(proc_fd, spec->base_dir);
	if (info.mounted && statfs(spec->base_dir, &fs) == 0) {
		uint64_t unit = (uint64_t)fs.f_bsize;

		info.size_bytes = fs.f_blocks * unit;
		info.used_bytes = (fs.f_blocks - fs.f_bfree) * unit;
		info.inodes = fs.f_files;
		info.used_inodes = fs.f_files - fs.f_ffree;
	}
	if (info.pinned) {
		r = view_device(ns, proc_fd, &dev, err);
		if (r == 0)
			r = count_processes(proc_fd, dev, &info.processes, err);
		if (r < 0)
			return r;
	}
	*ret_info = info;
	return 0;
}

/*
 * What inspect, gc and reset begin with: /proc, the lock of all groups and what this group is.
 * Where the directories are not there, nothing is locked and nothing is found. To be given to
 * let_go.
 */
struct hold {
	int proc_fd, lock;
	struct mount_group_info info;
};

#define HOLD_INIT                                  \
	{                                          \
		.proc_fd = -EBADF, .lock = -EBADF, \
	}

static void let_go(struct hold *h)
{
	fd_close(&h->lock);
	fd_close(&h->proc_fd);
}

static bool has_directories(const struct mount_group_spec *spec)
{
	return access(spec->ns_dir, F_OK) == 0 || access(spec->base_dir, F_OK) == 0 ||
	       access(spec->dir, F_OK) == 0;
}

/* 1, or 0 if there is nothing of such a group. */
static int take_hold(const struct mount_group_spec *spec, struct hold *h, struct err *err)
{
	int r;

	if (!has_directories(spec))
		return 0;
	h->proc_fd = r = open_proc(err);
	if (r >= 0)
		h->lock = r = lock_groups(spec, LOCK_EX, err);
	if (r >= 0)
		r = inspect(spec, h->proc_fd, &h->info, err);
	return r < 0 ? r : 1;
}

int mount_group_inspect(
	const struct mount_group_spec *spec, struct mount_group_info *ret_info, struct err *err)
{
	_cleanup_(let_go) struct hold h = HOLD_INIT;
	int r = take_hold(spec, &h, err);

	if (r < 0)
		return r;
	if (!h.info.pinned && !h.info.mounted)
		return err_setf(err, ERR_NOT_FOUND, ENOENT, "%s: no such group", spec->name);
	let_go(&h);
	*ret_info = h.info;
	if (snapshot_usage(spec, &ret_info->used_bytes, &ret_info->used_inodes))
		ret_info->size_bytes = ret_info->inodes = 0;
	return 0;
}

/* A directory of ours and the files in it. */
static void remove_dir(const char *path)
{
	_cleanup_closedir_ DIR *dir = opendir(path);
	struct dirent *e;

	while (dir && (e = readdir(dir)))
		(void)unlinkat(dirfd(dir), e->d_name, 0);
	(void)rmdir(path);
}

static bool has_entries(const char *path)
{
	_cleanup_closedir_ DIR *dir = opendir(path);
	struct dirent *e;

	while (dir && (e = readdir(dir))) {
		if (e->d_name[0] != '.')
			return true;
	}
	return false;
}

static void remove_dirs(const struct mount_group_spec *spec, int proc_fd)
{
	(void)rmdir(spec->base_dir);
	remove_dir(spec->dir);
	if (has_entries(spec->ns_dir))
		return;
	if (mountinfo_is_point(proc_fd, spec->ns_dir))
		(void)umount2(spec->ns_dir, MNT_DETACH);
	(void)rmdir(spec->ns_dir);
}

int mount_group_gc(const struct mount_group_spec *spec, struct err *err)
{
	_cleanup_(let_go) struct hold h = HOLD_INIT;
	int r = take_hold(spec, &h, err);

	if (r <= 0)
		return r;
	if (h.info.processes > 0)
		return MOUNT_GROUP_IN_USE;
	r = pin_remove(spec->ns_dir, spec->name, err);
	if (r < 0)
		return r;
	if (h.info.mounted)
		drop_store(spec->base_dir);
	r = disk_store_drop(spec->dir, false, err);
	if (r < 0)
		return r;
	remove_dirs(spec, h.proc_fd);
	return h.info.pinned || h.info.mounted ? MOUNT_GROUP_REMOVED : 0;
}

int mount_group_reset(const struct mount_group_spec *spec, unsigned *ret_processes, struct err *err)
{
	_cleanup_(let_go) struct hold h = HOLD_INIT;
	int r;

	*ret_processes = 0;
	r = take_hold(spec, &h, err);
	if (r <= 0)
		return r;
	r = pin_remove(spec->ns_dir, spec->name, err);
	if (r < 0)
		return r;
	if (h.info.mounted)
		drop_store(spec->base_dir);
	r = disk_store_drop(spec->dir, h.info.processes > 0, err);
	if (r < 0)
		return r;
	*ret_processes = h.info.processes;
	if (h.info.processes == 0)
		remove_dirs(spec, h.proc_fd);
	return h.info.pinned || h.info.mounted;
}
