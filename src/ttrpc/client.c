#include "ttrpc/client.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/str.h"
#include "event/timer.h"
#include "proto/ttrpc.pb-c.h"
#include "ttrpc/conn.h"
#include "ttrpc/message.h"
#include "ttrpc/status.h"

struct ttrpc_client {
	struct event_loop *loop;
	struct ttrpc_conn *conn;
	void (*on_closed)(struct ttrpc_client *c, int error, void *ctx);
	void *ctx;
	bool ended;
	bool *freed; /* of the callback that runs */

	uint32_t next_stream, stream; /* stream: of the running call, 0 if there is none */
	struct event_timer timer;
	void (*on_reply)(struct ttrpc_client *c, const struct err *err, const uint8_t *data,
		size_t len, void *ctx);
	void *reply_ctx;
};

/* Ends the running call. The client may be gone afterwards. */
static void answer(struct ttrpc_client *c, const struct err *err, const uint8_t *data, size_t len)
{
	c->stream = 0;
	event_timer_clear(&c->timer);
	c->on_reply(c, err, data, len, c->reply_ctx);
}

static void on_frame(struct ttrpc_conn *conn UNUSED, const struct ttrpc_frame *frame, void *ctx)
{
	struct ttrpc_client *c = ctx;
	struct err err = ERR_INIT;
	Ttrpc__Response *response;

	/* What else arrives is late (its call has timed out) or makes no sense. */
	if (frame->header.type != TTRPC_RESPONSE || !c->stream || frame->header.stream != c->stream)
		return;
	if (frame->lost) {
		(void)err_setf(&err, ERR_EXHAUSTED, -frame->lost, "response of %u bytes",
			frame->header.length);
		answer(c, &err, NULL, 0);
		return;
	}
	response = (Ttrpc__Response *)ttrpc_message_decode(
		&ttrpc__response__descriptor, frame->data, frame->header.length);
	if (!response) {
		(void)err_setf(&err, ERR_INTERNAL, EBADMSG, "undecodable response");
		answer(c, &err, NULL, 0);
		return;
	}
	if (response->status && response->status->code) {
		(void)err_setf(&err, ttrpc_status_kind(response->status->code), EREMOTEIO, "%s",
			response->status->message);
		answer(c, &err, NULL, 0);
	} else {
		answer(c, NULL, response->payload.data, response->payload.len);
	}
	ttrpc__response__free_unpacked(response, NULL);
}

static void on_closed(struct ttrpc_conn *conn UNUSED, int error, void *ctx)
{
	struct ttrpc_client *c = ctx;
	struct err err = ERR_INIT;
	bool freed = false;

	c->ended = true;
	if (c->stream) {
		(void)err_setf(&err, ERR_UNAVAILABLE, error ? -error : ECONNRESET,
			"the connection was closed before the answer");
		c->freed = &freed;
		answer(c, &err, NULL, 0);
		if (freed)
			return;
		c->freed = NULL;
	}
	if (c->on_closed)
		c->on_closed(c, error, c->ctx);
}

static const struct ttrpc_conn_ops conn_ops = {on_frame, on_closed};

static void timed_out(struct event_timer *t)
{
	struct ttrpc_client *c = container_of(t, struct ttrpc_client, timer);
	struct err err = ERR_INIT;

	(void)err_setf(&err, ERR_DEADLINE, ETIMEDOUT, "no answer in time");
	answer(c, &err, NULL, 0);
}

int ttrpc_client_adopt(struct event_loop *loop, int fd_take,
	void (*on_closed_fn)(struct ttrpc_client *c, int error, void *ctx), void *ctx,
	struct ttrpc_client **ret_client)
{
	struct ttrpc_client *c = calloc(1, sizeof(*c));
	int r;

	if (!c)
		return -ENOMEM;
	c->loop = loop;
	c->on_closed = on_closed_fn;
	c->ctx = ctx;
	c->next_stream = 1;
	r = ttrpc_conn_new(loop, fd_take, &conn_ops, c, &c->conn);
	if (r < 0) {
		free(c);
		return r;
	}
	*ret_client = c;
	return 0;
}

