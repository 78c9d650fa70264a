/*
 * A stand-in for `reaper-runtime init` that speaks oci/init_contract.h and does what the test wrote
 * into process.args: "do:WORDS". It runs no program; closing the control socket looks to the shim
 * like an exec. No library: it is not sanitized, so that a thousand of them cost seconds.
 */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>
#include "oci/init_contract.h"

static char text[64 * 1024], record[64 * 1024];

static void load(int fd, char *buf, size_t size)
{
	ssize_t n = fd < 0 ? 0 : read(fd, buf, size - 1);

	buf[n > 0 ? n : 0] = '\0';
}

static void tell(uint32_t type, const char *what, uint32_t kind, int fd)
{
	struct init_message msg = {.version = INIT_CONTRACT_VERSION, .type = type};
	struct iovec iov = {&msg, sizeof(msg)};
	union {
		struct cmsghdr header;
		char space[CMSG_SPACE(sizeof(int))];
	} control = {0};
	struct msghdr m = {.msg_iov = &iov, .msg_iovlen = 1};

	msg.err.kind = kind;
	(void)snprintf(msg.err.text, sizeof(msg.err.text), "%s", what);
	if (fd >= 0) {
		control.header.cmsg_level = SOL_SOCKET;
		control.header.cmsg_type = SCM_RIGHTS;
		control.header.cmsg_len = CMSG_LEN(sizeof(int));
		memcpy(CMSG_DATA(&control.header), &fd, sizeof(int));
		m.msg_control = &control;
		m.msg_controllen = sizeof(control);
	}
	if (sendmsg(INIT_FD_CONTROL, &m, MSG_NOSIGNAL) < 0)
		_exit(99);
}

/* Every cgroup of the record, as init does where it was not born there. */
static void join_cgroups(const char *bundle)
{
	char path[4096];
	int fd;

	(void)snprintf(path, sizeof(path), "%s/reaper.json", bundle);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	load(fd, record, sizeof(record));
	(void)close(fd);
	for (char *p = record; (p = strstr(p, "\"/sys/fs/cgroup/"));) {
		char *end = strchr(++p, '"');

		*end = '\0';
		(void)snprintf(path, sizeof(path), "%s/cgroup.procs", p);
		fd = open(path, O_WRONLY | O_CLOEXEC);
		if (fd < 0 || write(fd, "0", 1) != 1)
			_exit(98);
		(void)close(fd);
		p = end + 1;
	}
}

static int open_terminal(int *ret_slave)
{
	int master = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);

	if (master < 0 || grantpt(master) < 0 || unlockpt(master) < 0)
		_exit(97);
	*ret_slave = open(ptsname(master), O_RDWR | O_NOCTTY | O_CLOEXEC);
	return master;
}

static void write_bytes(long n)
{
	static char block[4096];

	memset(block, 'x', sizeof(block));
	while (n > 0) {
		ssize_t done = write(1, block, n < 4096 ? (size_t)n : 4096);

		if (done <= 0)
			_exit(96);
		n -= done;
	}
}

static volatile sig_atomic_t seen;

static void count(int sig)
{
	(void)sig;
	seen++;
}

static void wait_for_signals(void)
{
	sigset_t none, term;

	(void)sigemptyset(&none);
	(void)sigemptyset(&term);
	(void)sigaddset(&term, SIGRTMIN);
	(void)sigprocmask(SIG_BLOCK, &term, NULL);
	for (;;)
		(void)sigsuspend(&none);
}

static void stop_counting(int sig)
{
	(void)sig;
	_exit(seen);
}

/* A process that outlives the one that made it: with its output ("hold") or without ("stray"). */
static void leave_behind(int keeps_output)
{
	if (fork() != 0)
		return;
	(void)alarm(60);
	if (!keeps_output) {
		(void)close(1);
		(void)close(2);
	}
	for (;;)
		(void)pause();
}

static void run(const char *what, long n, int slave)
{
	struct winsize ws = {0};

	if (strcmp(what, "out") == 0) {
		write_bytes(n);
		_exit(0);
	} else if (strcmp(what, "hold") == 0 || strcmp(what, "stray") == 0) {
		leave_behind(what[0] == 'h');
		write_bytes(n);
		_exit(0);
	} else if (strcmp(what, "size") == 0) {
		_exit(ioctl(slave, TIOCGWINSZ, &ws) == 0 ? ws.ws_col : 95);
	} else if (strcmp(what, "sleep") == 0 || strcmp(what, "pair") == 0) {
		if (what[0] == 'p')
			leave_behind(0);
		for (;;)
			(void)pause();
	} else if (strcmp(what, "count") == 0) {
		wait_for_signals();
	}
	_exit((int)n);
}

int main(int argc, char **argv)
{
	char path[4096], what[32] = "exit", *script, gate;
	int exec = argc > 8 && strcmp(argv[8], "--exec") == 0, fd = INIT_FD_PROCESS, slave = -1;
	long n = 0;

	if (argc < 8)
		return 94;
	(void)prctl(PR_SET_PDEATHSIG, SIGKILL); /* nothing outlives a test that failed */
	(void)fcntl(INIT_FD_CONTROL, F_SETFD, FD_CLOEXEC);
	if (!exec) {
		(void)snprintf(path, sizeof(path), "%s/config.json", argv[3]);
		fd = open(path, O_RDONLY | O_CLOEXEC);
	}
	load(fd, text, sizeof(text));
	script = strstr(text, "do:");
	if (script)
		(void)sscanf(script, "do:%31[a-z] %ld", what, &n);
	join_cgroups(argv[3]);
	if (strcmp(what, "silent") == 0)
		return 3;
	if (strcmp(what, "never") == 0)
		(void)pause();
	if (strcmp(what, "missing") == 0) {
		tell(INIT_FAILED, "no such program", ERR_NOT_FOUND, -1);
		return INIT_EXIT_NOT_FOUND;
	}
	if (strcmp(what, "size") == 0) {
		int master = open_terminal(&slave);

		tell(INIT_CONSOLE, "", 0, master);
	}
	if (strcmp(what, "count") == 0) {
		(void)signal(SIGRTMIN, count);
		(void)signal(SIGTERM, stop_counting);
	}
	tell(INIT_READY, "", 0, -1);
	if (recv(INIT_FD_CONTROL, &gate, 1, 0) != 1 || gate != INIT_GATE_OPEN)
		return INIT_EXIT_FAILED;
	if (strcmp(what, "late") == 0) {
		tell(INIT_FAILED, "cannot be run", ERR_PERMISSION, -1);
		return INIT_EXIT_CANNOT_EXEC;
	}
	(void)close(INIT_FD_CONTROL);
	run(what, n, slave);
}
