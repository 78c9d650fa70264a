#include "shim/reserve.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/str.h"
#include "proto/task.pb-c.h"
#include "proto/ttrpc.pb-c.h"
#include "shim/socket.h"
#include "ttrpc/frame.h"

enum { ANSWER_SEC = 10, SERVED_SEC = 1, ANSWER_MAX = 4096, FRAME_MAX = 512 };

/* Puts one request into `frame`; its length. */
static size_t encode(uint8_t frame[FRAME_MAX], uint32_t stream, const char *method, const char *id)
{
	Task__ConnectRequest body = TASK__CONNECT_REQUEST__INIT;
	Ttrpc__Request request = TTRPC__REQUEST__INIT;
	uint8_t payload[128];
	size_t len;

	body.id = (char *)id; /* an identifier: 76 bytes at most */
	request.service = (char *)SHIM_SERVICE;
	request.method = (char *)method;
	request.payload.data = payload;
	request.payload.len = task__connect_request__pack(&body, payload);
	len = ttrpc__request__pack(&request, frame + TTRPC_HEADER_SIZE);
	ttrpc_header_encode(
		&(struct ttrpc_header) {
			.length = (uint32_t)len, .stream = stream, .type = TTRPC_REQUEST},
		frame);
	return TTRPC_HEADER_SIZE + len;
}

static int send_request(int sock, const char *id)
{
	uint8_t frames[2 * FRAME_MAX];
	size_t len = encode(frames, 1, SHIM_METHOD_RESERVE, id);

	len += encode(frames + len, 3, SHIM_METHOD_HOLD, id);
	/* a new socket's buffer takes it whole */
	return send(sock, frames, len, MSG_NOSIGNAL) == (ssize_t)len ? 0 : -errno;
}

static void tell(int sock, const char *method, const char *id)
{
	uint8_t frame[FRAME_MAX];
	size_t len = encode(frame, 5, method, id);

	(void)send(sock, frame, len, MSG_NOSIGNAL | MSG_DONTWAIT);
}

void reserve_keep(int sock, const char *id)
{
	tell(sock, SHIM_METHOD_KEEP, id);
}

/* 1: a whole frame is in `buf`; 0: the peer closed. */
static int receive_frame(int sock, uint8_t *buf, size_t *ret_len, uint64_t deadline)
{
	size_t have = 0, want = TTRPC_HEADER_SIZE;

	while (have < want) {
		struct pollfd p = {.fd = sock, .events = POLLIN};
		uint64_t now = clock_boot_usec();
		ssize_t n;

		if (now >= deadline)
			return -ETIMEDOUT;
		if (poll(&p, 1, (int)((deadline - now) / 1000U) + 1) < 0 && errno != EINTR)
			return -errno;
		n = recv(sock, buf + have, want - have, MSG_DONTWAIT);
		if (n < 0 && (errno == EAGAIN || errno == EINTR))
			continue;
		if (n <= 0)
			return n == 0 || errno == ECONNRESET ? 0 : -errno;
		have += (size_t)n;
		if (have == TTRPC_HEADER_SIZE) {
			want += (size_t)buf[0] << 24 | (size_t)buf[1] << 16 | (size_t)buf[2] << 8 |
				buf[3];
			if (want > ANSWER_MAX)
				return -EMSGSIZE;
		}
	}
	*ret_len = have;
	return 1;
}

int reserve_release(int sock, const char *id)
{
	uint8_t answer[ANSWER_MAX];
	size_t len = 0;

	tell(sock, SHIM_METHOD_RELEASE, id);
	return receive_frame(sock, answer, &len, clock_boot_usec() + SERVED_SEC * USEC_PER_SEC);
}

int reserve_ask(int sock, UNUSED const char *ns, const char *id, struct err *err)
{
	uint8_t answer[ANSWER_MAX];
	Ttrpc__Response *response;
	size_t len = 0;
	int r = send_request(sock, id);

	if (r == -EPIPE || r == -ECONNRESET)
		return RESERVE_LEAVING;
	if (r == 0)
		r = receive_frame(
			sock, answer, &len, clock_boot_usec() + ANSWER_SEC * USEC_PER_SEC);
	if (r == 0)
		return RESERVE_LEAVING;
	if (r < 0)
		return err_sysf(err, -r, "asking it to take container %s", id);
	response =
		ttrpc__response__unpack(NULL, len - TTRPC_HEADER_SIZE, answer + TTRPC_HEADER_SIZE);
	if (!response)
		return err_setf(err, ERR_INTERNAL, EPROTO, "its answer is no ttrpc response");
	if (response->status && response->status->code != 0)
		r = err_setf(err, ERR_UNAVAILABLE, EPROTO, "it does not take container %s: %.200s",
			id, response->status->message);
	else
		r = RESERVE_GRANTED;
	ttrpc__response__free_unpacked(response, NULL);
	return r;
}
