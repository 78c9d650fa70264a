#include "base/proc.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/sched.h>
#include <poll.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#include "base/cleanup.h"
#include "base/fd.h"
#include "base/file.h"
#include "base/num.h"

/* What this process ignores, once it has reset all signals: of these alone a child has to. */
static bool all_known;
static sigset_t ignored;

void proc_ignore_signal(int sig)
{
	struct sigaction ign = {.sa_handler = SIG_IGN};

	(void)sigaction(sig, &ign, NULL);
	(void)sigaddset(&ignored, sig);
}

void proc_reset_signals(void)
{
	struct sigaction dfl = {.sa_handler = SIG_DFL};
	sigset_t none;

	(void)sigemptyset(&none);
	for (int sig = 1; sig < _NSIG; sig++) {
		if (!all_known || sigismember(&ignored, sig) == 1)
			(void)sigaction(
				sig, &dfl, NULL); /* KILL, STOP and libc's own refuse: fine */
	}
	all_known = true;
	ignored = none;
	(void)sigprocmask(SIG_SETMASK, &none, NULL);
}

static void change_policy(int from, int to)
{
	struct sched_param none = {.sched_priority = 0};

	if (sched_getscheduler(0) == from)
		(void)sched_setscheduler(
			0, to, &none); /* between these two it needs no privilege */
}

void proc_let_others_run_first(void)
{
	change_policy(SCHED_OTHER, SCHED_BATCH);
}

/* qemu's user emulation refuses CLONE_PIDFD: images of another architecture are made in it. Only
 * the parent reaps, so the pid is the child's until then. */
static pid_t clone_emulated(const struct proc_spec *spec, int *ret_pidfd)
{
	pid_t pid = (pid_t)syscall(
		SYS_clone, (unsigned long)(spec->clone_flags | SIGCHLD), 0UL, 0UL, 0UL, 0UL);
	int errnum;

	if (pid <= 0)
		return pid;
	*ret_pidfd = pidfd_open(pid, 0); /* close-on-exec, as the other */
	if (*ret_pidfd >= 0)
		return pid;
	errnum = errno;
	(void)kill(pid, SIGKILL);
	(void)waitpid(pid, NULL, 0);
	errno = errnum;
	return -1;
}

/* The raw call: glibc has no wrapper, and no thread state matters to a child that execs or only
 * makes system calls. */
static pid_t clone_child(const struct proc_spec *spec, int *ret_pidfd)
{
	struct clone_args args = {
		.flags = CLONE_PIDFD | spec->clone_flags,
		.pidfd = (uint64_t)(uintptr_t)ret_pidfd,
		.exit_signal = SIGCHLD,
	};
	pid_t pid;

	if (spec->cgroup_fd >= 0) {
		args.flags |= CLONE_INTO_CGROUP;
		args.cgroup = (__u64)(unsigned)spec->cgroup_fd;
	}
	pid = (pid_t)syscall(SYS_clone3, &args, sizeof(args));
	if (pid >= 0 || errno != ENOSYS)
		return pid;
	/* seccomp profiles of older container engines hide clone3: its predecessor does all but the
	 * cgroup */
	if (spec->cgroup_fd >= 0) {
		errno = EOPNOTSUPP;
		return -1;
	}
	pid = (pid_t)syscall(
		SYS_clone, (unsigned long)(args.flags | SIGCHLD), 0UL, ret_pidfd, 0UL, 0UL);
	return pid < 0 && errno == EINVAL ? clone_emulated(spec, ret_pidfd) : pid;
}

static void write_whole(int fd, const struct err *err)
{
	(void)file_write_all(fd, err, sizeof(*err));
}

NORETURN static void child_tell(const struct proc_spec *spec, int report, const struct err *err)
{
	(spec->tell ? spec->tell : write_whole)(report, err);
	_exit(127);
}

NORETURN static void child_fail(
	const struct proc_spec *spec, int report, int errnum, const char *what)
{
	struct err err = ERR_INIT;

	(void)err_sysf(&err, errnum, "%s", what);
	child_tell(spec, report, &err);
}

/* Moves every source above the target numbers first, so that no dup2 overwrites one that is still
 * needed. */
