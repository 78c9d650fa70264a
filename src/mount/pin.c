#include "mount/pin.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <linux/types.h>
#include <sched.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/vfs.h>
#include <unistd.h>
#include "base/cleanup.h"
#include "base/str.h"
#include "mount/mountinfo.h"
#include "mount/tree.h"

/* linux/nsfs.h, Linux 6.11 */
#define PIN_GET_MNTNS_ID _IOR(0xb7, 0x5, __u64)

enum { ID_BATCH = 4096 };

static int pin_path(const char *dir, const char *name, char **ret_path, struct err *err)
{
	int r = str_printf(ret_path, "%s/%s", dir, name);

	return r < 0 ? err_sysf(err, -r, "%s", dir) : 0;
}

int pin_open(const char *dir, const char *name, struct err *err)
{
	_cleanup_free_ char *path = NULL;
	_cleanup_close_ int fd = -EBADF;
	struct statfs fs;
	int r = pin_path(dir, name, &path, err);

	if (r < 0)
		return r;
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0 || fstatfs(fd, &fs) < 0)
		return err_sysf(err, errno, "%s", path);
	if ((long)fs.f_type != NSFS_MAGIC)
		return err_setf(err, ERR_NOT_FOUND, ENOENT, "%s: no namespace on it", path);
	return TAKE_FD(fd);
}

/*
 * Below a shared mount the bind is refused: its copies elsewhere would pin the namespace, too.
 * Unbindable is private, and left out of every copy: a volume of the host's whole root with a pin
 * in it could not be mounted in any container (ELOOP).
 */
static int prepare_dir(const char *dir, int proc_fd, struct err *err)
{
	if (!mountinfo_is_point(proc_fd, dir) && mount(dir, dir, NULL, MS_BIND, NULL) < 0)
		return err_sysf(err, errno, "binding %s onto itself", dir);
	if (mount(NULL, dir, NULL, MS_UNBINDABLE, NULL) < 0)
		return err_sysf(err, errno, "making %s unbindable", dir);
	return 0;
}

int pin_make(const char *dir, const char *name, int ns, int proc_fd, struct err *err)
{
	_cleanup_free_ char *path = NULL;
	_cleanup_free_ char *source = NULL;
	_cleanup_close_ int file = -EBADF;
	int r = prepare_dir(dir, proc_fd, err);

	if (r < 0)
		return r;
	if (str_printf(&path, "%s/%s", dir, name) < 0 || str_printf(&source, "self/fd/%d", ns) < 0)
		return err_sysf(err, ENOMEM, "%s", dir);
	file = open(path, O_RDONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (file < 0)
		return err_sysf(err, errno, "%s", path);
	r = tree_mount_at(proc_fd, source, path, NULL, MS_BIND, NULL);
	if (r < 0) {
		(void)unlink(path);
		return err_sysf(err, -r, "pinning the mount namespace of the view on %s", path);
	}
	return 0;
}

int pin_remove(const char *dir, const char *name, struct err *err)
{
	_cleanup_free_ char *path = NULL;
	int r = pin_path(dir, name, &path, err);

	if (r < 0)
		return r;
	/* EINVAL: not mounted */
	if (umount2(path, MNT_DETACH) < 0 && errno != EINVAL && errno != ENOENT)
		return err_sysf(err, errno, "unmounting %s", path);
	if (unlink(path) < 0 && errno != ENOENT)
		return err_sysf(err, errno, "%s", path);
	return 0;
}

/* Whether the caller's namespace counts as younger; true where the kernel does not tell. */
static bool is_younger(int proc_fd, uint64_t older_id)
{
	_cleanup_close_ int own = openat(proc_fd, "self/ns/mnt", O_RDONLY | O_CLOEXEC);
	__u64 id;

	return own < 0 || ioctl(own, PIN_GET_MNTNS_ID, &id) < 0 || id > older_id;
}

int pin_become_younger(int older, int proc_fd, struct err *err)
{
	cpu_set_t allowed, one;
	__u64 older_id;
	bool younger, movable;

	if (ioctl(older, PIN_GET_MNTNS_ID, &older_id) < 0)
		return 0; /* before 6.11 the numbers are in order */
	younger = is_younger(proc_fd, older_id);
	movable = sched_getaffinity(0, sizeof(allowed), &allowed) == 0;
	for (size_t cpu = 0; movable && !younger && cpu < CPU_SETSIZE; cpu++) {
		if (!CPU_ISSET(cpu, &allowed))
			continue;
		CPU_ZERO(&one);
		CPU_SET(cpu, &one);
		if (sched_setaffinity(0, sizeof(one), &one) == 0 && unshare(CLONE_NEWNS) == 0)
			younger = is_younger(proc_fd, older_id);
	}
	if (movable)
		(void)sched_setaffinity(0, sizeof(allowed), &allowed);
	for (int tries = 0; !younger && tries <= ID_BATCH; tries++) {
		if (unshare(CLONE_NEWNS) < 0)
			return err_sysf(err, errno, "unshare(CLONE_NEWNS)");
		younger = is_younger(proc_fd, older_id);
	}
	return 0;
}
