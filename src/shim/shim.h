/* The one context of a shim: its loop, its server, its containers, and when it leaves. */
#pragma once

#include <sys/types.h>
#include "base/err.h"
#include "base/list.h"
#include "cgroup/host.h"
#include "event/loop.h"
#include "event/signal.h"
#include "event/timer.h"
#include "shim/events.h"
#include "ttrpc/server.h"

#define SHIM_LOG_NAME "io.containerd.reaper.v2"

struct container;

struct shim {
	struct event_loop loop;
	struct event_signal signals;
	struct ttrpc_server *server;
	struct events *events;
	struct cgroup_host cgroup_host;
	char *ns;
	char *socket_path;
	int log_fd;
	int runtime_fd; /* reaper-runtime as it was at our birth; -EBADF: `runtime_error` says why
			 */
	struct err runtime_error;
	char **views;              /* keys of groups that go with this pod */
	char *home;                /* the sandbox's snapshot; NULL: none */
	struct list containers;    /* those being deleted included */
	struct container *sandbox; /* made by CreateSandbox: not a task (sandbox_service.h) */
	struct list sandbox_stops; /* StopSandbox calls that wait for its end */
	struct list reservations;
	struct event_timer idle;
	struct event_timer farewell;
	bool leaving;
	bool peers_close; /* the end waits for the peers to close their connections */
	bool asked;       /* Shutdown was said while the last containers were being deleted */
	struct ttrpc_service services[4]; /* task_service.h */
};

/* What the daemon is born with. Strings are borrowed. */
struct shim_params {
	const char *ns, *id, *socket_path;
	const char *ttrpc_address; /* for events; NULL or empty: none */
	int listener;              /* taken */
	int starter;               /* taken; the `start` that waits for it (reservations.h);
				      -EBADF: none */
	int log_fd;                /* taken; -EBADF: no log */
	bool debug;
};

/*
 * Serves until the last container is gone; returns the exit status. The calling process must be
 * single-threaded and have nothing else open. Never returns while a container is there.
 */
int shim_serve(const struct shim_params *params);

/* The task with this id that is not being deleted; ERR_NOT_FOUND. */
int shim_container(
	struct shim *shim, const char *id, struct container **ret_container, struct err *err);

/* The sandbox with this id that is not being deleted, or NULL. */
struct container *shim_sandbox(struct shim *shim, const char *id);

/* Whoever has the id, a task or the sandbox, also one that is being deleted; or NULL. */
struct container *shim_any_container(struct shim *shim, const char *id);

/* The task that is being deleted, or NULL. */
struct container *shim_leaving_container(struct shim *shim, const char *id);

/* `start` keeps a place for a container that will be created. False: too late, the shim is on its
 * way out. */
bool shim_reserve(struct shim *shim, const char *id);

/* The reservation of `id` is used up. */
void shim_unreserve(struct shim *shim, const char *id);

/*
 * ShutdownSandbox was said, and its answer has to arrive: Go's ttrpc client forgets an answer when
 * the connection closes in the same moment ("ttrpc: closed"), and containerd's sandbox controller
 * takes that for a failure, as its callers of Task's Shutdown do not. It closes the connection
 * itself once it has the answer (containerd core/runtime/v2/shim.go, delete), and the shim's end
 * waits for that, within the time it gives its last events.
 */
void shim_let_peers_close(struct shim *shim);

/* Call when something that keeps the shim alive has come or gone. `asked`: containerd said
 * Shutdown. */
void shim_reconsider(struct shim *shim, bool asked);
