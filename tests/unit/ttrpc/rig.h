/* A server in the same thread with a hand-driven client: raw bytes on one end of a socket pair. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "event/loop.h"
#include "ttrpc/frame.h"
#include "ttrpc/server.h"

enum { RIG_PARKED_MAX = 128 };

struct rig {
	struct event_loop loop;
	struct ttrpc_server *server;
	char dir[64], path[80]; /* of the listening socket */

	/* What the service did. */
	struct ttrpc_call *parked[RIG_PARKED_MAX];
	size_t n_parked, n_cancelled, n_handled;
	struct err failure;      /* what Fail answers */
	size_t big;              /* size of what Big answers */
	struct ttrpc_call *also; /* answered by the next cancellation */

	/* What the server told. */
	size_t connections, n_told, n_warnings;
	struct err warning;
};

/* A received frame and what it means. */
struct reply {
	struct ttrpc_header header;
	int32_t code;
	char message[2048];
	char id[64]; /* of the StateResponse in the payload */
	size_t payload_len, data_len;
	bool eof; /* instead of a frame */
};

/* Service names: both are served by one table of Echo, Park, Big and Fail, which take a
 * StateRequest. */
#define RIG_SERVICE    "test.v2.Rig"
#define RIG_SERVICE_V3 "test.v3.Rig"

void rig_init(struct rig *rig);
void rig_init_limits(struct rig *rig, size_t max_connections, size_t max_calls);
void rig_done(struct rig *rig);

/* A client's end of a new connection: blocking, the caller closes it. */
int rig_connect(struct rig *rig);

/* Iterations until nothing is ready any more. */
void rig_pump(struct rig *rig);

/* Writes a request frame to `buf` and returns its length. */
size_t rig_request(uint8_t *buf, size_t size, uint32_t stream, const char *service,
	const char *method, const char *id, int64_t timeout_nano);

void rig_send(int fd, const void *data, size_t len);
void rig_send_frame(
	int fd, uint32_t stream, uint8_t type, uint8_t flags, const void *data, uint32_t len);
void rig_call(int fd, uint32_t stream, const char *method, const char *id);
void rig_call_until(
	int fd, uint32_t stream, const char *method, const char *id, int64_t timeout_nano);

/* Waits for one frame (pumping the loop) and takes it apart. */
struct reply rig_receive(struct rig *rig, int fd);

/* Whether nothing has arrived after pumping. */
bool rig_silent(struct rig *rig, int fd);

/* Expects an echo, or a status. */
void rig_expect_echo(struct rig *rig, int fd, uint32_t stream, const char *id);
void rig_expect_status(struct rig *rig, int fd, uint32_t stream, int32_t code, const char *message);
