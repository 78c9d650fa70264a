/*
 * Processes: a child is cloned here and nowhere else, and is held by its pidfd from birth, so that
 * a recycled pid can never be signalled or waited for by mistake.
 */
#pragma once

#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include "base/err.h"

struct proc {
	pid_t pid;            /* as this process's pid namespace numbers it; 0 = none */
	int pidfd;            /* close-on-exec; -EBADF = none */
	uint64_t start_ticks; /* /proc/PID/stat field 22: tells two processes of one pid apart on
				 disk */
};

#define PROC_INIT                         \
	{                                 \
		.pid = 0, .pidfd = -EBADF \
	}

enum { PROC_FD_MAX = 8 };

/* How a child is made. Everything is computed before the clone; the child only makes system calls.
 */
struct proc_spec {
	/* What it runs: an open program (execveat), else a path, else `run`. */
	int exec_fd;
	const char *exec_path;
	char *const *argv;
	char *const *env;
	/* Runs in the child instead of a program; its return value is the exit status. May only use
	 * async-signal-safe calls. */
	int (*run)(void *arg);
	/* Before it, if not NULL: an error (below 0, and `err`) is proc_spawn's, and `run` is not
	 * entered. */
	int (*prepare)(void *arg, struct err *err);
	void *run_arg;

	/* fds[i] becomes descriptor i of the child (-1: /dev/null). All others are closed by exec
	 * (close-on-exec). */
	int fds[PROC_FD_MAX];
	size_t n_fds;

	uint64_t clone_flags; /* CLONE_NEW* in addition to CLONE_PIDFD */
	int cgroup_fd;        /* >= 0: born in this cgroup v2 directory (CLONE_INTO_CGROUP) */
	int pidns_fd;     /* >= 0: born in this pid namespace (nsfs fd or pidfd, see setns(2)) */
	bool new_session; /* setsid() */
	const char *cwd;  /* NULL: as the parent */

	/* How a child that could not get to its program says so when nobody waits for it: called
	 * in the child with a duplicate of `tell_fd`, which is closed by the exec; it exits with
	 * 127 next. NULL: proc_spawn waits. */
	void (*tell)(int fd, const struct err *err);
	int tell_fd;
};

#define PROC_SPEC_INIT                                                                        \
	{                                                                                     \
		.exec_fd = -EBADF, .cgroup_fd = -EBADF, .pidns_fd = -EBADF, .tell_fd = -EBADF \
	}

/*
 * Makes the child. All signals are unblocked and have their default action in it. Returns when the
 * program was exec'd (or `run` was entered); a child that could not get that far is reaped here and
 * its reason stands in `err`. With `tell` it returns when the child is made: one that is born among
 * processes of others may be stopped there before it gets any further (ptrace(2), a frozen
 * cgroup), one whose program lies on a file system that does not answer waits in execve, and an
 * event loop must not stop with it. All children of the shim's loop have it. The caller must be
 * single-threaded. When pidns_fd is given, the caller's pid_for_children is changed for the moment
 * of the clone; if it cannot be changed back no further child is made until it can, because it
 * would be born in the wrong place. ENOMEM from a pid namespace whose init is dead is
 * ERR_PRECONDITION.
 */
int proc_spawn(const struct proc_spec *spec, struct proc *ret_proc, struct err *err);

/* Sends a signal through the pidfd (0 probes). -ESRCH when it is gone. */
int proc_signal(const struct proc *p, int sig);

/*
 * Collects the status of an own child that has ended (pidfd readable), without blocking: 1 and the
 * shell's view of the status in *ret_status (exit code, or 128 + signal), 0 if it still runs, or
 * -errno.
 */
int proc_reap(struct proc *p, uint32_t *ret_status);

/* Waits for the end of an own child. Only for short-lived programs (bin/, runtime/, reaperctl);
 * never in the shim's loop. */
int proc_wait(struct proc *p, uint32_t *ret_status);

/* Closes the pidfd. */
void proc_done(struct proc *p);

/* Start time in clock ticks since boot of a pid (/proc/PID/stat field 22). -ESRCH if there is none.
 */
int proc_start_ticks(pid_t pid, uint64_t *ret_ticks);

/* Opens the process that has this pid and this start time: ERR_NOT_FOUND if it is gone or the pid
 * was recycled. */
int proc_open(pid_t pid, uint64_t start_ticks, struct proc *ret_proc, struct err *err);

/* Default dispositions and an empty mask for every signal: what a fresh program expects. Nothing
 * else may change dispositions but proc_ignore_signal, once this was called. Async-signal-safe. */
void proc_reset_signals(void);

/* Ignores a signal; children that proc_spawn makes do not. */
void proc_ignore_signal(int sig);

/*
 * Lets whoever wakes this process go on first (SCHED_BATCH): one that serves writers then finds all
 * that they had to say, not a line at a time. Its nice value stays, and so does a policy that is
 * not the ordinary one. Children that proc_spawn makes have the ordinary policy again.
 */
void proc_let_others_run_first(void);
