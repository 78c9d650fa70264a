/*
 * The physical floor: what the kernel itself takes for what a runtime cannot leave out.
 *
 *	floor              does nothing: the program that is started
 *	floor ROUNDS DIR   prints medians in milliseconds, "NAME MS" a line; DIR is empty and in memory
 *
 *	spawn      posix_spawn of the empty program until it is reaped
 *	unshare    fork, a mount, pid, ipc, uts and network namespace, exec, until it is reaped
 *	view       the same with an overlay of / and four bind mounts, and chroot into it
 *	roundtrip  64 bytes to another process over a unix socket and back
 *	pod        what one pod with one container cannot do without: two programs started (`start`
 *	           twice), one `unshare` (the sandbox), one `view` (the container), eight round trips
 *	           (start, Connect, Create, Start for each)
 */
#define _GNU_SOURCE
#include <sched.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { ROUNDS_MAX = 1000, TRIPS = 100, TRIPS_OF_A_POD = 8, BINDS = 4 };

static char *self;
static char root[256];
static int echo[2];

static void fail(const char *what)
{
	perror(what);
	exit(1);
}

static double now(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

static void reap(pid_t pid)
{
	int status;

	if (waitpid(pid, &status, 0) != pid || status != 0)
		fail("child");
}

static void spawn(void)
{
	char *argv[] = {self, NULL};
	pid_t pid;

	if (posix_spawn(&pid, self, NULL, NULL, argv, NULL) != 0)
		fail("posix_spawn");
	reap(pid);
}

static void enter_view(void)
{
	static const char *const dirs[BINDS] = {"/srv", "/mnt", "/opt", "/media"};
	char options[1024], path[512];

	(void)snprintf(options, sizeof(options), "lowerdir=/,upperdir=%s/upper,workdir=%s/work", root, root);
	(void)snprintf(path, sizeof(path), "%s/view", root);
	if (mount("overlay", path, "overlay", 0, options) < 0)
		fail("overlay");
	for (int i = 0; i < BINDS; i++) {
		(void)snprintf(path, sizeof(path), "%s/view%s", root, dirs[i]);
		if (mount("/usr", path, NULL, MS_BIND | MS_REC, NULL) < 0)
			fail(path);
	}
	(void)snprintf(path, sizeof(path), "%s/view", root);
	if (chroot(path) < 0 || chdir("/") < 0)
		fail("chroot");
}

static void isolated(int with_view)
{
	pid_t pid = fork();

	if (pid == 0) {
		if (unshare(CLONE_NEWNS | CLONE_NEWIPC | CLONE_NEWUTS | CLONE_NEWNET | CLONE_NEWPID) < 0 ||
			mount(NULL, "/", NULL, MS_REC | MS_SLAVE, NULL) < 0)
			fail("unshare");
		if (with_view)
			enter_view();
		(void)execl(with_view ? "/bin/busybox" : self, "true", NULL);
		fail("exec");
	}
	reap(pid);
}

static void unshared(void)
{
	isolated(0);
}

static void viewed(void)
{
	isolated(1);
}

static void one_trip(void)
{
	char bytes[64] = {0};

	if (write(echo[0], bytes, sizeof(bytes)) != sizeof(bytes) ||
		read(echo[0], bytes, sizeof(bytes)) != sizeof(bytes))
		fail("round trip");
}

static void trips(void)
{
	for (int i = 0; i < TRIPS; i++)
		one_trip();
}

static void pod(void)
{
	spawn();
	spawn();
	unshared();
	viewed();
	for (int i = 0; i < TRIPS_OF_A_POD; i++)
		one_trip();
}

static pid_t start_echo(void)
{
	char bytes[64];
	pid_t pid;

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, echo) < 0)
		fail("socketpair");
	pid = fork();
	if (pid != 0)
		return pid;
	for (;;) {
		if (read(echo[1], bytes, sizeof(bytes)) != sizeof(bytes) ||
			write(echo[1], bytes, sizeof(bytes)) != sizeof(bytes))
			_exit(0);
	}
}

static int ascending(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static void measure(const char *name, void (*what)(void), int rounds, int each)
{
	static double took[ROUNDS_MAX];

	what();
	for (int i = 0; i < rounds; i++) {
		double began = now();

		what();
		took[i] = (now() - began) / each;
	}
	qsort(took, (size_t)rounds, sizeof(took[0]), ascending);
	(void)printf("%s %.4f\n", name, took[rounds / 2]);
}

static void make_dir(const char *name)
{
	char path[512];

	(void)snprintf(path, sizeof(path), "%s/%s", root, name);
	if (mkdir(path, 0755) < 0)
		fail(path);
}

int main(int argc, char **argv)
{
	int rounds;
	pid_t other;

	if (argc != 3)
		return 0;
	self = argv[0];
	rounds = atoi(argv[1]);
	if (rounds < 1 || rounds > ROUNDS_MAX)
		return 2;
	(void)snprintf(root, sizeof(root), "%s", argv[2]);
	make_dir("upper");
	make_dir("work");
	make_dir("view");
	other = start_echo();
	measure("spawn", spawn, rounds, 1);
	measure("unshare", unshared, rounds, 1);
	measure("view", viewed, rounds, 1);
	measure("roundtrip", trips, rounds, TRIPS);
	measure("pod", pod, rounds, 1);
	(void)kill(other, SIGKILL);
	(void)waitpid(other, NULL, 0);
	return 0;
}
