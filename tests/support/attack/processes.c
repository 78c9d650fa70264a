/* The host's processes: their roots, namespaces, programs, memory, sockets. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <sched.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/fsuid.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <unistd.h>
#include "support/attack/attack.h"

/* Somebody else for the file system, but still with all capabilities that there are. */
static void borrow_ids(unsigned uid, unsigned gid)
{
	struct __user_cap_header_struct head = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct data[2] = {{0}};

	(void)setfsuid(0);
	(void)setfsgid(gid);
	(void)setfsuid(uid);
	(void)syscall(SYS_capget, &head, data);
	for (int i = 0; i < 2; i++)
		data[i].effective = data[i].permitted;
	(void)syscall(SYS_capset, &head, data);
}

/* Reads PATH below /proc/PID/WHAT of each process, as its own user. */
static int below_each(const char *what, const char *path)
{
	DIR *dir = opendir("/proc");
	int result = ENOENT;
	struct dirent *e;

	while (dir && (e = readdir(dir))) {
		char link[4096];
		struct stat st;
		int fd;

		(void)snprintf(link, sizeof(link), "/proc/%s", e->d_name);
		if (atoi(e->d_name) <= 0 || stat(link, &st) < 0)
			continue;
		for (int own = 0; own < 2; own++) {
			borrow_ids(own ? st.st_uid : 0, own ? st.st_gid : 0);
			(void)snprintf(link, sizeof(link), "/proc/%s/%s%s", e->d_name, what, path);
			fd = open(link, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
			if (fd >= 0)
				return 0;
			if (errno != ENOENT && errno != ESRCH)
				result = errno;
		}
	}
	return result;
}

static int first_root(const struct target *t)
{
	char path[4096];

	(void)snprintf(path, sizeof(path), "/proc/1/root%s", t->secret);
	return outcome(open(path, O_RDONLY | O_CLOEXEC));
}

static int each_root(const struct target *t)
{
	return below_each("root", t->secret);
}

static int each_cwd(const struct target *t)
{
	char path[4096];

	/* from /, or from deep below it */
	(void)snprintf(path, sizeof(path), "/../../../../../../..%s", t->secret);
	return below_each("cwd", path);
}

static int victim_root(const struct target *t)
{
	char path[4096];

	borrow_ids(t->victim_uid, t->victim_uid);
	(void)snprintf(path, sizeof(path), "/proc/%d/root%s", t->victim, t->secret);
	return outcome(open(path, O_RDONLY | O_CLOEXEC));
}

static int victim_memory(const struct target *t)
{
	char path[64];

	borrow_ids(t->victim_uid, t->victim_uid);
	(void)snprintf(path, sizeof(path), "/proc/%d/mem", t->victim);
	return outcome(open(path, O_RDWR | O_CLOEXEC));
}

static int victim_environment(const struct target *t)
{
	char path[64];

	borrow_ids(t->victim_uid, t->victim_uid);
	(void)snprintf(path, sizeof(path), "/proc/%d/environ", t->victim);
	return outcome(open(path, O_RDONLY | O_CLOEXEC));
}

static int victim_namespace(const struct target *t)
{
	char path[64];

	borrow_ids(t->victim_uid, t->victim_uid);
	(void)snprintf(path, sizeof(path), "/proc/%d/ns/mnt", t->victim);
	return outcome(open(path, O_RDONLY | O_CLOEXEC));
}

static int victim_trace(const struct target *t)
{
	if (setresgid(t->victim_uid, t->victim_uid, t->victim_uid) < 0 ||
		setresuid(t->victim_uid, t->victim_uid, t->victim_uid) < 0)
		return errno;
	return outcome(ptrace(PTRACE_SEIZE, t->victim, NULL, NULL));
}

static int victim_descriptor(const struct target *t)
{
	int pidfd;

	if (setresgid(t->victim_uid, t->victim_uid, t->victim_uid) < 0 ||
		setresuid(t->victim_uid, t->victim_uid, t->victim_uid) < 0)
		return errno;
	pidfd = (int)syscall(SYS_pidfd_open, t->victim, 0);
	if (pidfd < 0)
		return errno;
	return outcome(syscall(SYS_pidfd_getfd, pidfd, 0, 0));
}

static int first_namespace(const struct target *t)
{
	int fd = open("/proc/1/ns/mnt", O_RDONLY | O_CLOEXEC);

	(void)t;
	return fd < 0 ? errno : outcome(setns(fd, CLONE_NEWNS));
}

static int pidfd_namespace(const struct target *t)
{
	int fd = (int)syscall(SYS_pidfd_open, t->victim, 0);

	return fd < 0 ? errno : outcome(setns(fd, CLONE_NEWNS | CLONE_NEWPID));
}

/* The programs of other processes: the shim's, the runtime's, the host's. */
static int overwrite_programs(const struct target *t)
{
	DIR *dir = opendir("/proc");
	int result = ENOENT;
	struct dirent *e;

	(void)t;
	while (dir && (e = readdir(dir))) {
		char link[64], target[4096];
		struct stat st;
		ssize_t n;
		int fd;

		(void)snprintf(link, sizeof(link), "/proc/%.20s", e->d_name);
		if (atoi(e->d_name) <= 0 || stat(link, &st) < 0)
			continue;
		(void)snprintf(link, sizeof(link), "/proc/%.20s/exe", e->d_name);
		for (int own = 0; own < 2; own++) {
			borrow_ids(own ? st.st_uid : 0, own ? st.st_gid : 0);
			n = readlink(link, target, sizeof(target) - 1);
			/* what is not the attacker's own, and not the shell it was started by */
			if (n > 0) {
				target[n] = '\0';
				if (strstr(target, "attack") || strstr(target, "sh"))
					continue;
			}
			fd = open(link, O_PATH | O_CLOEXEC);
			if (fd >= 0) {
				(void)snprintf(target, sizeof(target), "/proc/self/fd/%d", fd);
				fd = open(target, O_WRONLY | O_CLOEXEC);
				if (fd >= 0)
					return 0;
			}
			if (errno != ENOENT && errno != ESRCH)
				result = errno;
		}
	}
	return result;
}

/* ---- sockets ---- */

static int connect_to(const char *path, size_t len)
{
	struct sockaddr_un a = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	memcpy(a.sun_path, path, len);
	return outcome(connect(fd, (struct sockaddr *)&a,
		(socklen_t)(offsetof(struct sockaddr_un, sun_path) + len)));
}

static int abstract(const struct target *t)
{
	char name[100] = "";

	(void)snprintf(name + 1, sizeof(name) - 1, "%s", t->abstract);
	return connect_to(name, 1 + strlen(t->abstract));
}

#define SOCKET(fn, path)                               \
	static int fn(const struct target *t)          \
	{                                              \
		(void)t;                               \
		return connect_to(path, sizeof(path)); \
	}

SOCKET(systemd, "/run/systemd/private")
SOCKET(notify, "/run/systemd/notify")
SOCKET(dbus, "/run/dbus/system_bus_socket")
SOCKET(udev, "/run/udev/control")
SOCKET(containerd, "/run/containerd/containerd.sock")
SOCKET(docker, "/var/run/docker.sock")

const struct attack process_attacks[] = {
	{"proc-1-root", first_root},
	{"proc-each-root", each_root},
	{"proc-each-cwd", each_cwd},
	{"victim-root", victim_root},
	{"victim-mem", victim_memory},
	{"victim-environ", victim_environment},
	{"victim-mount-namespace", victim_namespace},
	{"victim-ptrace", victim_trace},
	{"victim-pidfd-getfd", victim_descriptor},
	{"setns-1-mnt", first_namespace},
	{"setns-pidfd", pidfd_namespace},
	{"overwrite-exe", overwrite_programs},
	{"abstract-socket", abstract},
	{"systemd-private", systemd},
	{"systemd-notify", notify},
	{"dbus", dbus},
	{"udev-control", udev},
	{"containerd-socket", containerd},
	{"docker-socket", docker},
	{NULL, NULL},
};
