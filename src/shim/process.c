#include "shim/process.h"

#include <assert.h>
#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "base/clock.h"
#include "base/fd.h"
#include "base/log.h"
#include "base/str.h"
#include "oci/init_contract.h"
#include "shim/container.h"
#include "shim/container_hooks.h"
#include "shim/answers.h"
#include "shim/history.h"
#include "shim/runtime_client.h"
#include "shim/seccomp_agent.h"
#include "shim/shim.h"
#include "shim/waiters.h"
#include "stream/uri.h"

enum { STDIO_PATH_MAX = PATH_MAX + 16 }; /* "fifo://" and a path */

int process_init(struct process *p, struct container *c, const char *exec_id)
{
	*p = (struct process) {.container = c, .control = -EBADF, .state = PROCESS_ADDED};
	p->proc = (struct proc)PROC_INIT;
	p->control_source = (struct event_source)EVENT_SOURCE_INIT;
	p->io = (struct stdio)STDIO_INIT;
	p->unread = (struct unread)UNREAD_INIT;
	list_init(&p->node);
	list_init(&p->starters);
	list_init(&p->waiters);
	list_init(&p->deleters);
	return str_dup(&p->exec_id, exec_id);
}

void process_done(struct process *p)
{
	struct err gone = ERR_INIT;

	(void)err_setf(&gone, ERR_NOT_FOUND, ESRCH, "process was deleted: not found");
	waiters_fail(&p->starters, &gone);
	waiters_fail(&p->waiters, &gone);
	waiters_fail(&p->deleters, &gone);
	list_remove(&p->node);
	event_remove(&p->control_source);
	fd_close(&p->control);
	unread_done(&p->unread);
	stdio_done(&p->io);
	proc_done(&p->proc);
	free(p->exec_id);
	free(p->spec_json);
	free(p->stdin_path);
	free(p->stdout_path);
	free(p->stderr_path);
	p->exec_id = p->spec_json = p->stdin_path = p->stdout_path = p->stderr_path = NULL;
}

const char *process_name(const struct process *p, char *buf, size_t size)
{
	if (p->exec_id)
		(void)snprintf(buf, size, "exec %s of container %s", p->exec_id, p->container->id);
	else
		(void)snprintf(buf, size, "container %s", p->container->id);
	return buf;
}

void process_event(struct process *p, enum process_event event)
{
	enum process_state next;
	int r = lifecycle_next(p->state, event, &next);
	char name[256];

	assert(r == 0);
	log_debug("%s: %s -> %s", process_name(p, name, sizeof(name)),
		lifecycle_state_name(p->state), lifecycle_state_name(next));
	p->state = next;
}

enum process_state process_seen_state(const struct process *p)
{
	enum process_state all = p->container->init.state;

	if (p->exec_id && (p->state == PROCESS_STARTING || p->state == PROCESS_RUNNING) &&
		(all == PROCESS_PAUSING || all == PROCESS_PAUSED))
		return all;
	return p->state;
}

int process_keep_paths(struct process *p, const struct stdio_paths *paths)
{
	if (strlen(paths->in) > STDIO_PATH_MAX || strlen(paths->out) > STDIO_PATH_MAX ||
		strlen(paths->err) > STDIO_PATH_MAX)
		return -ENAMETOOLONG;
	p->terminal = p->io.terminal = paths->terminal;
	if (str_dup(&p->stdin_path, paths->in) < 0 || str_dup(&p->stdout_path, paths->out) < 0 ||
		str_dup(&p->stderr_path, paths->err) < 0)
		return -ENOMEM;
	return 0;
}

/* It stands at its gate, and its output has where to go. */
static void check_ready(struct process *p)
{
	if (!p->prepared || p->failed || p->state != PROCESS_CREATING || !stdio_ready(&p->io))
		return;
	process_event(p, LIFE_READY);
	container_process_ready(p->container, p);
}

static void on_stdio_ready(UNUSED struct stdio *io, const struct err *why, void *ctx)
{
	struct process *p = ctx;

	if (why)
		process_fail(p, why);
	else
		check_ready(p);
}

