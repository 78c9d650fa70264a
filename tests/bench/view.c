/*
 * What a view of the host costs: bench-view PROGRAM ROUNDS CONTAINERS MOUNTS
 *
 * In a mount namespace and a /run of its own, with MOUNTS further local file systems: makes a group
 * (the first container), lets CONTAINERS processes live in clones of it, and then measures in turn
 * fork + unshare + exec of PROGRAM and the same with all that init does for a container's view.
 * Prints one line: first MS floor MS view MS mask MS mounts N
 */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include "base/macro.h"
#include "mask/mask.h"
#include "mount/mountinfo.h"
#include "mount/op.h"
#include "mount/share.h"
#include "mount/submounts.h"
#include "view/follow.h"
#include "view/group.h"

#define RUN "/run/reaper"

static const struct mount_group_spec spec = {
	.name = "node",
	.run_dir = RUN,
	.ns_dir = RUN "/ns",
	.dir = RUN "/groups/node",
	.base_dir = RUN "/overlay",
	.size_bytes = 64 << 20,
};

static int program = -EBADF;

static void fail(const char *what, const struct err *err)
{
	(void)fprintf(stderr, "bench-view: %s: %s\n", what, err ? err->text : strerror(errno));
	exit(1);
}

static double now(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

/* What containerd's CRI plugin asks for in every container. */
static void add_mounts(struct mount_ops *ops)
{
	static const struct {
		const char *dest, *fstype, *data;
		unsigned long flags;
	} systems[] = {
		{"/proc", "proc", NULL, MS_NOSUID | MS_NODEV | MS_NOEXEC},
		{"/dev", "tmpfs", "mode=755,size=65536k", MS_NOSUID},
		{"/dev/pts", "devpts", "newinstance,ptmxmode=0666,mode=0620", MS_NOSUID},
		{"/dev/shm", "tmpfs", "mode=1777,size=65536k", MS_NOSUID | MS_NODEV},
		{"/dev/mqueue", "mqueue", NULL, MS_NOSUID | MS_NODEV},
		{"/sys", "sysfs", NULL, MS_NOSUID | MS_NODEV | MS_NOEXEC | MS_RDONLY},
		{"/run", "tmpfs", "mode=755,size=65536k", MS_NOSUID},
	};
	static const char *const binds[] = {
		"/etc/hosts", "/etc/hostname", "/etc/resolv.conf", "/srv/token"};
	static const char *const nodes[] = {"null", "zero", "full", "random", "urandom", "tty"};
	static const unsigned minors[] = {3, 5, 7, 8, 9, 0};

	for (size_t i = 0; i < ARRAY_LEN(systems); i++) {
		struct mount_op *op =
			mount_ops_add(ops, MOUNT_OP_FS, systems[i].dest, NULL, systems[i].fstype);

		op->options.set = systems[i].flags;
		if (systems[i].data)
			(void)buf_append_str(&op->options.data, systems[i].data);
	}
	for (size_t i = 0; i < ARRAY_LEN(nodes); i++) {
		char path[32];
		struct mount_op *op;

		(void)snprintf(path, sizeof(path), "/dev/%s", nodes[i]);
		op = mount_ops_add(ops, MOUNT_OP_NODE, path, NULL, NULL);
		op->mode = S_IFCHR | 0666;
		op->major = i == 5 ? 5 : 1;
		op->minor = minors[i];
	}
	for (size_t i = 0; i < ARRAY_LEN(binds); i++) {
		struct mount_op *op = mount_ops_add(ops, MOUNT_OP_BIND, binds[i],
			i == 3 ? "/run/bench-volume/dir" : "/run/bench-volume/file", NULL);

		op->options.bind = op->options.recursive_bind = true;
	}
}

/* All of init's steps that are about the view. */
static void make_view(void)
{
	struct stale_files stale = STALE_FILES_INIT;
	struct mount_share share = MOUNT_SHARE_INIT;
	struct mount_ops ops = MOUNT_OPS_INIT;
	struct err err = ERR_INIT;
	int proc_fd = open("/proc", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	add_mounts(&ops);
	if (mount_group_follow(&spec, proc_fd, false, &stale, &err) < 0)
		fail("follow", &err);
	if (mount_ops_open(&ops, true, &err) < 0)
		fail("volumes", &err);
	if (mount_group_enter(&spec, proc_fd, &err) < 0)
		fail("enter", &err);
	if (mount_share_clone(MOUNT_REACH_RECEIVE, proc_fd, &share, &err) < 0)
		fail("clone", &err);
	if (mount_ops_apply(&ops, &share, proc_fd, &err) < 0)
		fail("mounts", &err);
}

static void run_program(void)
{
	char *argv[] = {(char *)"program", NULL}, *env[] = {NULL};

	(void)fexecve(program, argv, env);
	fail("exec", NULL);
}

static void await(pid_t pid)
{
	int status;

	if (waitpid(pid, &status, 0) != pid || !WIFEXITED(status) || WEXITSTATUS(status) != 0)
		exit(1);
}

static double once(bool view)
{
	double began = now();
	pid_t pid = fork();

	if (pid == 0) {
		if (view)
			make_view();
		else if (unshare(CLONE_NEWNS) < 0)
			fail("unshare", NULL);
		run_program();
	}
	await(pid);
	return now() - began;
}

/* A container that stays: its clone, and nobody at work in it. */
static void settle(void)
{
	int ready[2];
	char byte;
	pid_t pid;

	if (pipe2(ready, O_CLOEXEC) < 0)
		fail("pipe", NULL);
	pid = fork();
	if (pid == 0) {
		(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
		make_view();
		(void)close(ready[0]);
		(void)!write(ready[1], "x", 1);
		for (;;)
			(void)pause();
	}
	(void)close(ready[1]);
	if (read(ready[0], &byte, 1) != 1)
		exit(1);
	(void)close(ready[0]);
}

/* Mounts that a container is born with. */
static size_t count_mounts(void)
{
	int result[2];
	size_t n = 0;
	pid_t pid;

	if (pipe2(result, O_CLOEXEC) < 0)
		fail("pipe", NULL);
	pid = fork();
	if (pid == 0) {
		struct mountinfo t = MOUNTINFO_INIT;
		int proc_fd = open("/proc", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

		make_view();
		if (mountinfo_read(proc_fd, "self/mountinfo", &t, NULL) < 0)
			_exit(1);
		n = t.n;
		(void)!write(result[1], &n, sizeof(n));
		_exit(0);
	}
	await(pid);
	if (read(result[0], &n, sizeof(n)) != (ssize_t)sizeof(n))
		exit(1);
	return n;
}

/* What hiding the host's secrets adds to the making of a group: looking for them, and the layer. */
static double time_mask(void)
{
	int result[2];
	double took = 0;
	pid_t pid;

	if (pipe2(result, O_CLOEXEC) < 0)
		fail("pipe", NULL);
	pid = fork();
	if (pid == 0) {
		struct mountinfo shown = MOUNTINFO_INIT;
		struct mask mask = MASK_INIT;
		struct err err = ERR_INIT;
		char *layer;
		int proc_fd = open("/proc", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

		if (unshare(CLONE_NEWNS) < 0 ||
			submounts_read(proc_fd, spec.base_dir, NULL, &shown, &err) < 0)
			fail("mounts", &err);
		took = now();
		if (mask_begin(&spec.mask, &shown, "/run", -EBADF, proc_fd, &mask, &err) < 0 ||
			mask_layer(&mask, "/", &layer, &err) < 0)
			fail("mask", &err);
		took = now() - took;
		(void)!write(result[1], &took, sizeof(took));
		_exit(0);
	}
	await(pid);
	if (read(result[0], &took, sizeof(took)) != (ssize_t)sizeof(took))
		exit(1);
	(void)close(result[0]);
	(void)close(result[1]);
	return took;
}

/* Nothing of this machine is changed. */
static void prepare(long mounts)
{
	static const char *const dirs[] = {
		RUN, RUN "/ns", "/run/bench-volume", "/run/bench-mounts"};
	char path[64];
	int fd;

	if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
		mount("bench", "/run", "tmpfs", 0, "mode=755") < 0)
		fail("mount namespace", NULL);
	for (size_t i = 0; i < ARRAY_LEN(dirs); i++)
		(void)mkdir(dirs[i], 0700);
	(void)mkdir("/run/bench-volume/dir", 0755);
	fd = open("/run/bench-volume/file", O_CREAT | O_WRONLY | O_CLOEXEC, 0644);
	if (fd < 0)
		fail("volume", NULL);
	(void)close(fd);
	/* where the view shows them, and nothing is made on the host */
	if (mount("bench", "/mnt", "tmpfs", 0, "mode=755") < 0)
		fail("/mnt", NULL);
	for (long i = 0; i < mounts; i++) {
		(void)snprintf(path, sizeof(path), "/mnt/%ld", i);
		(void)mkdir(path, 0755);
		if (mount("bench", path, "tmpfs", 0, "size=1m") < 0)
			fail(path, NULL);
	}
}

static int compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

int main(int argc, char **argv)
{
	long rounds, containers;
	double first, *floors, *views, *masks;

	if (argc != 5)
		return 2;
	rounds = strtol(argv[2], NULL, 10);
	containers = strtol(argv[3], NULL, 10);
	program = open(argv[1], O_PATH | O_CLOEXEC);
	floors = calloc((size_t)rounds, sizeof(*floors));
	views = calloc((size_t)rounds, sizeof(*views));
	masks = calloc((size_t)rounds, sizeof(*masks));
	if (program < 0 || rounds < 1 || !floors || !views || !masks)
		fail(argv[1], NULL);
	prepare(strtol(argv[4], NULL, 10));
	first = once(true);
	for (long i = 0; i < containers; i++)
		settle();
	for (long i = 0; i < rounds; i++) {
		floors[i] = once(false);
		views[i] = once(true);
		masks[i] = time_mask();
	}
	qsort(floors, (size_t)rounds, sizeof(*floors), compare);
	qsort(views, (size_t)rounds, sizeof(*views), compare);
	qsort(masks, (size_t)rounds, sizeof(*masks), compare);
	(void)printf("first %.3f floor %.3f view %.3f mask %.3f mounts %zu\n", first,
		floors[rounds / 2], views[rounds / 2], masks[rounds / 2], count_mounts());
	free(floors);
	free(views);
	free(masks);
	return 0;
}
