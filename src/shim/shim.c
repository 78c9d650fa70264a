#include "shim/shim.h"

#include <errno.h>
#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/fd.h"
#include "base/log.h"
#include "base/proc.h"
#include "base/str.h"
#include "groups/groups.h"
#include "shim/container.h"
#include "shim/reservations.h"
#include "shim/runtime_client.h"
#include "shim/task_service.h"

enum {
	/* a shim with nothing to do waits that long for somebody who forgot to say Shutdown
	   (containerd issue 11708) */
	IDLE_SEC = 60,
	/* how long events may still be delivered after the last container is gone */
	FAREWELL_SEC = 5,
};

int shim_container(
	struct shim *shim, const char *id, struct container **ret_container, struct err *err)
{
	struct list *pos;

	list_for_each (pos, &shim->containers) {
		struct container *c = list_entry(pos, struct container, node);

		if (c != shim->sandbox && str_eq(c->id, id) && !c->deleting) {
			*ret_container = c;
			return 0;
		}
	}
	return err_setf(err, ERR_NOT_FOUND, ESRCH, "container %.100s: not found", id);
}

struct container *shim_sandbox(struct shim *shim, const char *id)
{
	struct container *c = shim->sandbox;

	return c && str_eq(c->id, id) && !c->deleting ? c : NULL;
}

struct container *shim_leaving_container(struct shim *shim, const char *id)
{
	struct list *pos;

	list_for_each (pos, &shim->containers) {
		struct container *c = list_entry(pos, struct container, node);

		if (c != shim->sandbox && str_eq(c->id, id) && c->deleting)
			return c;
	}
	return NULL;
}

struct container *shim_any_container(struct shim *shim, const char *id)
{
	struct list *pos;

	list_for_each (pos, &shim->containers) {
		struct container *c = list_entry(pos, struct container, node);

		if (str_eq(c->id, id))
			return c;
	}
	return NULL;
}

static void leave_when_quiet(struct shim *shim)
{
	if (!shim->leaving || !events_idle(shim->events) || ttrpc_server_pending(shim->server) > 0)
		return;
	if (shim->peers_close && ttrpc_server_connections(shim->server) > 0)
		return;
	event_loop_exit(&shim->loop, 0);
}

/* A client that goes has left something: containerd, when it is started again and has asked for
 * everything. */
static void on_connections(UNUSED size_t n, void *ctx)
{
	(void)malloc_trim(0);
	leave_when_quiet(ctx);
}

void shim_let_peers_close(struct shim *shim)
{
	shim->peers_close = true;
}

static void on_events_idle(void *ctx)
{
	leave_when_quiet(ctx);
}

static void on_farewell_over(struct event_timer *t)
{
	event_loop_exit(&container_of(t, struct shim, farewell)->loop, 0);
}

static void leave(struct shim *shim)
{
	/*
	 * The name goes first: a `start` that comes now binds its own socket. One that has
	 * connected already is taken in and gets no answer but the end of the connection
	 * (shim/socket.h).
	 */
	shim->leaving = true;
	event_timer_clear(&shim->idle);
	(void)unlink(shim->socket_path);
	ttrpc_server_stop_listening(shim->server);
	event_timer_set_in(
		&shim->loop, &shim->farewell, FAREWELL_SEC * USEC_PER_SEC, on_farewell_over);
	leave_when_quiet(shim);
}

static void on_idle(struct event_timer *t)
{
	leave(container_of(t, struct shim, idle));
}

/* Whether nothing is left but what is being deleted. */
static bool only_deleting(const struct shim *shim)
{
	struct list *pos;

	list_for_each (pos, &shim->containers) {
		if (!list_entry(pos, struct container, node)->deleting)
			return false;
	}
	return list_empty(&shim->reservations);
}

void shim_reconsider(struct shim *shim, bool asked)
{
	bool busy = !list_empty(&shim->containers) || !list_empty(&shim->reservations);

	/* a spec has been read or a container is gone: a shim that now rests for months gives back
	   what only that took */
	(void)malloc_trim(0);
	if (shim->leaving)
		return;
	/* a Delete whose caller has given up is followed by a Shutdown, and by no other */
	shim->asked = (shim->asked || asked) && only_deleting(shim);
	if (busy)
		event_timer_clear(&shim->idle);
	else if (shim->asked)
		leave(shim);
	else
		event_timer_set_in(&shim->loop, &shim->idle, IDLE_SEC * USEC_PER_SEC, on_idle);
}

/* The one place where this process waits: children of ours, and orphans that came to us as their
 * subreaper. */
static enum event_verb on_signal(struct event_signal *s, UNUSED const struct signalfd_siginfo *info)
{
	struct shim *shim = container_of(s, struct shim, signals);

	for (;;) {
		siginfo_t si = {0};
		struct list *pos, *tmp;
		uint32_t status;

		if (RETRY_EINTR(waitid(P_ALL, 0, &si, WEXITED | WNOHANG)) < 0 || si.si_pid == 0)
			return EVENT_CONTINUE;
		status = (uint32_t)si.si_status + (si.si_code == CLD_EXITED ? 0U : 128U);
		list_for_each_safe (pos, tmp, &shim->containers) {
			if (container_reaped(
				    list_entry(pos, struct container, node), si.si_pid, status))
				break;
		}
	}
}