static const struct stdio_ops stdio_ops = {on_stdio_ready, container_drained};

int process_open_stdio(
	struct process *p, const struct stdio_paths *paths, int child_fds[3], struct err *err)
{
	struct shim *shim = p->container->shim;
	struct stdio_paths named = *paths;
	int r = p->exec_id ? 0 : process_keep_paths(p, paths);

	if (r < 0)
		return err_sysf(err, -r, "stdio");
	named.id = p->exec_id ? p->exec_id : p->container->id;
	named.ns = shim->ns;
	return stdio_open(&p->io, &shim->loop, &named, child_fds, &stdio_ops, p, err);
}

void process_ready(struct process *p)
{
	p->prepared = true;
	check_ready(p);
}

/* It waits for a word that could not be sent (no memory for it, say) and will not come any more. */
static void never_told(struct process *p, int r)
{
	if (r == 0 || r == -EPIPE || r == -ECONNRESET) /* dead: its end arrives by itself */
		return;
	if (!p->failed)
		(void)err_sysf(&p->failure, -r, "telling it to go on");
	p->failed = true;
	(void)proc_signal(&p->proc, SIGKILL);
}

void process_go_on(struct process *p)
{
	never_told(p, runtime_go_on(p->control));
}

static void handle_message(struct process *p, const struct init_message *msg, int fd)
{
	char name[256];

	if (msg->type == INIT_CONSOLE && fd >= 0) {
		int r = stdio_attach_console(&p->io, fd);

		if (r < 0)
			log_warn("%s: terminal: %s, continuing without its output",
				process_name(p, name, sizeof(name)), strerrordesc_np(-r));
		return;
	}
	fd_close(&fd);
	if (p->state == PROCESS_CREATING && !p->exec_id &&
		(msg->type == INIT_PREPARED ||
			(msg->type == INIT_READY && container_hooks_wanted(p->container)))) {
		container_process_prepared(p->container, p);
	} else if (msg->type == INIT_READY && p->state == PROCESS_CREATING) {
		process_ready(p);
	} else if (msg->type == INIT_LISTENER) {
		struct err err = ERR_INIT;

		if (seccomp_agent_tell(p, msg->err.errnum, &err) < 0)
			process_fail(p, &err);
		else
			process_go_on(p);
	} else if (msg->type == INIT_NOTE) {
		log_warn("%s: %.*s", process_name(p, name, sizeof(name)),
			(int)sizeof(msg->err.text), msg->err.text);
	} else if (msg->type == INIT_FAILED) {
		p->failed = true;
		p->failure = msg->err;
		p->failure.text[sizeof(p->failure.text) - 1] = '\0';
		if (p->failure.kind == ERR_NONE || p->failure.kind >= _ERR_KIND_MAX)
			p->failure.kind = ERR_UNKNOWN;
	}
}

/* It was killed between its report and the gate; the end of its socket is no exec then. */
static void died_at_gate(struct process *p)
{
	if (p->failed)
		return;
	p->failed = true;
	(void)err_setf(&p->failure, ERR_UNKNOWN, EIO, "ended before its program ran");
}

/* End of the control socket: behind the open gate it means that the program was exec'd. */
static void control_ended(struct process *p)
{
	event_remove(&p->control_source);
	fd_close(&p->control);
	if (p->state == PROCESS_STARTING && !p->failed) {
		process_event(p, LIFE_RUNS);
		container_process_runs(p->container, p);
	}
}

static void read_control(struct process *p)
{
	while (p->control >= 0) {
		struct init_message msg;
		int fd = -EBADF;
		ssize_t n = fd_recv(p->control, &msg, sizeof(msg), &fd);

		if (n == -EAGAIN)
			return;
		if (n == (ssize_t)sizeof(msg) && msg.version == INIT_CONTRACT_VERSION) {
			handle_message(p, &msg, fd);
			continue;
		}
		fd_close(&fd);
		if (n == -ECONNRESET) { /* it never read the gate's byte; the kernel says so once,
					   before what it had said itself */
			died_at_gate(p);
			continue;
		}
		if (n > 0) {
			p->failed = true;
			(void)err_setf(&p->failure, ERR_INTERNAL, EPROTO,
				"reaper-runtime speaks another version of the init contract");
			continue;
		}
		control_ended(p);
	}
}