static int arrange_fds(const struct proc_spec *spec, int *report)
{
	int moved[PROC_FD_MAX];
	int r = fcntl(*report, F_DUPFD_CLOEXEC, PROC_FD_MAX);

	if (r < 0)
		return -errno;
	if (!spec->tell) /* `run` has no exec that would: the parent waits for EOF */
		fd_close(report);
	*report = r;
	for (size_t i = 0; i < spec->n_fds; i++) {
		if (spec->fds[i] < 0)
			r = open("/dev/null", O_RDWR | O_CLOEXEC | O_NOCTTY);
		else
			r = fcntl(spec->fds[i], F_DUPFD_CLOEXEC, PROC_FD_MAX);
		if (r < 0)
			return -errno;
		if (r < PROC_FD_MAX) { /* /dev/null landed on a target number */
			int high = fcntl(r, F_DUPFD_CLOEXEC, PROC_FD_MAX);

			if (high < 0)
				return -errno;
			r = high;
		}
		moved[i] = r;
	}
	for (size_t i = 0; i < spec->n_fds; i++) {
		if (dup2(moved[i], (int)i) < 0)
			return -errno;
		fd_close(&moved[i]);
	}
	return 0;
}

NORETURN static void child_main(const struct proc_spec *spec, int report)
{
	int r;

	proc_reset_signals();
	change_policy(SCHED_BATCH, SCHED_OTHER);
	if (spec->new_session && setsid() < 0)
		child_fail(spec, report, errno, "setsid");
	r = arrange_fds(spec, &report);
	if (r < 0)
		child_fail(spec, report, -r, "arranging file descriptors");
	if (spec->cwd && chdir(spec->cwd) < 0)
		child_fail(spec, report, errno, spec->cwd);
	if (spec->run) {
		struct err err = ERR_INIT;

		if (spec->prepare && spec->prepare(spec->run_arg, &err) < 0)
			child_tell(spec, report, &err);
		fd_close(&report);
		_exit(spec->run(spec->run_arg));
	}
	if (spec->exec_fd >= 0)
		(void)syscall(
			SYS_execveat, spec->exec_fd, "", spec->argv, spec->env, AT_EMPTY_PATH);
	else
		(void)execve(spec->exec_path, spec->argv, spec->env);
	child_fail(spec, report, errno, spec->argv[0]);
}

/* Waits for EOF (the program runs) or the reason of a child that failed; that child is reaped. */
static int await_exec(int report, struct proc *p, struct err *err)
{
	struct err reason = ERR_INIT;
	ssize_t n = RETRY_EINTR(read(report, &reason, sizeof(reason)));
	uint32_t status;
	int errnum;

	if (n == 0)
		return 0;
	errnum = errno;
	if (n < 0) /* nobody knows whether it runs: it does not, or it would be waited for */
		(void)proc_signal(p, SIGKILL);
	(void)proc_wait(p, &status);
	proc_done(p);
	if (n < 0)
		return err_sysf(err, errnum, "waiting for the child");
	if (n != (ssize_t)sizeof(reason))
		return err_setf(err, ERR_INTERNAL, EIO, "child ended before its program ran");
	reason.text[sizeof(reason.text) - 1] = '\0';
	if (err)
		*err = reason;
	return reason.errnum > 0 ? -reason.errnum : -EIO;
}

/* Whether children are born in another pid namespace than this process: the way back was refused
 * (no memory). Nothing is born until it is gone. */
static bool away;

static int come_back(int own_pidns)
{
	away = setns(own_pidns, CLONE_NEWPID) < 0;
	return away ? -errno : 0;
}

static int come_back_now(void)
{
	_cleanup_close_ int own_pidns = open("/proc/self/ns/pid", O_RDONLY | O_CLOEXEC);

	return own_pidns < 0 ? -errno : come_back(own_pidns);
}

