#include "cgroup/kill.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <unistd.h>
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/fd.h"
#include "base/file.h"
#include "cgroup/tree.h"

/*
 * Listings per round. A process with SIGKILL pending cannot fork any more, so the second listing is
 * normally the last: it shows nothing new. If it does, the cgroup is frozen; the passes after that
 * are for those that are still on their way into the freezer.
 */
enum { KILL_PASSES = 16, SIGNAL_BATCH = 64 };

struct proc *cgroup_members_free(struct proc *members, size_t n)
{
	for (size_t i = 0; members && i < n; i++)
		proc_done(&members[i]);
	free(members);
	return NULL;
}

/* One round: what was signalled so far (ascending), and the members to hand out. */
struct round {
	int sig;
	struct proc *members; /* NULL: nobody wants them */
	size_t n;
	pid_t *pids;
	size_t n_pids;
	size_t delivered;
};

static void round_done(struct round *r)
{
	(void)cgroup_members_free(r->members, r->n);
	free(r->pids);
}

static bool is_in(const pid_t *pids, size_t n, pid_t pid)
{
	while (n > 0) {
		size_t half = n / 2;

		if (pids[half] == pid)
			return true;
		if (pids[half] < pid) {
			pids += half + 1;
			half = n - half - 1;
		}
		n = half;
	}
	return false;
}

/* Through the pidfd; keeps it as a member if there is room. */
static int signal_one(struct round *round, pid_t pid, int *fd)
{
	if (pidfd_send_signal(*fd, round->sig, NULL, 0) < 0)
		return errno == ESRCH ? 0 : -errno;
	round->delivered++;
	if (round->members && round->n < CGROUP_KILL_MEMBERS)
		round->members[round->n++] = (struct proc) {.pid = pid, .pidfd = TAKE_FD(*fd)};
	return 0;
}

/*
 * Between listing and opening, a number may have gone to somebody else's process. So all are opened
 * first, and only those that a second listing still names are signalled.
 */
static int signal_batch(
	struct round *round, const struct cgroup *cg, const pid_t *pids, size_t n, struct err *err)
{
	_cleanup_free_ pid_t *now = NULL;
	int fds[SIGNAL_BATCH], r = 0;
	size_t n_now = 0;

	for (size_t i = 0; i < n; i++) {
		fds[i] = pidfd_open(pids[i], 0);
		if (fds[i] < 0 && errno != ESRCH && r == 0)
			r = err_sysf(err, errno, "opening process %d of the cgroup", pids[i]);
	}
	if (r == 0)
		r = cgroup_pids(cg, &now, &n_now, err);
	for (size_t i = 0; i < n; i++) {
		if (r == 0 && fds[i] >= 0 && is_in(now, n_now, pids[i])) {
			r = signal_one(round, pids[i], &fds[i]);
			if (r < 0)
				r = err_sysf(
					err, -r, "signalling process %d of the cgroup", pids[i]);
		}
		fd_close(&fds[i]);
	}
	return r;
}

/* Signals those that were not there in the pass before. 1: there were some, 0: none. */
static int signal_pass(struct round *round, const struct cgroup *cg, struct err *err)
{
	_cleanup_free_ pid_t *pids = NULL;
	pid_t batch[SIGNAL_BATCH], self = getpid();
	size_t n = 0, n_batch = 0;
	bool any = false;
	int r = cgroup_pids(cg, &pids, &n, err);

	for (size_t i = 0; r == 0 && i < n; i++) {
		if (pids[i] != self && !is_in(round->pids, round->n_pids, pids[i]))
			batch[n_batch++] = pids[i];
		if (n_batch > 0 && (n_batch == SIGNAL_BATCH || i + 1 == n)) {
			any = true;
			r = signal_batch(round, cg, batch, n_batch, err);
			n_batch = 0;
		}
	}
	if (r < 0)
		return r;
	free(round->pids);
	round->pids = TAKE_PTR(pids);
	round->n_pids = n;
	return any;
}

/*
 * Holds (or lets go) everything of the cgroup, where freezing helps: on v1, and on v2 before
 * Linux 5.14 had cgroup.kill. Letting go reaches every level, because the workload may have frozen
 * a cgroup of its own, and on v1 a frozen process does not even die. Failing is no reason to stop:
 * the next round has another try.
 */
static void set_frozen(const struct cgroup *cg, bool frozen, bool not_v2)
{
	for (size_t i = 0; i < cg->n; i++) {
		const struct cgroup_dir *d = &cg->dirs[i];
		_cleanup_(cgroup_tree_done) struct cgroup_tree tree = CGROUP_TREE_INIT;
		const char *file = d->v2 ? "cgroup.freeze" : "freezer.state";
		const char *text = d->v2 ? "0" : "THAWED";

		if (d->v2 ? not_v2 : !(d->controllers & CGROUP_BIT(CGROUP_FREEZER)))
			continue;
		if (frozen) {
			(void)cgroup_file_put(d->path, file, d->v2 ? "1" : "FROZEN");
			continue;
		}
		if (cgroup_tree_read(d->path, &tree, NULL) < 0)
			(void)cgroup_file_put(d->path, file, text);
		for (size_t j = 0; j < tree.n; j++)
			(void)cgroup_file_put(tree.paths[j], file, text);
	}
}

/* Whether the v2 directory took the one write that kills all of its tree. */
static bool kill_v2(const struct cgroup *cg)
{
	return cg->n > 0 && cg->dirs[cg->n - 1].v2 &&
	       cgroup_file_put(cg->dirs[cg->n - 1].path, "cgroup.kill", "1") == 0;
}