static void on_warning(const struct err *err, UNUSED void *ctx)
{
	log_warn("%s", err->text);
}

/* What a broken program gets of the kernel keeps its default action. */
static bool means_a_defect(int sig)
{
	return sig == SIGSEGV || sig == SIGBUS || sig == SIGFPE || sig == SIGILL ||
	       sig == SIGTRAP || sig == SIGABRT || sig == SIGSYS;
}

/* A shim with workloads stays, whatever it is told: TERM and INT are for them, and USR1, which asks
 * containerd's own shims for their stacks, is sent to every shim of a node. */
static void ignore_signals(void)
{
	for (int sig = 1; sig < _NSIG; sig++) {
		if (sig != SIGCHLD && !means_a_defect(sig))
			proc_ignore_signal(sig); /* KILL, STOP and libc's own refuse */
	}
}

static int watch_children(struct shim *shim)
{
	sigset_t mask;

	(void)sigemptyset(&mask);
	(void)sigaddset(&mask, SIGCHLD);
	ignore_signals();
	return event_signal_init(&shim->signals, &shim->loop, &mask, on_signal);
}

static int set_up(struct shim *shim, const struct shim_params *params, struct err *err)
{
	struct ttrpc_server_config config = {
		.on_connections = on_connections,
		.on_warning = on_warning,
		.ctx = shim,
	};
	int r;

	if (str_dup(&shim->ns, params->ns) < 0 ||
		str_dup(&shim->socket_path, params->socket_path) < 0)
		return err_sysf(err, ENOMEM, "shim");
	r = event_loop_init(&shim->loop);
	if (r == 0)
		r = watch_children(shim);
	if (r == 0 && prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) < 0)
		r = -errno;
	if (r < 0)
		return err_sysf(err, -r, "event loop");
	r = cgroup_host_detect(&shim->cgroup_host, err);
	if (r < 0)
		return r;
	r = events_new(&shim->loop, params->ttrpc_address, params->ns, on_events_idle, shim,
		&shim->events);
	if (r < 0)
		return err_sysf(err, -r, "events");
	/* without its runtime the shim still answers: Create says what is missing */
	if (runtime_hold(&shim->runtime_fd, &shim->runtime_error) < 0)
		log_error("%s", shim->runtime_error.text);
	config.services = task_services(shim, &config.n_services);
	return ttrpc_server_new(&shim->loop, params->listener, &config, &shim->server, err);
}

/* What goes with the pod. While another container lives in one, its `delete` is still to come. */
static void remove_views(const struct shim *shim)
{
	_cleanup_(store_layout_done) struct store_layout layout = STORE_LAYOUT_INIT;
	struct err err = ERR_INIT;
	int r = shim->views ? store_layout_init(&layout, NULL, NULL, &err) : 0;

	for (char **key = shim->views; r >= 0 && key && *key; key++)
		r = groups_remove(&layout, *key, &err);
	if (r < 0)
		log_error("removing the view of the pod: %s", err.text);
}

static void tear_down(struct shim *shim)
{
	reservations_clear(shim); /* it has calls of the server's */
	shim->server = ttrpc_server_free(shim->server);
	shim->events = events_free(shim->events);
	event_timer_clear(&shim->idle);
	event_timer_clear(&shim->farewell);
	event_signal_done(&shim->signals);
	event_loop_done(&shim->loop);
	cgroup_host_done(&shim->cgroup_host);
	fd_close(&shim->runtime_fd);
	fd_close(&shim->log_fd);
	shim->views = strv_free(shim->views);
	free(shim->home);
	shim->home = NULL;
	free(shim->ns);
	free(shim->socket_path);
}

int shim_serve(const struct shim_params *params)
{
	struct shim shim = {.runtime_fd = -EBADF, .log_fd = params->log_fd};
	int starter = params->starter, r;
	struct err err = ERR_INIT;

	shim.signals = (struct event_signal)EVENT_SIGNAL_INIT;
	list_init(&shim.containers);
	list_init(&shim.sandbox_stops);
	list_init(&shim.reservations);
	log_open(params->log_fd, params->debug ? LOG_LEVEL_DEBUG : LOG_LEVEL_INFO,
		"io.containerd.reaper.v2");
	r = set_up(&shim, params, &err);
	if (r < 0) {
		log_error("starting the shim: %s", err.text);
		(void)unlink(params->socket_path);
		fd_close(&starter);
	} else {
		log_debug("shim for %s serves at %s", params->id, params->socket_path);
		(void)shim_reserve(&shim, params->id);
		if (starter >= 0)
			reservations_watch(&shim, params->id, TAKE_FD(starter));
		r = event_loop_run(&shim.loop);
		remove_views(&shim);
	}
	tear_down(&shim);
	return r < 0 ? 1 : r;
}
