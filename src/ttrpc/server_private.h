/* What server.c (listener and peers), dispatch.c (a frame's way to its handler) and call.c (a
 * call's way to its answer) share. */
#pragma once

#include "base/list.h"
#include "event/timer.h"
#include "ttrpc/conn.h"
#include "ttrpc/server.h"

struct ttrpc_server {
	struct event_loop *loop;
	struct ttrpc_server_config config;
	struct event_source listener;
	struct event_timer listen_again; /* out of descriptors: the listener rests until then */
	struct list peers;
	size_t n_peers, n_parked;
};

/* One connection. */
struct ttrpc_peer {
	struct list node;
	struct ttrpc_server *server;
	struct ttrpc_conn *conn;
	uint32_t last_stream;
	struct list parked; /* of struct ttrpc_call */
	size_t n_parked;
};

struct ttrpc_call {
	struct list node;
	struct ttrpc_peer *peer;
	uint32_t stream;
	const char *service, *method; /* the tables' */
	uint64_t deadline_usec;
	bool *settled; /* of the handler that runs, NULL later: answered or parked */
	bool parked;
	struct event_timer timer;
	void (*on_cancel)(struct ttrpc_call *call, void *data);
	void *data;
};

/* Tells the log. */
void ttrpc_server_warn(const struct ttrpc_server *s, enum err_kind kind, const char *fmt, ...)
	PRINTF_LIKE(3, 4);

/* A frame arrived: every rule of the protocol about bad input, and the call of the handler. */
void ttrpc_dispatch(struct ttrpc_peer *peer, const struct ttrpc_frame *frame);

/* Answers a stream with a status and no payload. `text` is made valid UTF-8. */
void ttrpc_send_status(struct ttrpc_peer *peer, uint32_t stream, int32_t code, const char *text);

/* A call that stays with its handler; NULL without memory. */
struct ttrpc_call *ttrpc_call_new(struct ttrpc_peer *peer, uint32_t stream, const char *service,
	const char *method, int64_t timeout_nano);

/* Ends a parked call without an answer: tells its owner, frees it. */
void ttrpc_call_cancel(struct ttrpc_call *call);

/* The parked call of a stream, or NULL. */
struct ttrpc_call *ttrpc_call_find(struct ttrpc_peer *peer, uint32_t stream);
