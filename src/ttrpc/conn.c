#include "ttrpc/conn.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include "base/fd.h"
#include "base/macro.h"

enum {
	READS_PER_TURN = 8, /* then other sources have theirs */
	KEEP_MAX = 64 * 1024,
};

struct ttrpc_conn {
	struct event_loop *loop;
	struct event_source source;
	int fd;
	const struct ttrpc_conn_ops *ops;
	void *ctx;

	struct ttrpc_decoder decoder;
	/* what was read and not yet handed out, held back while the queue is long; there is none
	   while nothing waits, so that an idle connection costs little */
	uint8_t *in;
	size_t in_at, in_len;

	struct buf out;
	size_t out_at; /* sent already */

	bool refused; /* the socket's last answer was an error that it should not have */
	bool broken;  /* on_closed is posted, or was called */
	int error;
	struct event_post closed;

	unsigned busy; /* callbacks on the stack */
	bool freed;    /* by one of them */
};

static void conn_enter(struct ttrpc_conn *c)
{
	c->busy++;
}

static void conn_leave(struct ttrpc_conn *c)
{
	if (--c->busy > 0 || !c->freed)
		return;
	ttrpc_decoder_done(&c->decoder);
	free(c->in);
	free(c);
}

static bool usable(const struct ttrpc_conn *c)
{
	return !c->broken && !c->freed;
}

size_t ttrpc_conn_pending(const struct ttrpc_conn *c)
{
	return c->out.len - c->out_at;
}

static bool throttled(const struct ttrpc_conn *c)
{
	return ttrpc_conn_pending(c) > TTRPC_CONN_OUT_SOFT;
}

static void tell_closed(struct event_post *post)
{
	struct ttrpc_conn *c = container_of(post, struct ttrpc_conn, closed);

	conn_enter(c);
	c->ops->on_closed(c, c->error, c->ctx);
	conn_leave(c);
}

static void give_up(struct ttrpc_conn *c, int error)
{
	if (!usable(c))
		return;
	c->broken = true;
	c->error = error;
	event_remove(&c->source);
	event_post(c->loop, &c->closed, tell_closed);
}

static void update_mask(struct ttrpc_conn *c)
{
	uint32_t mask = throttled(c) ? 0 : EPOLLIN;
	int r;

	if (!usable(c))
		return;
	if (ttrpc_conn_pending(c) > 0)
		mask |= EPOLLOUT;
	r = event_set_mask(&c->source, mask);
	if (r < 0)
		give_up(c, r);
}

/*
 * The socket has refused. Without memory now there may be some with the next turn of the loop.
 * What no manual says of such a socket is tried once more: containerd takes the end of a connection
 * for the end of the pod.
 */
static void refused(struct ttrpc_conn *c)
{
	if (errno == EAGAIN || errno == ENOBUFS || errno == ENOMEM)
		return;
	if (c->refused || errno == EPIPE || errno == ECONNRESET)
		give_up(c, -errno);
	c->refused = true;
}

/* What of these bytes the socket takes now; a broken socket gives the connection up. */
static size_t push(struct ttrpc_conn *c, struct iovec *iov, size_t n_iov)
{
	struct msghdr msg = {.msg_iov = iov, .msg_iovlen = n_iov};
	ssize_t n = RETRY_EINTR(sendmsg(c->fd, &msg, MSG_NOSIGNAL | MSG_DONTWAIT));

	if (n < 0)
		refused(c);
	else
		c->refused = false;
	return n < 0 ? 0 : (size_t)n;
}

static void flush(struct ttrpc_conn *c)
{
	struct iovec iov;

	if (ttrpc_conn_pending(c) == 0)
		return;
	iov.iov_base = c->out.data + c->out_at;
	iov.iov_len = ttrpc_conn_pending(c);
	c->out_at += push(c, &iov, 1);
	if (ttrpc_conn_pending(c) > 0)
		return;
	c->out_at = 0;
	if (c->out.cap > KEEP_MAX)
		buf_done(&c->out);
	else
		buf_clear(&c->out);
}

static int enqueue(struct ttrpc_conn *c, const uint8_t *data, size_t len)
{
	if (len > TTRPC_CONN_OUT_HARD - ttrpc_conn_pending(c))
		return -EMSGSIZE;
	if (c->out_at > c->out.len / 2) {
		buf_consume(&c->out, c->out_at);
		c->out_at = 0;
	}
	return buf_append(&c->out, data, len);
}

