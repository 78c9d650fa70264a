#include "unit/ttrpc/rig.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "proto/task.pb-c.h"
#include "proto/ttrpc.pb-c.h"

static void answer(struct ttrpc_call *call, const char *id)
{
	Task__StateResponse response = TASK__STATE_RESPONSE__INIT;

	response.id = (char *)id;
	ttrpc_call_reply(call, &response.base);
}

static void echo(struct ttrpc_call *call, const ProtobufCMessage *request, void *ctx)
{
	struct rig *rig = ctx;

	rig->n_handled++;
	answer(call, ((const Task__StateRequest *)request)->id);
}

static void cancelled(struct ttrpc_call *call, void *data)
{
	struct rig *rig = data;
	size_t i;

	rig->n_cancelled++;
	for (i = 0; i < rig->n_parked; i++)
		if (rig->parked[i] == call)
			rig->parked[i] = NULL;
	if (rig->also && rig->also != call) {
		struct ttrpc_call *also = rig->also;

		for (i = 0; i < rig->n_parked; i++)
			if (rig->parked[i] == also)
				rig->parked[i] = NULL;
		rig->also = NULL;
		answer(also, "also");
	}
}

static void park(struct ttrpc_call *call, const ProtobufCMessage *request, void *ctx)
{
	struct rig *rig = ctx;

	(void)request;
	rig->n_handled++;
	cr_assert_lt(rig->n_parked, RIG_PARKED_MAX);
	rig->parked[rig->n_parked++] = call;
	ttrpc_call_park(call, cancelled, rig);
}

static void park_and_answer(struct ttrpc_call *call, const ProtobufCMessage *request, void *ctx)
{
	ttrpc_call_park(call, cancelled, ctx);
	answer(call, ((const Task__StateRequest *)request)->id);
}

static void big(struct ttrpc_call *call, const ProtobufCMessage *request, void *ctx)
{
	struct rig *rig = ctx;
	char *text = malloc(rig->big + 1);

	(void)request;
	rig->n_handled++;
	memset(text, 'b', rig->big);
	text[rig->big] = '\0';
	answer(call, text);
	free(text);
}

static void fail(struct ttrpc_call *call, const ProtobufCMessage *request, void *ctx)
{
	struct rig *rig = ctx;

	(void)request;
	ttrpc_call_fail(call, &rig->failure);
}

static void name(struct ttrpc_call *call, const ProtobufCMessage *request, void *ctx)
{
	(void)request;
	(void)ctx;
	ttrpc_call_failf(call, ERR_UNKNOWN, "%s %s %s", ttrpc_call_service(call),
		ttrpc_call_method(call), ttrpc_call_deadline_usec(call) ? "until" : "ever");
}

static const struct ttrpc_method methods[] = {
	{"Echo", &task__state_request__descriptor, echo},
	{"Park", &task__state_request__descriptor, park},
	{"ParkAndAnswer", &task__state_request__descriptor, park_and_answer},
	{"Big", &task__state_request__descriptor, big},
	{"Fail", &task__state_request__descriptor, fail},
	{"Name", &task__state_request__descriptor, name},
};

static void connections(size_t n, void *ctx)
{
	struct rig *rig = ctx;

	rig->connections = n;
	rig->n_told++;
}

static void warned(const struct err *err, void *ctx)
{
	struct rig *rig = ctx;

	rig->warning = *err;
	rig->n_warnings++;
}

void rig_init_limits(struct rig *rig, size_t max_connections, size_t max_calls)
{
	static struct ttrpc_service services[2];
	struct ttrpc_server_config config = {
		.services = services,
		.n_services = ARRAY_LEN(services),
		.max_connections = max_connections,
		.max_calls = max_calls,
		.on_connections = connections,
		.on_warning = warned,
		.ctx = rig,
	};
	struct sockaddr_un addr = {.sun_family = AF_UNIX};
	struct err err = ERR_INIT;
	int fd;

	*rig = (struct rig) {.dir = "/tmp/ttrpc-test-XXXXXX"};
	services[0] = (struct ttrpc_service) {RIG_SERVICE, methods, ARRAY_LEN(methods), rig};
	services[1] = (struct ttrpc_service) {RIG_SERVICE_V3, methods, ARRAY_LEN(methods), rig};
	cr_assert_not_null(mkdtemp(rig->dir));
	(void)snprintf(rig->path, sizeof(rig->path), "%s/s", rig->dir);
	(void)snprintf(addr.sun_path, sizeof(addr.sun_path), "%s", rig->path);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	cr_assert_eq(bind(fd, (struct sockaddr *)&addr, sizeof(addr)), 0);
	cr_assert_eq(listen(fd, 128), 0);
	cr_assert_eq(event_loop_init(&rig->loop), 0);
	cr_assert_eq(ttrpc_server_new(&rig->loop, fd, &config, &rig->server, &err), 0);
}

void rig_init(struct rig *rig)
{
	rig_init_limits(rig, 0, 0);
}

void rig_done(struct rig *rig)
{
	rig->server = ttrpc_server_free(rig->server);
	event_loop_done(&rig->loop);
	unlink(rig->path);
	rmdir(rig->dir);
}

int rig_connect(struct rig *rig)
{
	struct err err = ERR_INIT;
	int pair[2];

	cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	cr_assert_eq(ttrpc_server_adopt(rig->server, pair[0], &err), 0, "%s", err.text);
	return pair[1];
}

