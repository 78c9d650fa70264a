#include "view/overlay.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdio.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/vfs.h>
#include <unistd.h>
#include "base/buf.h"
#include "base/cleanup.h"
#include "base/str.h"

uint64_t overlay_default_inodes(uint64_t size_bytes)
{
	uint64_t n = size_bytes / (16 << 10);

	return n < 16384 ? 16384 : n;
}

/* DIR/upper and DIR/work. upper/ gets the mode of what it lies over (copy_attributes). */
static int make_upper_dirs(const char *dir, struct err *err)
{
	static const struct {
		const char *name;
		mode_t mode;
	} dirs[] = {{"upper", 0755}, {"work", 0700}};
	_cleanup_close_ int fd = open(dir, O_DIRECTORY | O_RDONLY | O_CLOEXEC | O_NOFOLLOW);

	if (fd < 0)
		return err_sysf(err, errno, "%s", dir);
	for (size_t i = 0; i < ARRAY_LEN(dirs); i++) {
		if (mkdirat(fd, dirs[i].name, dirs[i].mode) < 0 && errno != EEXIST)
			return err_sysf(err, errno, "%s/%s", dir, dirs[i].name);
	}
	return 0;
}

int overlay_store_mount(const char *dir, uint64_t size_bytes, uint64_t inodes, struct err *err)
{
	char data[128];
	int r;

	if (inodes == 0)
		inodes = overlay_default_inodes(size_bytes);
	(void)snprintf(data, sizeof(data), "mode=0700,size=%llu,nr_inodes=%llu",
		(unsigned long long)size_bytes, (unsigned long long)inodes);
	if (mount("reaper", dir, "tmpfs", MS_NOSUID | MS_NODEV, data) < 0)
		return err_sysf(err, errno, "mounting a tmpfs of %llu bytes on %s",
			(unsigned long long)size_bytes, dir);
	r = make_upper_dirs(dir, err);
	if (r < 0)
		(void)umount2(dir, MNT_DETACH);
	return r;
}

/* A path inside a mount option: commas, colons and backslashes are the separators there. */
static int append_path(struct buf *b, const char *path)
{
	int r = 0;

	while (*path && r == 0) {
		size_t plain = strcspn(path, "\\,:");

		r = buf_append(b, path, plain);
		path += plain;
		if (r == 0 && *path)
			r = buf_printf(b, "\\%c", *path++);
	}
	return r;
}

static int overlay_data(struct buf *b, const char *lower, const char *const *masks, const char *dir)
{
	int r;

	/* index=off: an upper whose overlay is gone may be used again; metacopy=off: what lies in
	   upper/ is the whole file; redirect_dir=off: and the whole directory, also a renamed one
	 */
	r = buf_append_str(b, "index=off,metacopy=off,redirect_dir=off,lowerdir=");
	for (; r == 0 && masks && *masks; masks++) {
		r = append_path(b, *masks);
		if (r == 0)
			r = buf_append_str(b, ":");
	}
	if (r == 0)
		r = append_path(b, lower);
	if (r == 0)
		r = buf_append_str(b, ",upperdir=");
	if (r == 0)
		r = append_path(b, dir);
	if (r == 0)
		r = buf_append_str(b, "/upper,workdir=");
	if (r == 0)
		r = append_path(b, dir);
	if (r == 0)
		r = buf_append_str(b, "/work");
	return r;
}

static const struct {
	long magic;
	const char *name;
} fs_names[] = {
	{OVERLAYFS_SUPER_MAGIC, "overlay"},
	{NFS_SUPER_MAGIC, "nfs"},
	{TMPFS_MAGIC, "tmpfs"},
	{RAMFS_MAGIC, "ramfs"},
	{XFS_SUPER_MAGIC, "xfs"},
	{EXT4_SUPER_MAGIC, "ext4"},
	{BTRFS_SUPER_MAGIC, "btrfs"},
	{MSDOS_SUPER_MAGIC, "vfat"},
	{FUSE_SUPER_MAGIC, "fuse"},
};

static const char *fs_name(const char *path, char *buf, size_t size)
{
	struct statfs fs;

	if (statfs(path, &fs) < 0)
		return "?";
	for (size_t i = 0; i < ARRAY_LEN(fs_names); i++) {
		if ((long)fs.f_type == fs_names[i].magic)
			return fs_names[i].name;
	}
	(void)snprintf(buf, size, "0x%lx", (long)fs.f_type);
	return buf;
}

/* overlayfs takes these as an upper layer only with files that behave oddly, or not at all. */
int overlay_check_upper(const char *upper, struct err *err)
{
	char buf[32];
	const char *name = fs_name(upper, buf, sizeof(buf));

	if (str_eq(name, "overlay") || str_eq(name, "nfs") || str_eq(name, "fuse") ||
		str_eq(name, "vfat"))
		return err_setf(err, ERR_PRECONDITION, EINVAL,
			"%s: %s cannot hold the upper layer of an overlay: put it on tmpfs or a "
			"local disk",
			upper, name);
	return 0;
}

static int copy_attributes(const char *from, const char *to, struct err *err)
{
	struct stat st;

	if (stat(from, &st) < 0)
		return err_sysf(err, errno, "%s", from);
	if (chown(to, st.st_uid, st.st_gid) < 0 || chmod(to, st.st_mode & 07777) < 0 ||
		utimensat(AT_FDCWD, to, (const struct timespec[]) {st.st_atim, st.st_mtim}, 0) < 0)
		return err_sysf(err, errno, "%s", to);
	return 0;
}

static unsigned long lower_flags(const char *lower)
{
	static const struct {
		unsigned long st, ms;
	} map[] = {{ST_NOSUID, MS_NOSUID}, {ST_NODEV, MS_NODEV}, {ST_NOEXEC, MS_NOEXEC},
		{ST_NOATIME, MS_NOATIME}};
	struct statvfs v;
	unsigned long flags = 0;

	if (statvfs(lower, &v) < 0)
		return 0;
	for (size_t i = 0; i < ARRAY_LEN(map); i++) {
		if (v.f_flag & map[i].st)
			flags |= map[i].ms;
	}
	return flags;
}

int overlay_mount(const char *lower, const char *const *masks, const char *dir, const char *target,
	struct err *err)
{
	_cleanup_(buf_done) struct buf data = BUF_INIT(3800); /* the kernel's limit is a page */
	_cleanup_free_ char *upper = NULL;
	char lower_fs[32];
	int r;

	r = make_upper_dirs(dir, err);
	if (r < 0)
		return r;
	r = str_printf(&upper, "%s/upper", dir);
	if (r == 0)
		r = overlay_data(&data, lower, masks, dir);
	if (r < 0)
		return err_sysf(err, -r, "overlay over %s", lower);
	r = copy_attributes(lower, upper, err);
	if (r < 0)
		return r;
	if (mount(OVERLAY_SOURCE, target, "overlay", lower_flags(lower), data.data) == 0)
		return 0;
	if (errno == ENODEV)
		return err_setf(err, ERR_PRECONDITION, ENODEV,
			"this kernel has no overlayfs, which the host view is made of");
	return err_sysf(err, errno, "overlay over %s (%s)", lower,
		fs_name(lower, lower_fs, sizeof(lower_fs)));
}
