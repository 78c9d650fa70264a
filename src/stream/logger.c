#include "stream/logger.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/fd.h"
#include "base/file.h"
#include "base/str.h"

enum {
	READY_SEC = 10,
	PATIENCE_SEC = 2, /* from the end of its pipes to SIGTERM */
	TERM_SEC = 10,    /* from SIGTERM to SIGKILL: 12 s in all, as containerd's own shim */

	FD_OUT = 3,
	FD_ERR = 4,
	FD_READY = 5,
	N_FDS = 6,
};

static void settle_ready(struct logger *l)
{
	event_timer_clear(&l->timer);
	event_remove(&l->ready);
	fd_close(&l->ready_fd);
	fd_close(&l->born_fd);
}

static void tell_failed(int born, const struct err *err)
{
	(void)file_write_all(born, err, sizeof(*err));
}

/* Why it could not be run, once its other pipe is at its end; false if it was. */
static bool never_ran(struct logger *l, struct err *err)
{
	if (RETRY_EINTR(read(l->born_fd, err, sizeof(*err))) != (ssize_t)sizeof(*err))
		return false;
	err->text[sizeof(err->text) - 1] = '\0';
	(void)err_wrapf(err, "logger");
	return true;
}

static enum event_verb on_ready_pipe(struct event_source *s, UNUSED uint32_t events)
{
	struct logger *l = container_of(s, struct logger, ready);
	struct err err = ERR_INIT;
	char byte;
	ssize_t n = RETRY_EINTR(read(l->ready_fd, &byte, 1));

	if (n < 0 && errno == EAGAIN)
		return EVENT_CONTINUE;
	if (n <= 0 && never_ran(l, &err)) {
		settle_ready(l);
		l->ops->on_ready(l, &err);
		return EVENT_CONTINUE;
	}
	settle_ready(l);
	if (n <= 0 && l->must_say) {
		(void)err_setf(&err, ERR_UNKNOWN, EPIPE,
			"logger %s: closed descriptor %d without writing a byte to it", l->path,
			FD_READY);
		l->ops->on_ready(l, &err);
	} else {
		l->ops->on_ready(l, NULL);
	}
	return EVENT_CONTINUE;
}

static void on_late(struct event_timer *t)
{
	struct logger *l = container_of(t, struct logger, timer);
	struct err err = ERR_INIT;

	settle_ready(l);
	(void)err_setf(&err, ERR_DEADLINE, ETIMEDOUT,
		"logger %s: not ready after %d s: it must write a byte to descriptor %d, or close "
		"it",
		l->path, READY_SEC, FD_READY);
	l->ops->on_ready(l, &err);
}

static int spawn(struct logger *l, const struct stream_uri *uri, const char *id, const char *ns,
	const int fds[3], struct err *err)
{
	_cleanup_strv_ char **env = NULL;
	struct proc_spec spec = PROC_SPEC_INIT;
	_cleanup_close_ int born = -EBADF;
	int pipe_fds[2], r;

	if (pipe2(pipe_fds, O_CLOEXEC | O_NONBLOCK) < 0)
		return err_sysf(err, errno, "logger");
	l->born_fd = pipe_fds[0];
	born = pipe_fds[1];
	r = strv_appendf(&env, "CONTAINER_ID=%s", id);
	if (r == 0)
		r = strv_appendf(&env, "CONTAINER_NAMESPACE=%s", ns);
	if (r < 0)
		return err_sysf(err, -r, "logger");
	spec.exec_path = uri->path;
	spec.argv = uri->argv;
	spec.env = env;
	spec.new_session = true;
	spec.cwd = "/";
	spec.fds[0] = spec.fds[1] = spec.fds[2] = -EBADF;
	spec.fds[FD_OUT] = fds[0];
	spec.fds[FD_ERR] = fds[1];
	spec.fds[FD_READY] = fds[2];
	spec.n_fds = N_FDS;
	/* its program may lie on a file system that does not answer */
	spec.tell = tell_failed;
	spec.tell_fd = born;
	r = proc_spawn(&spec, &l->proc, err);
	return r < 0 ? err_wrapf(err, "logger") : 0;
}

int logger_start(struct logger *l, struct event_loop *loop, const struct stream_uri *uri,
	const char *id, const char *ns, int out, int err_fd, const struct logger_ops *ops,
	struct err *err)
{
	_cleanup_close_ int theirs = -EBADF;
	int fds[2], r;

	*l = (struct logger)LOGGER_INIT;
	l->loop = loop;
	l->ops = ops;
	l->must_say = uri->scheme == STREAM_BINARY_V2;
	if (str_dup(&l->path, uri->path) < 0)
		return err_sysf(err, ENOMEM, "logger");
	if (pipe2(fds, O_CLOEXEC) < 0)
		return err_sysf(err, errno, "logger");
	l->ready_fd = fds[0];
	theirs = fds[1];
	r = fd_set_nonblock(l->ready_fd);
	if (r == 0)
		r = event_add(loop, &l->ready, l->ready_fd, EPOLLIN, on_ready_pipe);
	if (r < 0)
		return err_sysf(err, -r, "logger");
	r = spawn(l, uri, id, ns, (const int[]) {out, err_fd, theirs}, err);
	if (r < 0)
		return r;
	event_timer_set_in(loop, &l->timer, READY_SEC * USEC_PER_SEC, on_late);
	return 0;
}

bool logger_reaped(struct logger *l, pid_t pid, uint32_t status)
{
	if (!logger_alive(l) || l->proc.pid != pid)
		return false;
	proc_done(&l->proc);
	if (l->ready_fd < 0)
		event_timer_clear(&l->timer);
	/* else what it said before it ended is still in the pipe, and then its end */
	l->ops->on_ended(l, status);
	return true;
}

void logger_kill(struct logger *l)
{
	/* it leads its session and is not reaped yet, so the number is its own; gone: as good */
	if (logger_alive(l))
		(void)kill(-l->proc.pid, SIGKILL);
}

static void on_deaf(struct event_timer *t)
{
	logger_kill(container_of(t, struct logger, timer));
}

static void on_impatient(struct event_timer *t)
{
	struct logger *l = container_of(t, struct logger, timer);

	(void)proc_signal(&l->proc, SIGTERM);
	event_timer_set_in(l->loop, t, TERM_SEC * USEC_PER_SEC, on_deaf);
}

void logger_end(struct logger *l)
{
	if (!logger_alive(l) || l->ending)
		return;
	l->ending = true;
	if (l->ready_fd >= 0)
		settle_ready(l);
	event_timer_set_in(l->loop, &l->timer, PATIENCE_SEC * USEC_PER_SEC, on_impatient);
}

bool logger_alive(const struct logger *l)
{
	return l->proc.pidfd >= 0;
}

void logger_done(struct logger *l)
{
	settle_ready(l);
	logger_kill(l);
	proc_done(&l->proc);
	free(l->path);
	l->path = NULL;
}