void rig_pump(struct rig *rig)
{
	int r;

	do {
		r = event_loop_once(&rig->loop, false);
		cr_assert_geq(r, 0);
	} while (r > 0 || !list_empty(&rig->loop.posts));
}

size_t rig_request(uint8_t *buf, size_t size, uint32_t stream, const char *service,
	const char *method, const char *id, int64_t timeout_nano)
{
	Task__StateRequest state = TASK__STATE_REQUEST__INIT;
	Ttrpc__Request request = TTRPC__REQUEST__INIT;
	struct ttrpc_header header = {.stream = stream, .type = TTRPC_REQUEST};
	uint8_t payload[512];
	size_t len;

	state.id = (char *)id;
	cr_assert_leq(task__state_request__get_packed_size(&state), sizeof(payload));
	request.service = (char *)service;
	request.method = (char *)method;
	request.payload.data = payload;
	request.payload.len = task__state_request__pack(&state, payload);
	request.timeout_nano = timeout_nano;
	len = ttrpc__request__get_packed_size(&request);
	cr_assert_leq(len + TTRPC_HEADER_SIZE, size);
	header.length = (uint32_t)len;
	ttrpc_header_encode(&header, buf);
	(void)ttrpc__request__pack(&request, buf + TTRPC_HEADER_SIZE);
	return len + TTRPC_HEADER_SIZE;
}

void rig_send(int fd, const void *data, size_t len)
{
	cr_assert_eq(send(fd, data, len, MSG_NOSIGNAL), (ssize_t)len);
}

void rig_send_frame(
	int fd, uint32_t stream, uint8_t type, uint8_t flags, const void *data, uint32_t len)
{
	const struct ttrpc_header header = {len, stream, type, flags};
	uint8_t head[TTRPC_HEADER_SIZE];

	ttrpc_header_encode(&header, head);
	rig_send(fd, head, sizeof(head));
	if (data)
		rig_send(fd, data, len);
}

void rig_call_until(
	int fd, uint32_t stream, const char *method, const char *id, int64_t timeout_nano)
{
	uint8_t frame[2048];

	rig_send(fd, frame,
		rig_request(frame, sizeof(frame), stream, RIG_SERVICE, method, id, timeout_nano));
}

void rig_call(int fd, uint32_t stream, const char *method, const char *id)
{
	rig_call_until(fd, stream, method, id, 0);
}

/* All `len` bytes; false at the end of file. */
static bool take(struct rig *rig, int fd, uint8_t *data, size_t len)
{
	size_t at = 0;

	while (at < len) {
		ssize_t n = recv(fd, data + at, len - at, MSG_DONTWAIT);

		if (n == 0 || (n < 0 && errno == ECONNRESET))
			return false;
		if (n > 0) {
			at += (size_t)n;
			continue;
		}
		cr_assert_eq(errno, EAGAIN);
		cr_assert_geq(event_loop_once(&rig->loop, true), 0);
	}
	return true;
}

struct reply rig_receive(struct rig *rig, int fd)
{
	struct reply reply = {.eof = false};
	uint8_t head[TTRPC_HEADER_SIZE], *data;
	Task__StateResponse *state;
	Ttrpc__Response *response;

	if (!take(rig, fd, head, sizeof(head))) {
		reply.eof = true;
		return reply;
	}
	ttrpc_header_decode(head, &reply.header);
	cr_assert_leq(reply.header.length, TTRPC_DATA_MAX);
	cr_assert_eq(reply.header.type, TTRPC_RESPONSE);
	cr_assert_eq(reply.header.flags, 0);
	reply.data_len = reply.header.length;
	data = malloc(reply.data_len + 1);
	cr_assert(take(rig, fd, data, reply.data_len));
	response = ttrpc__response__unpack(NULL, reply.data_len, data);
	cr_assert_not_null(response);
	if (response->status) {
		reply.code = response->status->code;
		(void)snprintf(
			reply.message, sizeof(reply.message), "%s", response->status->message);
		cr_assert_eq(response->payload.len, 0, "no payload next to an error");
	}
	reply.payload_len = response->payload.len;
	state = task__state_response__unpack(NULL, response->payload.len, response->payload.data);
	cr_assert_not_null(state);
	(void)snprintf(reply.id, sizeof(reply.id), "%s", state->id);
	task__state_response__free_unpacked(state, NULL);
	ttrpc__response__free_unpacked(response, NULL);
	free(data);
	return reply;
}

bool rig_silent(struct rig *rig, int fd)
{
	struct pollfd p = {.fd = fd, .events = POLLIN};

	rig_pump(rig);
	return poll(&p, 1, 0) == 0;
}

void rig_expect_echo(struct rig *rig, int fd, uint32_t stream, const char *id)
{
	struct reply r = rig_receive(rig, fd);

	cr_assert_not(r.eof);
	cr_assert_eq(r.header.stream, stream, "stream %u, expected %u", r.header.stream, stream);
	cr_assert_eq(r.code, 0, "%s", r.message);
	cr_assert_str_eq(r.id, id);
}

void rig_expect_status(struct rig *rig, int fd, uint32_t stream, int32_t code, const char *message)
{
	struct reply r = rig_receive(rig, fd);

	cr_assert_not(r.eof);
	cr_assert_eq(r.header.stream, stream, "stream %u, expected %u", r.header.stream, stream);
	cr_assert_eq(r.code, code, "code %d, expected %d: %s", r.code, code, r.message);
	if (message)
		cr_assert_str_eq(r.message, message);
}
