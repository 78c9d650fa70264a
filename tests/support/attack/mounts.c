/* Taking mounts away, making new ones, and looking from somewhere else. */
#include <errno.h>
#include <fcntl.h>
#include <linux/mount.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>
#include "support/attack/attack.h"

/* Every mount point, the last one first. The errno of the last that did not go; 0 if one went. */
static int umount_all(void)
{
	static char points[512][256];
	FILE *f = fopen("/proc/self/mountinfo", "re");
	char line[8192];
	int n = 0, result = ENOENT;

	if (!f)
		return errno;
	while (n < 512 && fgets(line, sizeof(line), f)) {
		if (sscanf(line, "%*d %*d %*s %*s %255s", points[n]) == 1)
			n++;
	}
	(void)fclose(f);
	while (n-- > 0) {
		if (umount2(points[n], MNT_DETACH) == 0)
			return 0;
		result = errno;
	}
	return result;
}

static int unmount(const struct target *t)
{
	(void)t;
	return umount_all();
}

static int remount(const struct target *t)
{
	(void)t;
	return outcome(mount(NULL, "/sys", NULL, MS_REMOUNT | MS_BIND, NULL));
}

static int refresh_root(const struct target *t)
{
	(void)t;
	return outcome(mount(NULL, "/", NULL, MS_REMOUNT, NULL));
}

static int bind_parent(const struct target *t)
{
	return outcome(mount(t->parent, "/tmp", NULL, MS_BIND, NULL));
}

static int bind_root(const struct target *t)
{
	(void)t;
	return outcome(mount("/", "/tmp", NULL, MS_BIND | MS_REC, NULL));
}

static int open_tree_clone(const struct target *t)
{
	return outcome(syscall(SYS_open_tree, AT_FDCWD, t->parent, OPEN_TREE_CLONE));
}

static int fsopen_tmpfs(const struct target *t)
{
	(void)t;
	return outcome(syscall(SYS_fsopen, "tmpfs", 0));
}

static int fsopen_disk(const struct target *t)
{
	(void)t;
	return outcome(syscall(SYS_fsopen, "ext4", 0));
}

static int fspick_root(const struct target *t)
{
	(void)t;
	return outcome(syscall(SYS_fspick, AT_FDCWD, "/", 0));
}

static int fsmount_nothing(const struct target *t)
{
	(void)t;
	return outcome(syscall(SYS_fsmount, 0, 0, 0));
}

static int set_attributes(const struct target *t)
{
	struct mount_attr a = {.attr_clr = MOUNT_ATTR_RDONLY};

	(void)t;
	return outcome(syscall(SYS_mount_setattr, AT_FDCWD, "/sys", 0, &a, sizeof(a)));
}

static int mount_overlay(const struct target *t)
{
	char data[1024];

	(void)snprintf(data, sizeof(data), "lowerdir=%s:/usr", t->parent);
	return outcome(mount("x", "/tmp", "overlay", 0, data));
}

static int new_mount_namespace(const struct target *t)
{
	(void)t;
	return outcome(unshare(CLONE_NEWNS));
}

static int pivot(const struct target *t)
{
	(void)t;
	return outcome(syscall(SYS_pivot_root, "/", "/tmp"));
}

/* The classic: a root directory below which one is not any more. */
static int leave_chroot(const struct target *t)
{
	int fd = open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	(void)mkdir("/tmp/attack-root", 0700);
	if (chroot("/tmp/attack-root") < 0)
		return errno;
	if (fchdir(fd) < 0)
		return errno;
	for (int i = 0; i < 64; i++)
		if (chdir("..") < 0)
			return errno;
	if (chroot(".") < 0)
		return errno;
	return read_secret(t);
}

static int through_dots(const struct target *t)
{
	char path[4096];

	(void)snprintf(path, sizeof(path), "/proc/self/root/../../../..%s", t->secret);
	return open(path, O_RDONLY | O_CLOEXEC) < 0 ? errno : 0;
}

static int by_handle(const struct target *t)
{
	/* the root directory of an ext4: inode 2, generation 0 */
	struct {
		struct file_handle head;
		unsigned ino[2];
	} h = {.head = {.handle_bytes = 8, .handle_type = 1}, .ino = {2, 0}};
	int fd = open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	(void)t;
	return outcome(syscall(SYS_open_by_handle_at, fd, &h, O_RDONLY));
}

/* ---- the same as root of a user namespace ---- */

static void put(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);

	if (fd >= 0) {
		(void)!write(fd, text, strlen(text));
		(void)close(fd);
	}
}

static int become_root_of(int flags)
{
	if (unshare(CLONE_NEWUSER | flags) < 0)
		return errno;
	put("/proc/self/setgroups", "deny");
	put("/proc/self/uid_map", "0 0 1");
	put("/proc/self/gid_map", "0 0 1");
	return 0;
}

static int user_namespace_unmount(const struct target *t)
{
	int r = become_root_of(CLONE_NEWNS);

	if (r != 0)
		return r;
	(void)umount_all();
	(void)umount2("/run", MNT_DETACH);
	return read_secret(t);
}

static int user_namespace_overlay(const struct target *t)
{
	char data[1024], path[4096];
	int r = become_root_of(CLONE_NEWNS);

	if (r != 0)
		return r;
	(void)snprintf(data, sizeof(data), "lowerdir=%s:/usr", t->parent);
	if (mount("x", "/tmp", "overlay", 0, data) < 0)
		return errno;
	(void)snprintf(path, sizeof(path), "/tmp%s", strrchr(t->secret, '/'));
	return open(path, O_RDONLY | O_CLOEXEC) < 0 ? errno : 0;
}

/* A sysfs of one's own network namespace, writable: its files are root's, and the attacker is. */
static int user_namespace_sysfs(const struct target *t)
{
	int r = become_root_of(CLONE_NEWNS | CLONE_NEWNET);

	(void)t;
	if (r != 0)
		return r;
	if (mount("x", "/tmp", "sysfs", 0, NULL) < 0)
		return errno;
	return open_to_write("/tmp/kernel/uevent_helper");
}

static int user_namespace_cgroup(const struct target *t)
{
	int r = become_root_of(CLONE_NEWNS | CLONE_NEWCGROUP);

	(void)t;
	if (r != 0)
		return r;
	if (mount("x", "/tmp", "cgroup", 0, "memory") < 0)
		return errno;
	return open_to_write("/tmp/release_agent");
}

const struct attack mount_attacks[] = {
	{"read", read_secret},
	{"umount", unmount},
	{"remount", remount},
	{"remount-root", refresh_root},
	{"bind-parent", bind_parent},
	{"bind-root", bind_root},
	{"open-tree", open_tree_clone},
	{"fsopen-tmpfs", fsopen_tmpfs},
	{"fsopen-ext4", fsopen_disk},
	{"fspick", fspick_root},
	{"fsmount", fsmount_nothing},
	{"mount-setattr", set_attributes},
	{"mount-overlay", mount_overlay},
	{"mount-namespace", new_mount_namespace},
	{"pivot-root", pivot},
	{"leave-chroot", leave_chroot},
	{"dot-dot", through_dots},
	{"open-by-handle", by_handle},
	{"userns-umount", user_namespace_unmount},
	{"userns-overlay", user_namespace_overlay},
	{"userns-sysfs", user_namespace_sysfs},
	{"userns-cgroup", user_namespace_cgroup},
	{NULL, NULL},
};