int proc_spawn(const struct proc_spec *spec, struct proc *ret_proc, struct err *err)
{
	_cleanup_close_ int own_pidns = -EBADF;
	_cleanup_close_ int report_read = -EBADF, report_write = -EBADF;
	struct proc p = PROC_INIT;
	sigset_t all, old;
	int pipe_fds[2], errnum, r;

	if (away) {
		r = come_back_now();
		if (r < 0)
			return err_sysf(err, -r, "returning to the own pid namespace");
	}
	if (!spec->tell) {
		if (pipe2(pipe_fds, O_CLOEXEC) < 0)
			return err_sysf(err, errno, "pipe2");
		report_read = pipe_fds[0];
		report_write = pipe_fds[1];
	}
	if (spec->pidns_fd >= 0) {
		own_pidns = open("/proc/self/ns/pid", O_RDONLY | O_CLOEXEC);
		if (own_pidns < 0)
			return err_sysf(err, errno, "/proc/self/ns/pid");
		if (setns(spec->pidns_fd, CLONE_NEWPID) < 0)
			return err_sysf(err, errno, "joining the pid namespace");
	}
	/* no signal may be handled in the child with the parent's handlers */
	(void)sigfillset(&all);
	(void)sigprocmask(SIG_SETMASK, &all, &old);
	p.pid = clone_child(spec, &p.pidfd);
	errnum = errno;
	if (p.pid == 0)
		child_main(spec, spec->tell ? spec->tell_fd : report_write);
	(void)sigprocmask(SIG_SETMASK, &old, NULL);
	if (own_pidns >= 0)
		(void)come_back(own_pidns); /* the next child asks again */
	if (p.pid < 0) {
		if (errnum == ENOMEM && spec->pidns_fd >= 0)
			return err_setf(err, ERR_PRECONDITION, ENOMEM,
				"the pid namespace's first process has ended");
		return err_sysf(err, errnum, "clone3");
	}
	fd_close(&report_write);
	if (!spec->tell) {
		r = await_exec(report_read, &p, err);
		if (r < 0)
			return r;
	}
	r = proc_start_ticks(p.pid, &p.start_ticks);
	if (r < 0) /* impossible while it is our unreaped child */
		p.start_ticks = 0;
	*ret_proc = p;
	return 0;
}

int proc_signal(const struct proc *p, int sig)
{
	if (p->pidfd < 0)
		return -ESRCH;
	return pidfd_send_signal(p->pidfd, sig, NULL, 0) < 0 ? -errno : 0;
}

static int collect(struct proc *p, int flags, uint32_t *ret_status)
{
	siginfo_t si = {0};

	if (p->pidfd < 0)
		return -ECHILD;
	if (RETRY_EINTR(waitid(P_PIDFD, (id_t)p->pidfd, &si, WEXITED | flags)) < 0)
		return -errno;
	if (si.si_pid == 0)
		return 0;
	*ret_status = (uint32_t)si.si_status + (si.si_code == CLD_EXITED ? 0U : 128U);
	return 1;
}

int proc_reap(struct proc *p, uint32_t *ret_status)
{
	return collect(p, WNOHANG, ret_status);
}

int proc_wait(struct proc *p, uint32_t *ret_status)
{
	int r = collect(p, 0, ret_status);

	return r < 0 ? r : 0;
}

void proc_done(struct proc *p)
{
	if (!p)
		return;
	fd_close(&p->pidfd);
	p->pid = 0;
}

int proc_start_ticks(pid_t pid, uint64_t *ret_ticks)
{
	_cleanup_free_ char *stat = NULL;
	char path[64], *p, *end;
	int r;

	(void)snprintf(path, sizeof(path), "/proc/%d/stat", pid);
	r = file_read_at(AT_FDCWD, path, 4096, &stat, NULL, NULL);
	if (r < 0)
		return r == -ENOENT ? -ESRCH : r;
	/* the name in field 2 may hold blanks and parentheses: count from the last ')' */
	p = strrchr(stat, ')');
	for (int field = 2; p && field < 22; field++)
		p = strchr(p + 1, ' ');
	if (!p)
		return -EBADMSG;
	end = strchr(++p, ' ');
	if (end)
		*end = '\0';
	return num_parse_u64(p, UINT64_MAX, ret_ticks);
}

int proc_open(pid_t pid, uint64_t start_ticks, struct proc *ret_proc, struct err *err)
{
	struct proc p = {.pid = pid, .start_ticks = start_ticks};
	uint64_t now;
	int r;

	p.pidfd = pidfd_open(pid, 0);
	if (p.pidfd < 0)
		return err_sysf(err, errno, "process %d", pid);
	/* looked at after the open: if it is the same process now, the pidfd is its */
	r = proc_start_ticks(pid, &now);
	if (r < 0 || now != start_ticks) {
		proc_done(&p);
		return err_setf(err, ERR_NOT_FOUND, ESRCH, "process %d: gone", pid);
	}
	*ret_proc = p;
	return 0;
}
