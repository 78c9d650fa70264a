#include "node/grpc.h"

#include <errno.h>
#include <stdbool.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/macro.h"

/* RFC 9113, 6: types and flags that matter here. */
enum {
	FRAME_DATA = 0,
	FRAME_HEADERS = 1,
	FRAME_RST_STREAM = 3,
	FRAME_SETTINGS = 4,
	FRAME_PING = 6,
	FRAME_GOAWAY = 7,
	FRAME_WINDOW_UPDATE = 8,

	FLAG_END_STREAM = 1,
	FLAG_ACK = 1,
	FLAG_END_HEADERS = 4,
	FLAG_PADDED = 8,

	FRAME_HEAD = 9,
	FRAME_PAYLOAD_MAX = 16384, /* nobody may send more unless we offer it */
	STREAM = 1,
};

struct call {
	int fd;
	uint64_t deadline;
	struct buf in;   /* bytes of frames that are not complete yet */
	struct buf data; /* of our stream: gRPC's five-byte head and the message */
	bool ended;
};

static int wait_for(const struct call *c, short events)
{
	struct pollfd pfd = {.fd = c->fd, .events = events};
	uint64_t now = clock_boot_usec();
	int r;

	if (now >= c->deadline)
		return -ETIMEDOUT;
	r = (int)RETRY_EINTR(poll(&pfd, 1, (int)((c->deadline - now) / 1000 + 1)));
	if (r < 0)
		return -errno;
	return r == 0 ? -ETIMEDOUT : 0;
}

static int send_all(struct call *c, const void *data, size_t len)
{
	const char *p = data;

	while (len > 0) {
		ssize_t n = send(c->fd, p, len, MSG_NOSIGNAL | MSG_DONTWAIT);

		if (n < 0 && errno == EAGAIN) {
			int r = wait_for(c, POLLOUT);

			if (r < 0)
				return r;
			continue;
		}
		if (n < 0 && errno != EINTR)
			return -errno;
		if (n > 0) {
			p += n;
			len -= (size_t)n;
		}
	}
	return 0;
}

static int put_frame(struct buf *b, unsigned type, unsigned flags, uint32_t stream,
	const void *payload, size_t len)
{
	unsigned char head[FRAME_HEAD] = {(unsigned char)(len >> 16), (unsigned char)(len >> 8),
		(unsigned char)len, (unsigned char)type, (unsigned char)flags,
		(unsigned char)(stream >> 24), (unsigned char)(stream >> 16),
		(unsigned char)(stream >> 8), (unsigned char)stream};
	int r = buf_append(b, head, sizeof(head));

	return r < 0 ? r : buf_append(b, payload, len);
}

/* RFC 7541, 6.2.2: literal header field without indexing, new name, no Huffman coding. */
static int put_header(struct buf *b, const char *name, const char *value)
{
	size_t name_len = strlen(name), value_len = strlen(value);
	char lengths[2] = {(char)name_len, (char)value_len};
	int r;

	if (name_len > 126 || value_len > 126) /* one byte with a prefix of seven bits */
		return -EINVAL;
	r = buf_append(b, "\0", 1);
	if (r == 0)
		r = buf_append(b, &lengths[0], 1);
	if (r == 0)
		r = buf_append(b, name, name_len);
	if (r == 0)
		r = buf_append(b, &lengths[1], 1);
	return r < 0 ? r : buf_append(b, value, value_len);
}

