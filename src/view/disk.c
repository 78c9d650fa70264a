#include "view/disk.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/str.h"
#include "mount/mountinfo.h"
#include "view/disk_quota.h"
#include "view/overlay.h"
#include "view/snapshot.h"

enum {
	NOTE_MAX = 4096,
	DEPTH_MAX = 100, /* of directories in each other while they are removed */
};

#define NOTE_NAME   "disk"
#define BOOT_NAME   "boot"
#define OLD_PREFIX  ".old-"
#define DEEP_PREFIX ".deep-"

/* ---- removing ---- */

struct removal {
	int top;
	dev_t dev;
	unsigned moved; /* directories that were too deep and are at the top now */
};

static int remove_content(struct removal *r, int dir, unsigned depth);

static int remove_dir(struct removal *r, int dir, const char *name, unsigned depth)
{
	_cleanup_close_ int down = -EBADF;
	struct stat st;
	int result;

	if (depth == DEPTH_MAX) { /* workloads make directories as deep as they like */
		char up[32];

		(void)snprintf(up, sizeof(up), DEEP_PREFIX "%u", r->moved++);
		return renameat(dir, name, r->top, up) < 0 ? -errno : 0;
	}
	down = openat(dir, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	if (down < 0 || fstat(down, &st) < 0)
		return -errno;
	if (st.st_dev != r->dev) /* somebody has mounted something here: not ours to empty */
		return -EXDEV;
	result = remove_content(r, down, depth + 1);
	if (result == 0 && unlinkat(dir, name, AT_REMOVEDIR) < 0 && errno != ENOENT)
		result = -errno;
	return result;
}

static int remove_content(struct removal *r, int dir, unsigned depth)
{
	int copy = openat(dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC), result = 0;
	_cleanup_closedir_ DIR *stream = copy >= 0 ? fdopendir(copy) : NULL;
	struct dirent *e;

	if (!stream)
		return -errno;
	while (result == 0 && (e = readdir(stream))) {
		if (str_eq(e->d_name, ".") || str_eq(e->d_name, ".."))
			continue;
		if (unlinkat(dir, e->d_name, 0) == 0 || errno == ENOENT)
			continue;
		result = errno == EISDIR || errno == EPERM ? remove_dir(r, dir, e->d_name, depth)
							   : -errno;
	}
	return result;
}

/* A directory below `base` and everything in it, on its own file system. */
static int remove_tree(int base, const char *name)
{
	_cleanup_close_ int top =
		openat(base, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	struct removal r = {.top = top};
	struct stat st;
	unsigned before;
	int result;

	if (top < 0)
		return errno == ENOENT ? 0 : -errno;
	if (fstat(top, &st) < 0)
		return -errno;
	r.dev = st.st_dev;
	disk_quota_clear(top);
	do { /* again for what was moved up */
		before = r.moved;
		result = remove_content(&r, top, 0);
	} while (result == 0 && r.moved != before);
	if (result == 0 && unlinkat(base, name, AT_REMOVEDIR) < 0 && errno != ENOENT)
		result = errno == ENOTEMPTY ? -EBUSY : -errno;
	return result;
}

/* ---- boots ---- */

/* "BOOT-ID keep" or "BOOT-ID reset". */
static int boot_line(int proc_fd, bool keep, char **ret_line, struct err *err)
{
	_cleanup_free_ char *id = NULL;
	int r = file_read_at(proc_fd, "sys/kernel/random/boot_id", NOTE_MAX, &id, NULL, err);

	if (r < 0)
		return r;
	id[strcspn(id, "\n")] = '\0';
	r = str_printf(ret_line, "%s %s\n", id, keep ? "keep" : "reset");
	return r < 0 ? err_sysf(err, -r, "boot") : 0;
}

enum state { STATE_NONE, STATE_THIS_BOOT, STATE_OTHER_BOOT, STATE_OTHER_BOOT_KEPT };

/* What made UPPER_BASE/name. One that says nothing was interrupted while it was made. */
static enum state state_of(int base, const char *name, const char *now)
{
	_cleanup_free_ char *path = NULL, *then = NULL;
	size_t id = strcspn(now, " ");

	if (str_printf(&path, "%s/" BOOT_NAME, name) < 0 ||
		file_read_at(base, path, NOTE_MAX, &then, NULL, NULL) < 0)
		return STATE_NONE;
	if (strncmp(now, then, id + 1) == 0)
		return STATE_THIS_BOOT;
	return str_has_suffix(then, " keep\n") ? STATE_OTHER_BOOT_KEPT : STATE_OTHER_BOOT;
}

/* Everything of other boots that is not kept; what does not go is tried again the next time. */
static void clean(int base, const char *now)
{
	int copy = openat(base, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	_cleanup_closedir_ DIR *dir = copy >= 0 ? fdopendir(copy) : NULL;
	struct dirent *e;

	while (dir && (e = readdir(dir))) {
		enum state state;

		if (str_eq(e->d_name, ".") || str_eq(e->d_name, ".."))
			continue;
		state = state_of(base, e->d_name, now);
		if (state == STATE_OTHER_BOOT ||
			(state == STATE_OTHER_BOOT_KEPT && str_has_prefix(e->d_name, OLD_PREFIX)))
			(void)remove_tree(base, e->d_name);
	}
}

/* Of a group of an earlier boot, what was written over / stays; the rest was that boot's. */
static int keep_upper(int base, const char *name)
{
	_cleanup_close_ int group =
		openat(base, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	_cleanup_closedir_ DIR *dir = NULL;
	struct dirent *e;
	int copy, r = 0;

	copy = group < 0 ? -EBADF : openat(group, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	dir = copy >= 0 ? fdopendir(copy) : NULL;
	if (!dir)
		return -errno;
	while (r == 0 && (e = readdir(dir))) {
		if (str_eq(e->d_name, ".") || str_eq(e->d_name, "..") || str_eq(e->d_name, "upper"))
			continue;
		if (unlinkat(group, e->d_name, 0) < 0 && errno != ENOENT)
			r = remove_tree(group, e->d_name);
	}
	return r;
}

/* ---- making ---- */

static int open_base(const char *upper_base, int proc_fd, struct err *err)
{
	_cleanup_close_ int fd = open(upper_base, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	struct stat st;
	int r;

	if (fd < 0 || fstat(fd, &st) < 0)
		return err_sysf(err, errno, "REAPER_UPPER_BASE: %s", upper_base);
	if (st.st_uid != 0 || (st.st_mode & (S_IWGRP | S_IWOTH)))
		return err_setf(err, ERR_PRECONDITION, EPERM,
			"REAPER_UPPER_BASE: %s: others than root may write it: chown root it and "
			"chmod 700",
			upper_base);
	r = overlay_check_upper(upper_base, err);
	if (r < 0)
		return err_wrapf(err, "REAPER_UPPER_BASE");
	if (!mountinfo_is_point(proc_fd, upper_base))
		return err_setf(err, ERR_PRECONDITION, ENOTBLK,
			"REAPER_UPPER_BASE: %s: no mount point: workloads could fill the disk of "
			"the node; mount a file system there, whose size is what they may write",
			upper_base);
	return TAKE_FD(fd);
}

/* Containers may still be using what is here without a pin: it is put aside, never emptied. */
int disk_store_put_aside(int base, const char *name)
{
	char old[48];

	(void)snprintf(old, sizeof(old), OLD_PREFIX "%llx", (unsigned long long)clock_boot_usec());
	return renameat(base, name, base, old) < 0 && errno != ENOENT ? -errno : 0;
}

static int make_dir(int base, const char *name, const char *now, bool keep)
{
	enum state state = state_of(base, name, now);
	int r = 0;

	if (state == STATE_THIS_BOOT)
		r = disk_store_put_aside(base, name);
	else if (state == STATE_OTHER_BOOT_KEPT && keep)
		r = keep_upper(base, name);
	else
		r = remove_tree(base, name);
	if (r == 0 && mkdirat(base, name, 0700) < 0 && errno != EEXIST)
		r = -errno;
	return r;
}

/* DIR/disk; the caller frees. */
static int note_name(const char *dir, char **ret_note, struct err *err)
{
	return str_printf(ret_note, "%s/" NOTE_NAME, dir) < 0 ? err_sysf(err, ENOMEM, "%s", dir)
							      : 0;
}

int disk_store_note(const char *dir, const char *path, struct err *err)
{
	_cleanup_free_ char *note = NULL;
	int r = note_name(dir, &note, err);

	return r < 0 ? r : file_replace_at(AT_FDCWD, note, path, strlen(path), 0600, err);
}

static int bind_store(const char *path, const char *base_dir, struct err *err)
{
	if (mount(path, base_dir, NULL, MS_BIND, NULL) < 0)
		return err_sysf(err, errno, "binding %s onto %s", path, base_dir);
	if (mount(NULL, base_dir, NULL, MS_REMOUNT | MS_BIND | MS_NOSUID | MS_NODEV, NULL) == 0)
		return 0;
	(void)umount2(base_dir, MNT_DETACH);
	return err_sysf(err, errno, "%s", base_dir);
}

int disk_store_bind(const struct mount_group_spec *spec, const char *path, struct err *err)
{
	int r = disk_store_note(spec->dir, path, err);

	return r < 0 ? r : bind_store(path, spec->base_dir, err);
}

/* What one group may write, where the file system can be told. */
static int limit(int base, const struct mount_group_spec *spec, struct err *err)
{
	_cleanup_close_ int dir =
		openat(base, spec->name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	uint64_t inodes = spec->inodes ? spec->inodes : overlay_default_inodes(spec->size_bytes);
	int r;

	if (dir < 0)
		return err_sysf(err, errno, "%s/%s", spec->upper_base, spec->name);
	r = disk_quota_set(base, dir, spec->size_bytes, inodes, err);
	if (r != -EOPNOTSUPP)
		return r;
	if (spec->most_bytes == 0)
		return 0;
	return err_setf(err, ERR_PRECONDITION, EOPNOTSUPP,
		"annotation reaper.runtime/upper-size: the file system on %s has no project quotas "
		"(mount option prjquota), so that one group cannot have a limit: remove it",
		spec->upper_base);
}

int disk_store_mount(const struct mount_group_spec *spec, int proc_fd, struct err *err)
{
	_cleanup_free_ char *now = NULL, *path = NULL, *boot = NULL;
	_cleanup_close_ int base = open_base(spec->upper_base, proc_fd, err);
	int r;

	if (base < 0)
		return base;
	r = boot_line(proc_fd, spec->upper_keep, &now, err);
	if (r < 0)
		return r;
	clean(base, now);
	if (str_printf(&path, "%s/%s", spec->upper_base, spec->name) < 0 ||
		str_printf(&boot, "%s/" BOOT_NAME, spec->name) < 0)
		return err_sysf(err, ENOMEM, "%s", spec->upper_base);
	r = make_dir(base, spec->name, now, spec->upper_keep);
	if (r < 0)
		return err_sysf(err, -r, "%s", path);
	r = limit(base, spec, err);
	if (r == 0)
		r = file_replace_at(base, boot, now, strlen(now), 0600, err);
	return r < 0 ? r : disk_store_bind(spec, path, err);
}

int disk_store_path(const char *dir, char **ret_path, struct err *err)
{
	_cleanup_free_ char *note = NULL;
	int r = note_name(dir, &note, err);

	return r < 0 ? r : file_read_at(AT_FDCWD, note, NOTE_MAX, ret_path, NULL, err);
}

int disk_store_drop(const char *dir, bool in_use, struct err *err)
{
	_cleanup_free_ char *note = NULL, *path = NULL;
	_cleanup_close_ int base = -EBADF;
	char *slash;
	int r;

	r = disk_store_path(dir, &path, err);
	if (r == -ENOENT)
		return 0;
	if (r < 0)
		return r;
	r = note_name(dir, &note, err);
	if (r < 0)
		return r;
	slash = strrchr(path, '/');
	if (!slash)
		return err_setf(err, ERR_INVALID, EINVAL, "%s: no path in it", note);
	*slash = '\0';
	base = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	if (base < 0)
		return errno == ENOENT ? 0 : err_sysf(err, errno, "%s", path);
	r = in_use ? disk_store_put_aside(base, slash + 1) : remove_tree(base, slash + 1);
	(void)unlink(note);
	snapshot_tidy(path);
	return r < 0 ? err_sysf(err, -r, "%s/%s", path, slash + 1) : 0;
}
