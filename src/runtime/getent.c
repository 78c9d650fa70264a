#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>
#include "base/buf.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/fd.h"
#include "base/proc.h"
#include "base/str.h"
#include "runtime/identity.h"

enum { OUTPUT_MAX = 1 << 20 }; /* bytes of one answer */

enum { GETENT_NOT_FOUND = 2 }; /* its exit status for a key that is in no database */

/* One question while it is asked. */
struct question {
	const char *database, *name;
	struct proc proc;
	int output;
	struct buf answer;
};

static void question_done(struct question *q)
{
	fd_close(&q->output);
	proc_done(&q->proc);
	buf_done(&q->answer);
}

/* Where glibc's package has it, or a distribution that has everything elsewhere. */
static int find_getent(const char **ret_path, struct err *err)
{
	static const char *const places[] = {"/usr/bin/getent", "/bin/getent",
		"/usr/local/bin/getent", "/run/current-system/sw/bin/getent"};

	for (size_t i = 0; i < ARRAY_LEN(places); i++) {
		if (access(places[i], X_OK) == 0) {
			*ret_path = places[i];
			return 0;
		}
	}
	return err_setf(err, ERR_NOT_FOUND, ENOENT,
		"getent is not installed on this node: it is what users are looked up with");
}

static int ask(struct question *q, struct err *err)
{
	_cleanup_close_ int theirs = -EBADF;
	char *const argv[] = {
		(char *)"getent", (char *)(uintptr_t)q->database, (char *)(uintptr_t)q->name, NULL};
	static char *const env[] = {
		(char *)"PATH=/usr/sbin:/usr/bin:/sbin:/bin", (char *)"LC_ALL=C", NULL};
	struct proc_spec spec = PROC_SPEC_INIT;
	int pair[2], r = find_getent(&spec.exec_path, err);

	if (r < 0)
		return r;
	if (pipe2(pair, O_CLOEXEC) < 0)
		return err_sysf(err, errno, "pipe2");
	q->output = pair[0];
	theirs = pair[1];
	r = fd_set_nonblock(q->output);
	if (r < 0)
		return err_sysf(err, -r, "pipe");
	spec.argv = argv;
	spec.env = env;
	spec.fds[0] = spec.fds[2] = -EBADF;
	spec.fds[1] = theirs;
	spec.n_fds = 3;
	spec.new_session = true;
	spec.cwd = "/";
	return proc_spawn(&spec, &q->proc, err);
}

/* What is there: 0, 1 at the end of it, or -errno. */
static int take(struct question *q)
{
	char chunk[4096];
	int r = 0;

	while (r == 0) {
		ssize_t n = RETRY_EINTR(read(q->output, chunk, sizeof(chunk)));

		if (n < 0)
			return errno == EAGAIN ? 0 : -errno;
		if (n == 0)
			return 1;
		r = buf_append(&q->answer, chunk, (size_t)n);
	}
	return r;
}

/* Until the program has ended; a module's helper that holds the pipe open is not waited for. */
static int await(struct question *q, int watch_fd, uint64_t deadline)
{
	struct pollfd p[] = {
		{.fd = q->proc.pidfd, .events = POLLIN},
		{.fd = q->output, .events = POLLIN},
		{.fd = watch_fd, .events = POLLIN},
	};

	for (;;) {
		uint64_t now = clock_boot_usec();
		int n, r;

		if (now >= deadline)
			return -ETIMEDOUT;
		n = poll(p, ARRAY_LEN(p), (int)((deadline - now + 999) / 1000));
		if (n < 0 && errno != EINTR)
			return -errno;
		if (n <= 0)
			continue;
		r = p[1].fd >= 0 && (p[0].revents || p[1].revents) ? take(q) : 0;
		if (r < 0)
			return r;
		if (r > 0)
			p[1].fd = -1;
		if (p[0].revents)
			return 0;
		if (p[2].revents)
			return -ECANCELED;
	}
}

static int give_up(struct question *q, int reason, struct err *err)
{
	uint32_t status;

	(void)kill(-q->proc.pid, SIGKILL);
	(void)proc_signal(&q->proc, SIGKILL);
	(void)proc_wait(&q->proc, &status);
	if (reason == -ETIMEDOUT)
		return err_setf(err, ERR_DEADLINE, ETIMEDOUT,
			"getent %s %.100s: no answer within %d s: look at the services that this "
			"node's nsswitch.conf names",
			q->database, q->name, IDENTITY_LOOKUP_S);
	if (reason == -ECANCELED)
		return err_setf(err, ERR_CANCELED, ECANCELED, "the shim is gone");
	if (reason == -EMSGSIZE)
		return err_setf(err, ERR_INVALID, E2BIG, "getent %s %.100s: more than %d bytes",
			q->database, q->name, OUTPUT_MAX);
	return err_sysf(err, -reason, "getent %s %.100s", q->database, q->name);
}

/* One database's answer in *ret_text. */
static int look_up(
	const char *database, const char *name, int watch_fd, char **ret_text, struct err *err)
{
	_cleanup_(question_done) struct question q = {.database = database,
		.name = name,
		.proc = PROC_INIT,
		.output = -EBADF,
		.answer = BUF_INIT(OUTPUT_MAX)};
	uint32_t status = 0;
	int r = ask(&q, err);

	if (r < 0)
		return r;
	r = await(&q, watch_fd, clock_boot_usec() + IDENTITY_LOOKUP_S * USEC_PER_SEC);
	if (r < 0)
		return give_up(&q, r, err);
	r = proc_wait(&q.proc, &status);
	if (r < 0)
		return err_sysf(err, -r, "getent");
	if (status == GETENT_NOT_FOUND || (status == 0 && q.answer.len == 0))
		return err_setf(err, ERR_NOT_FOUND, ENOENT,
			"%.100s: this node knows no user of this name (getent %s finds none)", name,
			database);
	if (status != 0)
		return err_setf(err, ERR_PRECONDITION, EIO, "getent %s %.100s: exit status %u",
			database, name, status);
	*ret_text = TAKE_PTR(q.answer.data);
	return 0;
}

int identity_lookup(const char *name, int watch_fd, struct identity *ret_who, struct err *err)
{
	_cleanup_free_ char *passwd = NULL, *groups = NULL;
	int r = look_up("passwd", name, watch_fd, &passwd, err);

	if (r == 0)
		r = look_up("initgroups", name, watch_fd, &groups, err);
	if (r == 0)
		r = identity_parse(passwd, groups, ret_who, err);
	return r < 0 ? err_wrapf(err, "annotation reaper.runtime/user") : 0;
}