static enum event_verb on_control(struct event_source *s, UNUSED uint32_t events)
{
	read_control(container_of(s, struct process, control_source));
	return EVENT_CONTINUE;
}

void process_adopt_child(struct process *p, const struct proc *child, int control_take)
{
	int r;

	p->proc = *child;
	p->pid = (uint32_t)child->pid;
	p->control = control_take;
	process_event(p, LIFE_SPAWN);
	r = event_add(
		&p->container->shim->loop, &p->control_source, p->control, EPOLLIN, on_control);
	if (r < 0) {
		struct err err = ERR_INIT;

		(void)err_sysf(&err, -r, "watching the control socket");
		process_fail(p, &err);
	}
}

void process_fail(struct process *p, const struct err *why)
{
	if (!p->failed) {
		p->failed = true;
		p->failure = *why;
	}
	(void)proc_signal(&p->proc, SIGKILL);
}

void process_release(struct process *p)
{
	char name[256];
	int r = runtime_open_gate(p->control);

	process_event(p, LIFE_RELEASE);
	never_told(p, r);
	if (r < 0) {
		died_at_gate(p);
		log_debug("%s: gate: %s", process_name(p, name, sizeof(name)), strerrordesc_np(-r));
	}
}

bool process_has_ended(const struct process *p)
{
	struct pollfd end = {.fd = p->proc.pidfd, .events = POLLIN};

	return p->proc.pidfd < 0 || poll(&end, 1, 0) > 0;
}

bool process_alive(const struct process *p)
{
	return p->proc.pidfd >= 0;
}

void process_reaped(struct process *p, uint32_t status)
{
	p->exited_at = clock_wall();
	p->exit_status = status;
	/* the socket holds what the child said before its end, and then its end */
	read_control(p);
	proc_done(&p->proc);
	process_event(p, LIFE_EXIT);
	stdio_process_ended(&p->io);
}

static void on_read(struct unread *u)
{
	struct process *p = container_of(u, struct process, unread);

	p->heard = true;
	container_process_heard(p);
}

/* Files and loggers have no client that waits: their URIs are no paths. */
static const char *fifo_of(const char *path)
{
	return path && stream_fifo_path(path)[0] == '/' ? stream_fifo_path(path) : NULL;
}

bool process_heard(struct process *p)
{
	const char *const fifos[UNREAD_PATHS] = {fifo_of(p->stdout_path), fifo_of(p->stderr_path)};

	if (p->heard || unread_waits(&p->unread))
		return p->heard;
	stdio_flush(&p->io);
	p->heard = !unread_wait(&p->unread, &p->container->shim->loop, fifos, on_read);
	return p->heard;
}

void process_never_ran(struct process *p, const struct err *why)
{
	p->failed = true;
	p->failure = *why;
	p->exited_at = clock_wall();
	p->exit_status = why->kind == ERR_NOT_FOUND ? INIT_EXIT_NOT_FOUND : INIT_EXIT_FAILED;
	stdio_done(&p->io);
	process_event(p, LIFE_NEVER);
	p->container->audience->waited(p);
}

void process_stopped(struct process *p, bool publish)
{
	process_event(p, LIFE_ALONE);
	if (publish)
		p->container->audience->exited(p);
	history_over(p); /* containerd has heard meanwhile; whoever waits finds it there */
	/* one that ran is answered when its poststart hooks have */
	if (!list_empty(&p->starters) && !p->started) {
		struct err err = p->failure;

		if (!p->failed)
			(void)err_setf(&err, ERR_UNKNOWN, EIO,
				"ended with status %u before its program ran", p->exit_status);
		waiters_fail(&p->starters, &err);
	}
	p->container->audience->waited(p);
}
