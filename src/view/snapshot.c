#include "view/snapshot.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/cleanup.h"
#include "base/str.h"
#include "view/disk.h"
#include "view/overlay.h"

#define PLACE "/.reaper"

bool snapshot_can_hold(const char *snapshot, const char *home)
{
	struct stat here, there;

	return stat(snapshot, &here) == 0 && S_ISDIR(here.st_mode) && stat(home, &there) == 0 &&
	       here.st_dev == there.st_dev && overlay_check_upper(snapshot, NULL) == 0;
}

/* SNAPSHOT/.reaper, open; *ret_path is the caller's to free. */
static int open_place(const char *snapshot, bool make, char **ret_path, struct err *err)
{
	int fd;

	if (str_printf(ret_path, "%s" PLACE, snapshot) < 0)
		return err_sysf(err, ENOMEM, "%s", snapshot);
	if (make && mkdir(*ret_path, 0700) < 0 && errno != EEXIST)
		return err_sysf(err, errno, "%s", *ret_path);
	fd = open(*ret_path, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	return fd < 0 ? err_sysf(err, errno, "%s", *ret_path) : fd;
}

int snapshot_store_mount(const struct mount_group_spec *spec, struct err *err)
{
	_cleanup_free_ char *place = NULL, *path = NULL;
	_cleanup_close_ int fd = open_place(spec->snapshot, true, &place, err);
	int r;

	if (fd < 0)
		return fd;
	if (str_printf(&path, "%s/%s", place, spec->name) < 0)
		return err_sysf(err, ENOMEM, "%s", place);
	/* what an interrupted making left, or a group without a pin that containers still use */
	r = disk_store_put_aside(fd, spec->name);
	if (r == 0 && mkdirat(fd, spec->name, 0700) < 0)
		r = -errno;
	return r < 0 ? err_sysf(err, -r, "%s", path) : disk_store_bind(spec, path, err);
}

/* One entry; a group's own notes where it is now. */
static int move(const char *groups_dir, int from, int to, const char *place, const char *name,
	struct err *err)
{
	_cleanup_free_ char *dir = NULL, *path = NULL;

	if (str_printf(&dir, "%s/%s", groups_dir, name) < 0 ||
		str_printf(&path, "%s/%s", place, name) < 0)
		return err_sysf(err, ENOMEM, "%s", name);
	if (renameat(from, name, to, name) < 0)
		return errno == ENOENT ? 0 : err_sysf(err, errno, "moving to %s", path);
	if (name[0] == '.' || access(dir, F_OK) < 0) /* put aside, or its group is being removed */
		return 0;
	return disk_store_note(dir, path, err);
}

int snapshot_move(const char *groups_dir, const char *from, const char *to, struct err *err)
{
	_cleanup_free_ char *old_place = NULL, *place = NULL;
	_cleanup_closedir_ DIR *dir = NULL;
	_cleanup_close_ int target = -EBADF;
	struct dirent *e;
	int fd = open_place(from, false, &old_place, err), r = 0;

	if (fd < 0)
		return fd == -ENOENT ? 0 : fd;
	dir = fdopendir(fd);
	if (!dir) {
		r = err_sysf(err, errno, "%s", old_place);
		(void)close(fd);
		return r;
	}
	target = open_place(to, true, &place, err);
	if (target < 0)
		return target;
	while (r == 0 && (e = readdir(dir))) {
		if (!str_eq(e->d_name, ".") && !str_eq(e->d_name, ".."))
			r = move(groups_dir, dirfd(dir), target, place, e->d_name, err);
	}
	snapshot_tidy(old_place);
	snapshot_tidy(place);
	return r;
}

enum { DEPTH_MAX = 100 }; /* of directories in each other that are looked into */

struct usage {
	uint64_t bytes, inodes;
};

static void count(struct usage *u, int fd, unsigned depth)
{
	_cleanup_closedir_ DIR *dir = fdopendir(fd);
	struct dirent *e;
	struct stat st;

	if (!dir)
		(void)close(fd);
	while (dir && (e = readdir(dir))) {
		int down;

		if (str_eq(e->d_name, ".") || str_eq(e->d_name, "..") ||
			fstatat(dirfd(dir), e->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0)
			continue;
		u->inodes++;
		u->bytes += (uint64_t)st.st_blocks * 512U / (S_ISDIR(st.st_mode) ? 1 : st.st_nlink);
		if (!S_ISDIR(st.st_mode) || depth == DEPTH_MAX)
			continue;
		down = openat(
			dirfd(dir), e->d_name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
		if (down >= 0)
			count(u, down, depth + 1);
	}
}

int snapshot_usage(const struct mount_group_spec *spec, uint64_t *ret_bytes, uint64_t *ret_inodes)
{
	_cleanup_free_ char *path = NULL;
	struct usage u = {0};
	int fd;

	if (disk_store_path(spec->dir, &path, NULL) != 0 || !strstr(path, PLACE "/"))
		return 0;
	fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0)
		return 0;
	count(&u, fd, 0);
	*ret_bytes = u.bytes;
	*ret_inodes = u.inodes;
	return 1;
}

void snapshot_tidy(const char *dir)
{
	if (str_has_suffix(dir, PLACE))
		(void)rmdir(dir); /* not if there is anything left */
}
