#include "shim/exec_tree.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/cleanup.h"
#include "base/file.h"
#include "base/macro.h"
#include "cgroup/cgroup.h"
#include "shim/container.h"

enum { ROUNDS = 5 };

struct member {
	pid_t pid, parent, session;
	uint64_t start_ticks;
	bool ours;
};

/* Fields 3, 4, 6 and 22 of /proc/PID/stat; false for one that is gone or a zombie. */
static bool look(pid_t pid, struct member *m)
{
	_cleanup_free_ char *stat = NULL;
	char path[32], state, *end;
	unsigned long long start;
	int parent, session;

	(void)snprintf(path, sizeof(path), "/proc/%d/stat", pid);
	if (file_read_at(AT_FDCWD, path, 4096, &stat, NULL, NULL) < 0)
		return false;
	end = strrchr(stat, ')'); /* the name may hold anything */
	if (!end ||
		sscanf(end + 1,
			" %c %d %*d %d %*d %*d %*u %*u %*u %*u %*u %*u %*u %*d %*d %*d %*d %*d "
			"%*d %llu",
			&state, &parent, &session, &start) != 4 ||
		state == 'Z' || state == 'X')
		return false;
	*m = (struct member) {
		.pid = pid, .parent = parent, .session = session, .start_ticks = start};
	return true;
}

static bool is_ours(const struct member *v, size_t n, pid_t pid)
{
	for (size_t i = 0; i < n; i++) {
		if (v[i].pid == pid)
			return v[i].ours;
	}
	return false;
}

/* Marks the session, then children of marked ones until there is no further. */
static void mark(struct member *v, size_t n, pid_t exec)
{
	bool more = true;

	for (size_t i = 0; i < n; i++)
		v[i].ours = v[i].session == exec || v[i].parent == exec;
	while (more) {
		more = false;
		for (size_t i = 0; i < n; i++) {
			if (v[i].ours || !is_ours(v, n, v[i].parent))
				continue;
			v[i].ours = more = true;
		}
	}
}

/* Who belongs to it now, in *ret_v; 0 when there is nobody, or nothing can be told. */
static size_t list_members(const struct process *exec, struct member **ret_v)
{
	_cleanup_free_ pid_t *pids = NULL;
	struct member *v;
	size_t n = 0, members = 0;

	*ret_v = NULL;
	if (cgroup_pids(&exec->container->cgroup, &pids, &n, NULL) < 0 || n == 0)
		return 0;
	v = calloc(n, sizeof(*v));
	if (!v)
		return 0;
	for (size_t i = 0; i < n; i++)
		members += look(pids[i], &v[members]) ? 1 : 0;
	mark(v, members, (pid_t)exec->pid);
	*ret_v = v;
	return members;
}

/* How many were signalled, the exec itself left out. */
static size_t signal_members(const struct process *exec, const struct member *v, size_t n, int sig)
{
	size_t signalled = 0;

	for (size_t i = 0; i < n; i++) {
		_cleanup_(proc_done) struct proc p = PROC_INIT;

		if (!v[i].ours || v[i].pid == (pid_t)exec->pid ||
			v[i].pid == (pid_t)exec->container->init.pid)
			continue;
		if (proc_open(v[i].pid, v[i].start_ticks, &p, NULL) == 0 &&
			proc_signal(&p, sig) == 0)
			signalled++;
	}
	return signalled;
}

int exec_tree_signal(const struct process *exec, int sig)
{
	struct member *v;
	/* looked at while it lives: its end makes orphans of its children. Signalled first: else a
	 * shell that waits for them ends by itself, with a status of its own */
	size_t n = list_members(exec, &v);
	int r = proc_signal(&exec->proc, sig);
	size_t signalled = signal_members(exec, v, n, sig);

	free(v);
	for (int round = 1; sig == SIGKILL && signalled > 0 && round < ROUNDS; round++) {
		n = list_members(exec, &v);
		signalled = signal_members(exec, v, n, sig);
		free(v);
	}
	return r;
}
