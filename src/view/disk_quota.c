#include "view/disk_quota.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <linux/quota.h>
#include <stdbool.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>
#include "base/cleanup.h"
#include "base/str.h"

/* Project ids of ours: nobody else's /etc/projid is likely to have them. */
enum { FIRST_PROJECT = 0x52000000, LAST_PROJECT = 0x52ffffff };

#define QCMD_OF(command) (((unsigned)(command) << SUBCMDSHIFT) | PRJQUOTA)

static int set_limit(int fd, uint32_t project, uint64_t size_bytes, uint64_t inodes)
{
	struct if_dqblk limit = {
		.dqb_bhardlimit = (size_bytes + 1023) / 1024, /* in QIF_DQBLKSIZE */
		.dqb_ihardlimit = inodes,
		.dqb_valid = QIF_LIMITS,
	};

	return syscall(SYS_quotactl_fd, fd, QCMD_OF(Q_SETQUOTA), project, &limit) < 0 ? -errno : 0;
}

static bool is_in_force(int fd)
{
	struct if_dqinfo info;

	return syscall(SYS_quotactl_fd, fd, QCMD_OF(Q_GETINFO), 0, &info) == 0;
}

static uint32_t project_of(int fd)
{
	struct fsxattr x;

	return ioctl(fd, FS_IOC_FSGETXATTR, &x) < 0 ? 0 : x.fsx_projid;
}

static bool is_taken(int base, uint32_t project)
{
	int copy = openat(base, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	_cleanup_closedir_ DIR *dir = copy >= 0 ? fdopendir(copy) : NULL;
	struct dirent *e;

	while (dir && (e = readdir(dir))) {
		_cleanup_close_ int fd = openat(base, e->d_name,
			O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);

		if (fd >= 0 && project_of(fd) == project)
			return true;
	}
	return false;
}

static uint32_t free_project(int base)
{
	uint32_t project = FIRST_PROJECT;

	while (project < LAST_PROJECT && is_taken(base, project))
		project++;
	return project;
}

int disk_quota_set(int base, int dir, uint64_t size_bytes, uint64_t inodes, struct err *err)
{
	struct fsxattr x;
	int r;

	if (!is_in_force(dir) || ioctl(dir, FS_IOC_FSGETXATTR, &x) < 0)
		return -EOPNOTSUPP;
	if (x.fsx_projid < FIRST_PROJECT || x.fsx_projid > LAST_PROJECT) {
		x.fsx_projid = free_project(base);
		x.fsx_xflags |= FS_XFLAG_PROJINHERIT;
		if (ioctl(dir, FS_IOC_FSSETXATTR, &x) < 0)
			return err_sysf(err, errno, "project of the group's directory");
	}
	r = set_limit(dir, x.fsx_projid, size_bytes, inodes);
	return r < 0 ? err_sysf(err, -r, "project quota") : 0;
}

void disk_quota_clear(int dir)
{
	uint32_t project = project_of(dir);

	if (project >= FIRST_PROJECT && project <= LAST_PROJECT)
		(void)set_limit(dir, project, 0, 0);
}