void ttrpc_conn_send(struct ttrpc_conn *c, uint32_t stream, uint8_t type, uint8_t flags,
	const void *data, size_t len)
{
	const struct ttrpc_header header = {(uint32_t)len, stream, type, flags};
	uint8_t head[TTRPC_HEADER_SIZE];
	struct iovec iov[2] = {{head, sizeof(head)}, {(void *)data, len}};
	size_t sent = 0;
	int r = 0;

	assert(len <= TTRPC_DATA_MAX);
	if (!usable(c))
		return;
	ttrpc_header_encode(&header, head);
	if (ttrpc_conn_pending(c) == 0)
		sent = push(c, iov, ARRAY_LEN(iov));
	if (sent < sizeof(head))
		r = enqueue(c, head + sent, sizeof(head) - sent);
	sent = sent > sizeof(head) ? sent - sizeof(head) : 0;
	if (r == 0 && sent < len)
		r = enqueue(c, (const uint8_t *)data + sent, len - sent);
	if (r < 0)
		give_up(c, r);
	update_mask(c);
}

/*
 * Hands out the frames that were read, until the answers to them pile up. Who cannot be answered
 * any more has said all of them before his end: they are handed out, too, and what waits on the
 * connection then is told of the end.
 */
static void process(struct ttrpc_conn *c)
{
	struct ttrpc_frame frame;
	size_t used;

	while (!c->freed && c->in_at < c->in_len && !throttled(c)) {
		bool whole = ttrpc_decoder_feed(
			&c->decoder, c->in + c->in_at, c->in_len - c->in_at, &used, &frame);

		c->in_at += used;
		if (whole)
			c->ops->on_frame(c, &frame, c->ctx);
	}
}

static void receive(struct ttrpc_conn *c)
{
	int turns;

	if (!c->in && !(c->in = malloc(TTRPC_CONN_IN))) {
		give_up(c, -ENOMEM);
		return;
	}
	for (turns = 0; turns < READS_PER_TURN && usable(c) && !throttled(c); turns++) {
		ssize_t n = RETRY_EINTR(recv(c->fd, c->in, TTRPC_CONN_IN, MSG_DONTWAIT));

		if (n == 0)
			give_up(c, 0);
		else if (n < 0)
			refused(c);
		if (n <= 0)
			return;
		c->refused = false;
		c->in_at = 0;
		c->in_len = (size_t)n;
		process(c);
		if ((size_t)n < TTRPC_CONN_IN)
			return;
	}
}

static enum event_verb on_socket(struct event_source *s, uint32_t events)
{
	struct ttrpc_conn *c = container_of(s, struct ttrpc_conn, source);

	conn_enter(c);
	if (events & ~(uint32_t)EPOLLIN)
		flush(c);
	process(c); /* what was held back */
	if (c->in_at == c->in_len && (events & ~(uint32_t)EPOLLOUT))
		receive(c);
	if (c->in_at == c->in_len && !c->freed) {
		free(c->in);
		c->in = NULL;
	}
	update_mask(c);
	conn_leave(c);
	return EVENT_CONTINUE;
}

int ttrpc_conn_new(struct event_loop *loop, int fd_take, const struct ttrpc_conn_ops *ops,
	void *ctx, struct ttrpc_conn **ret_conn)
{
	struct ttrpc_conn *c = calloc(1, sizeof(*c));
	int r;

	if (!c)
		return -ENOMEM;
	c->loop = loop;
	c->fd = fd_take;
	c->ops = ops;
	c->ctx = ctx;
	c->source = (struct event_source)EVENT_SOURCE_INIT;
	ttrpc_decoder_init(&c->decoder);
	/* Twice the limit: room for what is sent already and not yet moved out. */
	buf_init(&c->out, 2 * (size_t)TTRPC_CONN_OUT_HARD);
	r = fd_set_nonblock(fd_take);
	if (r == 0)
		r = event_add(loop, &c->source, fd_take, EPOLLIN, on_socket);
	if (r < 0) {
		free(c);
		return r;
	}
	*ret_conn = c;
	return 0;
}

struct ttrpc_conn *ttrpc_conn_free(struct ttrpc_conn *c)
{
	if (!c || c->freed)
		return NULL;
	event_remove(&c->source);
	event_post_cancel(&c->closed);
	fd_close(&c->fd);
	buf_done(&c->out);
	c->out_at = 0;
	c->freed = true;
	/* A callback of ours may hold a frame: the decoder's memory goes with the last of them. */
	conn_enter(c);
	conn_leave(c);
	return NULL;
}