static int put_request(struct buf *out, const char *method, const void *message, size_t len)
{
	/* SETTINGS_INITIAL_WINDOW_SIZE, and the same for the connection: no flow control on our
	 * side */
	static const unsigned char settings[] = {0, 4, 0x01, 0, 0, 0};
	static const unsigned char window[] = {0x01, 0, 0, 0};
	/* the names with a colon must come first */
	const char *const headers[][2] = {{":method", "POST"}, {":scheme", "http"},
		{":path", method}, {":authority", "localhost"},
		{"content-type", "application/grpc"}, {"te", "trailers"}};
	_cleanup_(buf_done) struct buf head = BUF_INIT(4096), body = BUF_INIT(FRAME_PAYLOAD_MAX);
	unsigned char prefix[5] = {0, (unsigned char)(len >> 24), (unsigned char)(len >> 16),
		(unsigned char)(len >> 8), (unsigned char)len};
	int r = 0;

	for (size_t i = 0; i < ARRAY_LEN(headers) && r == 0; i++)
		r = put_header(&head, headers[i][0], headers[i][1]);
	if (r == 0)
		r = buf_append(&body, prefix, sizeof(prefix));
	if (r == 0)
		r = buf_append(&body, message, len);
	if (r == 0)
		r = buf_append_str(out, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
	if (r == 0)
		r = put_frame(out, FRAME_SETTINGS, 0, 0, settings, sizeof(settings));
	if (r == 0)
		r = put_frame(out, FRAME_WINDOW_UPDATE, 0, 0, window, sizeof(window));
	if (r == 0)
		r = put_frame(out, FRAME_HEADERS, FLAG_END_HEADERS, STREAM, head.data, head.len);
	return r < 0 ? r : put_frame(out, FRAME_DATA, FLAG_END_STREAM, STREAM, body.data, body.len);
}

static int reply_ack(struct call *c, unsigned type, const void *payload, size_t len)
{
	_cleanup_(buf_done) struct buf b = BUF_INIT(64);
	int r = put_frame(&b, type, FLAG_ACK, 0, payload, len);

	return r < 0 ? r : send_all(c, b.data, b.len);
}

static int take_frame(struct call *c, unsigned type, unsigned flags, uint32_t stream,
	const unsigned char *payload, size_t len)
{
	size_t padding = 0;
	int r = 0;

	if (type == FRAME_SETTINGS && !(flags & FLAG_ACK))
		return reply_ack(c, FRAME_SETTINGS, NULL, 0);
	if (type == FRAME_PING && !(flags & FLAG_ACK) && len == 8)
		return reply_ack(c, FRAME_PING, payload, len);
	if (type == FRAME_GOAWAY || (type == FRAME_RST_STREAM && stream == STREAM))
		return -ECONNRESET;
	if (stream != STREAM)
		return 0;
	if (type == FRAME_DATA) {
		if (flags & FLAG_PADDED) {
			padding = len > 0 ? payload[0] + 1UL : 1;
			if (padding > len)
				return -EBADMSG;
			payload++;
		}
		r = buf_append(&c->data, payload, len - padding);
	}
	if ((type == FRAME_DATA || type == FRAME_HEADERS) && (flags & FLAG_END_STREAM))
		c->ended = true;
	return r;
}

/* All complete frames that have come. */
static int take_frames(struct call *c)
{
	size_t at = 0;
	int r = 0;

	while (r == 0 && !c->ended && c->in.len - at >= FRAME_HEAD) {
		const unsigned char *h = (const unsigned char *)c->in.data + at;
		size_t len = (size_t)h[0] << 16 | (size_t)h[1] << 8 | h[2];
		uint32_t stream = (uint32_t)(h[5] & 0x7f) << 24 | (uint32_t)h[6] << 16 |
				  (uint32_t)h[7] << 8 | h[8];

		if (len > FRAME_PAYLOAD_MAX)
			return -EBADMSG;
		if (c->in.len - at - FRAME_HEAD < len)
			break;
		r = take_frame(c, h[3], h[4], stream, h + FRAME_HEAD, len);
		at += FRAME_HEAD + len;
	}
	buf_consume(&c->in, at);
	return r;
}

static int receive(struct call *c)
{
	while (!c->ended) {
		char chunk[16384];
		int r = wait_for(c, POLLIN);
		ssize_t n;

		if (r < 0)
			return r;
		n = recv(c->fd, chunk, sizeof(chunk), MSG_DONTWAIT);
		if (n == 0)
			return -ECONNRESET;
		if (n < 0 && errno != EAGAIN && errno != EINTR)
			return -errno;
		if (n < 0)
			continue;
		r = buf_append(&c->in, chunk, (size_t)n);
		if (r == 0)
			r = take_frames(c);
		if (r < 0)
			return r;
	}
	return 0;
}

static int connect_to(const char *path, struct err *err)
{
	struct sockaddr_un sa = {.sun_family = AF_UNIX};
	_cleanup_close_ int fd = -EBADF;
	size_t len = strlen(path);

	if (len >= sizeof(sa.sun_path))
		return err_setf(err, ERR_INVALID, ENAMETOOLONG, "%s", path);
	memcpy(sa.sun_path, path, len + 1);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return err_sysf(err, errno, "socket");
	/* a unix socket connects at once, or says EAGAIN when too many wait already */
	if (connect(fd, (struct sockaddr *)&sa, sizeof(sa)) < 0)
		return err_setf(
			err, ERR_UNAVAILABLE, errno, "%s: %s", path, strerrordesc_np(errno));
	return TAKE_FD(fd);
}

int grpc_call(const char *socket_path, const char *method, const void *message, size_t len,
	uint64_t deadline, struct buf *ret, struct err *err)
{
	_cleanup_(buf_done) struct buf out = BUF_INIT(1 << 20);
	_cleanup_close_ int fd = connect_to(socket_path, err);
	struct call c = {.fd = fd,
		.deadline = deadline,
		.in = BUF_INIT(1 << 20),
		.data = BUF_INIT(GRPC_MESSAGE_MAX)};
	int r;

	if (fd < 0)
		return fd;
	r = put_request(&out, method, message, len);
	if (r == 0)
		r = send_all(&c, out.data, out.len);
	if (r == 0)
		r = receive(&c);
	if (r == 0 && c.data.len < 5)
		r = err_setf(err, ERR_UNAVAILABLE, EAGAIN, "%s answers %s with an error",
			socket_path, method);
	else if (r == 0)
		r = buf_append(ret, c.data.data + 5, c.data.len - 5);
	else
		(void)err_sysf(err, -r, "%s %s", socket_path, method);
	buf_done(&c.in);
	buf_done(&c.data);
	return r;
}

static int read_varint(const char *message, size_t len, size_t *at, uint64_t *ret)
{
	uint64_t v = 0;

	for (unsigned shift = 0; shift < 64 && *at < len; shift += 7) {
		unsigned char b = (unsigned char)message[(*at)++];

		v |= (uint64_t)(b & 0x7f) << shift;
		if (!(b & 0x80)) {
			*ret = v;
			return 0;
		}
	}
	return -EBADMSG;
}

int pb_next(const char *message, size_t len, size_t *at, struct pb_field *ret)
{
	uint64_t tag, size = 0;
	int r;

	if (*at >= len)
		return 0;
	r = read_varint(message, len, at, &tag);
	if (r < 0 || tag >> 3 > UINT32_MAX)
		return -EBADMSG;
	*ret = (struct pb_field) {.number = (uint32_t)(tag >> 3), .type = (uint32_t)(tag & 7)};
	switch (ret->type) {
	case 0:
		return read_varint(message, len, at, &ret->value) < 0 ? -EBADMSG : 1;
	case 1:
		size = 8;
		break;
	case 2:
		if (read_varint(message, len, at, &size) < 0)
			return -EBADMSG;
		break;
	case 5:
		size = 4;
		break;
	default:
		return -EBADMSG;
	}
	if (size > len - *at)
		return -EBADMSG;
	ret->data = message + *at;
	ret->len = (size_t)size;
	*at += (size_t)size;
	return 1;
}