static int parse_address(const char *address, struct sockaddr_un *ret_addr, struct err *err)
{
	struct sockaddr_un addr = {.sun_family = AF_UNIX};
	const char *path = address;
	size_t len;

	if (str_has_prefix(path, "unix://"))
		path += strlen("unix://");
	len = strlen(path);
	if (path[0] != '/')
		return err_setf(err, ERR_INVALID, EINVAL, "%s: not an absolute path", address);
	if (len >= sizeof(addr.sun_path))
		return err_setf(err, ERR_INVALID, ENAMETOOLONG,
			"%s: a socket's path has at most %zu bytes", address,
			sizeof(addr.sun_path) - 1);
	memcpy(addr.sun_path, path, len);
	*ret_addr = addr;
	return 0;
}

int ttrpc_client_connect(struct event_loop *loop, const char *address,
	void (*on_closed_fn)(struct ttrpc_client *c, int error, void *ctx), void *ctx,
	struct ttrpc_client **ret_client, struct err *err)
{
	_cleanup_close_ int fd = -EBADF;
	struct sockaddr_un addr;
	int r;

	r = parse_address(address, &addr, err);
	if (r < 0)
		return r;
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return err_sysf(err, errno, "socket");
	/* A unix socket is connected at once or not at all. */
	if (RETRY_EINTR(connect(fd, (const struct sockaddr *)&addr, sizeof(addr))) < 0) {
		int errnum = errno;

		(void)err_sysf(err, errnum, "%s", address);
		if (err && (errnum == ECONNREFUSED || errnum == ENOENT || errnum == EAGAIN))
			err->kind = ERR_UNAVAILABLE;
		return -errnum;
	}
	r = ttrpc_client_adopt(loop, fd, on_closed_fn, ctx, ret_client);
	if (r < 0)
		return err_sysf(err, -r, "%s", address);
	(void)TAKE_FD(fd);
	return 0;
}

struct ttrpc_client *ttrpc_client_free(struct ttrpc_client *c)
{
	if (!c)
		return NULL;
	if (c->freed)
		*c->freed = true;
	event_timer_clear(&c->timer);
	(void)ttrpc_conn_free(c->conn);
	free(c);
	return NULL;
}

int ttrpc_client_call(struct ttrpc_client *c, const char *service, const char *method,
	const ProtobufCMessage *request, uint64_t timeout_usec,
	void (*on_reply)(struct ttrpc_client *c, const struct err *err, const uint8_t *data,
		size_t len, void *ctx),
	void *ctx)
{
	_cleanup_free_ uint8_t *payload = NULL, *data = NULL;
	Ttrpc__Request envelope = TTRPC__REQUEST__INIT;
	size_t len;
	int r;

	if (c->ended)
		return -ENOTCONN;
	if (c->stream)
		return -EBUSY;
	r = ttrpc_message_encode(request, TTRPC_DATA_MAX, &payload, &len);
	if (r < 0)
		return r;
	envelope.service = (char *)service;
	envelope.method = (char *)method;
	envelope.payload.data = payload;
	envelope.payload.len = len;
	envelope.timeout_nano =
		timeout_usec > INT64_MAX / 1000 ? INT64_MAX : (int64_t)timeout_usec * 1000;
	r = ttrpc_message_encode(&envelope.base, TTRPC_DATA_MAX, &data, &len);
	if (r < 0)
		return r;
	c->stream = c->next_stream;
	c->next_stream += 2;
	c->on_reply = on_reply;
	c->reply_ctx = ctx;
	if (timeout_usec)
		event_timer_set_in(c->loop, &c->timer, timeout_usec, timed_out);
	ttrpc_conn_send(c->conn, c->stream, TTRPC_REQUEST, 0, data, len);
	return 0;
}

bool ttrpc_client_busy(const struct ttrpc_client *c)
{
	return c->stream != 0;
}
