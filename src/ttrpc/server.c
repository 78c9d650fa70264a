#include "ttrpc/server.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/fd.h"
#include "ttrpc/server_private.h"

enum {
	MAX_CONNECTIONS = 256,
	MAX_CALLS = 1024,
	ACCEPTS_PER_TURN = 16,
};

void ttrpc_server_warn(const struct ttrpc_server *s, enum err_kind kind, const char *fmt, ...)
{
	struct err err = {.kind = kind};
	va_list ap;

	if (!s->config.on_warning)
		return;
	va_start(ap, fmt);
	(void)vsnprintf(err.text, sizeof(err.text), fmt, ap);
	va_end(ap);
	s->config.on_warning(&err, s->config.ctx);
}

static void tell_connections(struct ttrpc_server *s)
{
	if (s->config.on_connections)
		s->config.on_connections(s->n_peers, s->config.ctx);
}

static void peer_free(struct ttrpc_peer *peer)
{
	while (!list_empty(&peer->parked))
		ttrpc_call_cancel(list_entry(peer->parked.next, struct ttrpc_call, node));
	(void)ttrpc_conn_free(peer->conn);
	list_remove(&peer->node);
	peer->server->n_peers--;
	free(peer);
}

static void on_frame(struct ttrpc_conn *c UNUSED, const struct ttrpc_frame *frame, void *ctx)
{
	ttrpc_dispatch(ctx, frame);
}

static void on_closed(struct ttrpc_conn *c, int error, void *ctx)
{
	struct ttrpc_peer *peer = ctx;
	struct ttrpc_server *s = peer->server;

	if (error == -EMSGSIZE)
		ttrpc_server_warn(s, ERR_EXHAUSTED,
			"a client does not read its answers (%zu bytes wait): connection closed",
			ttrpc_conn_pending(c));
	else if (error && error != -ECONNRESET && error != -EPIPE)
		ttrpc_server_warn(s, err_kind_of(-error), "connection closed: errno %d", -error);
	peer_free(peer);
	tell_connections(s);
}

static const struct ttrpc_conn_ops conn_ops = {on_frame, on_closed};

/* containerd's ttrpc peers trust their own effective user and group only, and so do we. */
static int check_peer(int fd, struct err *err)
{
	socklen_t len = sizeof(struct ucred);
	struct ucred cred;

	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &len) < 0)
		return err_sysf(err, errno, "SO_PEERCRED");
	if (cred.uid != geteuid() || cred.gid != getegid())
		return err_setf(err, ERR_PERMISSION, EPERM,
			"connection from pid %d refused: uid %u gid %u, not %u and %u", cred.pid,
			cred.uid, cred.gid, geteuid(), getegid());
	return 0;
}

int ttrpc_server_adopt(struct ttrpc_server *s, int fd_take, struct err *err)
{
	struct ttrpc_peer *peer;
	int r;

	r = check_peer(fd_take, err);
	if (r < 0)
		return r;
	if (s->n_peers >= s->config.max_connections)
		return err_setf(err, ERR_EXHAUSTED, EMFILE,
			"connection refused: %zu are open already", s->n_peers);
	peer = calloc(1, sizeof(*peer));
	if (!peer)
		return err_sysf(err, ENOMEM, "connection refused");
	peer->server = s;
	list_init(&peer->parked);
	r = ttrpc_conn_new(s->loop, fd_take, &conn_ops, peer, &peer->conn);
	if (r < 0) {
		free(peer);
		return err_sysf(err, -r, "connection refused");
	}
	list_append(&s->peers, &peer->node);
	s->n_peers++;
	tell_connections(s);
	return 0;
}

/* Accepts one connection: 0, -EAGAIN when none waits, or the reason why none can be taken now. */
static int accept_one(struct ttrpc_server *s)
{
	struct err err = ERR_INIT;
	_cleanup_close_ int fd = accept4(s->listener.fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

	if (fd < 0)
		return errno == ECONNABORTED || errno == EINTR ? 0 : -errno;
	if (ttrpc_server_adopt(s, fd, &err) < 0)
		ttrpc_server_warn(s, (enum err_kind)err.kind, "%s", err.text);
	else
		(void)TAKE_FD(fd);
	return 0;
}

static void listen_again(struct event_timer *t)
{
	struct ttrpc_server *s = container_of(t, struct ttrpc_server, listen_again);

	(void)event_set_mask(&s->listener, EPOLLIN);
}

static enum event_verb on_listener(struct event_source *source, uint32_t events UNUSED)
{
	struct ttrpc_server *s = container_of(source, struct ttrpc_server, listener);
	int turns, r = 0;

	for (turns = 0; turns < ACCEPTS_PER_TURN && r == 0; turns++)
		r = accept_one(s);
	if (r < 0 && r != -EAGAIN) {
		/* Out of descriptors or memory: what waits stays in the backlog, and the listener
		 * readable. No event tells when there is room again, hence the second. */
		ttrpc_server_warn(s, err_kind_of(-r), "accept: errno %d, trying again in 1 s", -r);
		(void)event_set_mask(source, 0);
		event_timer_set_in(s->loop, &s->listen_again, USEC_PER_SEC, listen_again);
	}
	return EVENT_CONTINUE;
}

int ttrpc_server_new(struct event_loop *loop, int listener_take,
	const struct ttrpc_server_config *config, struct ttrpc_server **ret_server, struct err *err)
{
	struct ttrpc_server *s = calloc(1, sizeof(*s));
	int r;

	if (!s)
		return err_sysf(err, ENOMEM, "ttrpc server");
	s->loop = loop;
	s->config = *config;
	if (!s->config.max_connections)
		s->config.max_connections = MAX_CONNECTIONS;
	if (!s->config.max_calls)
		s->config.max_calls = MAX_CALLS;
	s->listener = (struct event_source)EVENT_SOURCE_INIT;
	list_init(&s->peers);
	r = fd_set_nonblock(listener_take);
	if (r == 0)
		r = event_add(loop, &s->listener, listener_take, EPOLLIN, on_listener);
	if (r < 0) {
		free(s);
		return err_sysf(err, -r, "ttrpc server: listener");
	}
	*ret_server = s;
	return 0;
}

static void close_listener(struct ttrpc_server *s)
{
	event_timer_clear(&s->listen_again);
	event_remove(&s->listener);
	fd_close(&s->listener.fd);
}

struct ttrpc_server *ttrpc_server_free(struct ttrpc_server *s)
{
	if (!s)
		return NULL;
	close_listener(s);
	while (!list_empty(&s->peers))
		peer_free(list_entry(s->peers.next, struct ttrpc_peer, node));
	free(s);
	return NULL;
}

void ttrpc_server_stop_listening(struct ttrpc_server *s)
{
	if (s->listener.fd < 0)
		return;
	while (accept_one(s) == 0)
		;
	close_listener(s);
}

size_t ttrpc_server_connections(const struct ttrpc_server *s)
{
	return s->n_peers;
}

size_t ttrpc_server_calls(const struct ttrpc_server *s)
{
	return s->n_parked;
}

size_t ttrpc_server_pending(const struct ttrpc_server *s)
{
	const struct list *pos;
	size_t bytes = 0;

	list_for_each (pos, &s->peers)
		bytes += ttrpc_conn_pending(list_entry(pos, struct ttrpc_peer, node)->conn);
	return bytes;
}
