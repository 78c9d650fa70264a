/*
 * Bytes from a client that means no good, against the whole server: decoder, rules, the decoders of
 * all messages a shim takes, parked and cancelled calls.
 *
 * The first byte chooses the size of the pieces in which the rest is sent. What must hold: all that
 * comes back is well-formed, one answer for each call at most; after the end of the connection
 * nothing is parked, and the server goes on.
 */
#include <assert.h>
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "proto/forward.pb-c.h"
#include "proto/sandbox.pb-c.h"
#include "proto/task.pb-c.h"
#include "proto/ttrpc.pb-c.h"
#include "ttrpc/frame.h"
#include "ttrpc/server.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Set by nomem.c: an allocation will fail. A connection may end early then, and this program's own
 * reading of the answers may fail. */
extern bool fuzz_memory_fails;
bool fuzz_memory_fails;

static struct event_loop loop;
static struct ttrpc_server *server;
static struct ttrpc_call *parked;

static void reply(struct ttrpc_call *call, const ProtobufCMessage *request, void *ctx)
{
	(void)ctx;
	/* A request is a message like any other: encode again what was decoded. */
	ttrpc_call_reply(call, request);
}

static void cancelled(struct ttrpc_call *call, void *data)
{
	(void)data;
	if (call == parked)
		parked = NULL;
}

static void park(struct ttrpc_call *call, const ProtobufCMessage *request, void *ctx)
{
	(void)request;
	(void)ctx;
	/* Every second one is answered by the one after it. */
	if (parked) {
		ttrpc_call_failf(parked, ERR_NOT_FOUND, "%s", ttrpc_call_method(parked));
		parked = NULL;
		ttrpc_call_park(call, cancelled, NULL);
	} else {
		ttrpc_call_park(call, cancelled, NULL);
		parked = call;
	}
}

static const struct ttrpc_method methods[] = {
	{"Create", &task__create_task_request__descriptor, reply},
	{"Delete", &task__delete_request__descriptor, reply},
	{"Exec", &task__exec_process_request__descriptor, reply},
	{"ResizePty", &task__resize_pty_request__descriptor, reply},
	{"Kill", &task__kill_request__descriptor, reply},
	{"Update", &task__update_task_request__descriptor, reply},
	{"Wait", &task__wait_request__descriptor, park},
	{"CreateSandbox", &sandbox__create_sandbox_request__descriptor, reply},
	{"StopSandbox", &sandbox__stop_sandbox_request__descriptor, reply},
	{"SandboxStatus", &sandbox__sandbox_status_response__descriptor, reply},
	{"Forward", &forward__forward_request__descriptor, reply},
};

static const struct ttrpc_service services[] = {
	{"t", methods, ARRAY_LEN(methods), NULL},
	{"containerd.task.v2.Task", methods, ARRAY_LEN(methods), NULL},
};

static void start(void)
{
	const struct ttrpc_server_config config = {
		.services = services,
		.n_services = ARRAY_LEN(services),
		.max_calls = 16,
	};
	/* A listener that nobody knows of: the kernel invents a name for this address. */
	const struct sockaddr unnamed = {.sa_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (event_loop_init(&loop) < 0 || fd < 0 ||
		bind(fd, &unnamed, sizeof(unnamed.sa_family)) < 0 || listen(fd, 1) < 0 ||
		ttrpc_server_new(&loop, fd, &config, &server, NULL) < 0)
		abort();
}

static void pump(void)
{
	int r;

	do {
		r = event_loop_once(&loop, false);
		assert(r >= 0);
	} while (r > 0 || !list_empty(&loop.posts));
}

/* Takes what came back and looks at each frame. */
static void check_answers(struct ttrpc_decoder *decoder, int fd)
{
	uint8_t data[16 * 1024];
	ssize_t n;

	while ((n = recv(fd, data, sizeof(data), MSG_DONTWAIT)) > 0) {
		size_t at = 0, used;

		while (at < (size_t)n) {
			struct ttrpc_frame frame;
			Ttrpc__Response *response;
			bool whole = ttrpc_decoder_feed(
				decoder, data + at, (size_t)n - at, &used, &frame);

			at += used;
			if (!whole)
				continue;
			if (frame.lost && fuzz_memory_fails)
				continue;
			assert(!frame.lost && frame.header.type == TTRPC_RESPONSE);
			assert(frame.header.flags == 0);
			response = ttrpc__response__unpack(NULL, frame.header.length, frame.data);
			if (!response && fuzz_memory_fails)
				continue;
			assert(response);
			assert(!response->status || response->status->code != 0);
			ttrpc__response__free_unpacked(response, NULL);
		}
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct ttrpc_decoder answers;
	size_t piece, at = 1;
	int pair[2];

	if (!server)
		start();
	if (size < 2)
		return 0;
	piece = data[0] ? data[0] : size;
	/* Many one-byte pieces only cost time. */
	if (piece < size / 64)
		piece = size / 64;
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
		abort();
	if (ttrpc_server_adopt(server, pair[0], NULL) < 0) {
		assert(fuzz_memory_fails);
		close(pair[0]);
		close(pair[1]);
		return 0;
	}
	ttrpc_decoder_init(&answers);
	while (at < size) {
		size_t len = size - at < piece ? size - at : piece;
		ssize_t n = send(pair[1], data + at, len, MSG_DONTWAIT | MSG_NOSIGNAL);

		if (n < 0 && errno == EPIPE && fuzz_memory_fails)
			break;
		assert(n > 0 || errno == EAGAIN);
		if (n > 0)
			at += (size_t)n;
		pump();
		check_answers(&answers, pair[1]);
	}
	assert(ttrpc_server_connections(server) == 1 || fuzz_memory_fails);
	close(pair[1]);
	pump();
	assert(ttrpc_server_connections(server) == 0);
	assert(ttrpc_server_calls(server) == 0 && !parked);
	assert(list_empty(&loop.timers));
	ttrpc_decoder_done(&answers);
	return 0;
}