/* A process that freezes its own cgroup never thaws it again. */
static bool holds_self(const struct round *round)
{
	return is_in(round->pids, round->n_pids, getpid());
}

static int kill_all(struct round *round, const struct cgroup *cg, struct err *err)
{
	bool by_write = false, may_freeze, frozen = false;
	int r = signal_pass(round, cg, err);

	/* this pass keeps the pidfds of what is there; those that forked meanwhile are next */
	if (r < 0)
		return r;
	may_freeze = !holds_self(round);
	if (may_freeze)
		by_write = kill_v2(cg);
	for (unsigned i = 0; r > 0 && i < KILL_PASSES; i++) {
		r = signal_pass(round, cg, err);
		if (r > 0 && may_freeze && !frozen) {
			set_frozen(cg, true, by_write);
			frozen = true;
		}
	}
	if (frozen || (may_freeze && round->n_pids > 0))
		set_frozen(cg, false, by_write);
	return r < 0 ? r : 0;
}

int cgroup_kill_round(
	const struct cgroup *cg, struct proc **ret_members, size_t *ret_n, struct err *err)
{
	_cleanup_(round_done) struct round round = {.sig = SIGKILL};
	int r;

	round.members = calloc(CGROUP_KILL_MEMBERS, sizeof(*round.members));
	if (!round.members)
		return err_sysf(err, ENOMEM, "killing a cgroup");
	r = kill_all(&round, cg, err);
	if (r < 0)
		return r;
	*ret_n = round.n;
	*ret_members = round.n > 0 ? TAKE_PTR(round.members) : NULL;
	round.n = 0;
	return 0;
}

int cgroup_signal_all(const struct cgroup *cg, int sig, struct err *err)
{
	_cleanup_(round_done) struct round round = {.sig = sig};
	int r = sig == SIGKILL ? kill_all(&round, cg, err) : signal_pass(&round, cg, err);

	if (r < 0)
		return r;
	if (round.delivered == 0)
		return err_setf(err, ERR_NOT_FOUND, ESRCH, "no process is left");
	return 0;
}

/* Milliseconds until the deadline, rounded up, 0 when it has passed. */
static int remaining_ms(uint64_t deadline_usec)
{
	uint64_t now = clock_boot_usec(), ms;

	if (now >= deadline_usec)
		return 0;
	ms = (deadline_usec - now + 999) / 1000;
	return ms > INT_MAX ? INT_MAX : (int)ms;
}

static int deadline_error(
	const struct cgroup *cg, const struct proc *members, size_t n, struct err *err)
{
	char text[256] = "";
	size_t len = 0;

	for (size_t i = 0; i < n && len < sizeof(text) - 16; i++)
		len += (size_t)snprintf(text + len, sizeof(text) - len, " %d", members[i].pid);
	return err_setf(err, ERR_DEADLINE, ETIMEDOUT,
		"cgroup %s: processes that do not die when killed:%s",
		cg->n > 0 ? cg->dirs[0].path : "", n > 0 ? text : " (not visible from here)");
}

/* Until the last of them has ended. */
static int await_members(const struct cgroup *cg, const struct proc *members, size_t n,
	uint64_t deadline_usec, struct err *err)
{
	for (size_t i = 0; i < n; i++) {
		struct pollfd p = {.fd = members[i].pidfd, .events = POLLIN};

		for (;;) {
			int ms = remaining_ms(deadline_usec), r = poll(&p, 1, ms);

			if (r > 0)
				break;
			if (r < 0 && errno != EINTR)
				return err_sysf(err, errno, "waiting for a cgroup's processes");
			if (r == 0 && ms == 0)
				return deadline_error(cg, members + i, n - i, err);
		}
	}
	return 0;
}

/*
 * Nobody is listed, and still it is busy: processes that this pid namespace does not show, or that
 * have just ended and are not taken off yet. v2 tells when that changes; v1 has nothing to wait
 * for, so it is looked at again after a millisecond.
 */
static int await_change(const struct cgroup *cg, uint64_t deadline_usec, struct err *err)
{
	_cleanup_close_ int fd = -EBADF;
	char path[PATH_MAX], events[256];
	int ms = remaining_ms(deadline_usec);
	struct pollfd p = {.events = POLLPRI};
	ssize_t n = 0;

	if (ms == 0)
		return deadline_error(cg, NULL, 0, err);
	/* with a v1 hierarchy beside it, that one may be the busy one */
	if (cg->n == 1 && cg->dirs[0].v2 &&
		cgroup_file_path(path, sizeof(path), cg->dirs[0].path, "cgroup.events") == 0)
		fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd >= 0)
		n = read(fd, events, sizeof(events) - 1); /* arms the notification */
	events[n > 0 ? n : 0] = '\0';
	p.fd = fd;
	if (poll(&p, 1, strstr(events, "populated 1") ? ms : 1) < 0 && errno != EINTR)
		return err_sysf(err, errno, "waiting for a cgroup to become empty");
	return 0;
}

int cgroup_kill_and_remove(const struct cgroup *cg, uint64_t deadline_usec, struct err *err)
{
	/* what is empty, or gone already, needs no look for its processes */
	int r = cgroup_remove(cg, NULL);

	if (r == 0)
		return 0;
	for (;;) {
		struct proc *members = NULL;
		size_t n = 0;

		r = cgroup_kill_round(cg, &members, &n, err);
		if (r < 0)
			return r;
		if (n > 0) {
			r = await_members(cg, members, n, deadline_usec, err);
		} else {
			r = cgroup_remove(cg, err);
			if (r != -EBUSY)
				return r;
			r = await_change(cg, deadline_usec, err);
		}
		members = cgroup_members_free(members, n);
		if (r < 0)
			return r;
	}
}
