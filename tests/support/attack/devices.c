/* The host's disks, memory and terminals as device nodes. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>
#include "support/attack/attack.h"

/* Makes a node and opens it; either may be what fails. */
static int make_and_open(mode_t type, unsigned major, unsigned minor, int flags)
{
	static const char path[] = "/tmp/attack-node";
	int fd, r;

	(void)unlink(path);
	if (mknod(path, type | 0600, makedev(major, minor)) < 0)
		return errno;
	fd = open(path, flags | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	r = outcome(fd);
	(void)unlink(path);
	return r;
}

static int disk(const struct target *t)
{
	return make_and_open(S_IFBLK, t->disk_major, t->disk_minor, O_RDONLY);
}

static int disk_in_dev(const struct target *t)
{
	int r;

	if (mknod("/dev/attack", S_IFBLK | 0600, makedev(t->disk_major, t->disk_minor)) < 0)
		return errno;
	r = outcome(open("/dev/attack", O_RDONLY | O_CLOEXEC));
	(void)unlink("/dev/attack");
	return r;
}

static int memory(const struct target *t)
{
	(void)t;
	return make_and_open(S_IFCHR, 1, 1, O_RDONLY);
}

static int port(const struct target *t)
{
	(void)t;
	return make_and_open(S_IFCHR, 1, 4, O_RDONLY);
}

static int kernel_log(const struct target *t)
{
	(void)t;
	return make_and_open(S_IFCHR, 1, 11, O_WRONLY);
}

static int loop_control(const struct target *t)
{
	(void)t;
	return make_and_open(S_IFCHR, 10, 237, O_RDWR);
}

static int kvm(const struct target *t)
{
	(void)t;
	return make_and_open(S_IFCHR, 10, 232, O_RDWR);
}

static int terminal(const struct target *t)
{
	char path[64];

	(void)snprintf(path, sizeof(path), "/dev/pts/%d", t->terminal);
	return open_to_write(path);
}

static int terminal_by_number(const struct target *t)
{
	return make_and_open(S_IFCHR, 136, (unsigned)t->terminal, O_RDWR);
}

static int console(const struct target *t)
{
	(void)t;
	return make_and_open(S_IFCHR, 5, 1, O_WRONLY);
}

const struct attack device_attacks[] = {
	{"mknod-disk", disk},
	{"mknod-disk-in-dev", disk_in_dev},
	{"mknod-mem", memory},
	{"mknod-port", port},
	{"mknod-kmsg", kernel_log},
	{"mknod-loop-control", loop_control},
	{"mknod-kvm", kvm},
	{"pts", terminal},
	{"mknod-pts", terminal_by_number},
	{"mknod-console", console},
	{NULL, NULL},
};
