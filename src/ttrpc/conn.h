/*
 * One ttrpc connection on a non-blocking stream socket: frames in, frames out. Knows nothing of
 * calls; server.c and client.c do.
 *
 * Nothing here blocks. What the peer does not take is queued; while more than TTRPC_CONN_OUT_SOFT
 * bytes wait, nothing is read from it (back-pressure), and beyond TTRPC_CONN_OUT_HARD the
 * connection is given up: a peer that has stopped reading must not stall or fill the shim
 * (containerd/ttrpc issue 174).
 */
#pragma once

#include "event/loop.h"
#include "ttrpc/frame.h"

enum {
	TTRPC_CONN_IN = 8 * 1024, /* what one read takes */
	TTRPC_CONN_OUT_SOFT = 1024 * 1024,
	TTRPC_CONN_OUT_HARD = 16 * 1024 * 1024,
};

struct ttrpc_conn;

struct ttrpc_conn_ops {
	/* A frame arrived. May send, and may free the connection. */
	void (*on_frame)(struct ttrpc_conn *c, const struct ttrpc_frame *frame, void *ctx);
	/*
	 * The connection has ended: `error` 0 at the end of the peer's data, -EMSGSIZE when the
	 * peer did not take its answers, else -errno. Called once, from the loop, never from within
	 * ttrpc_conn_send(). Only ttrpc_conn_free() is left to do, here or later.
	 */
	void (*on_closed)(struct ttrpc_conn *c, int error, void *ctx);
};

/* Takes `fd_take` (a connected stream socket; made non-blocking) on success only. `ops` is kept.
 * -errno. */
int ttrpc_conn_new(struct event_loop *loop, int fd_take, const struct ttrpc_conn_ops *ops,
	void *ctx, struct ttrpc_conn **ret_conn);

/* Closes the socket, whatever is queued, without calling on_closed. Allowed in its callbacks.
 * Accepts NULL; returns NULL. */
struct ttrpc_conn *ttrpc_conn_free(struct ttrpc_conn *c);

/*
 * Sends a frame, or queues what the socket does not take now. `len` is at most TTRPC_DATA_MAX. A
 * connection that is broken, or breaks by this, swallows it: on_closed follows.
 */
void ttrpc_conn_send(struct ttrpc_conn *c, uint32_t stream, uint8_t type, uint8_t flags,
	const void *data, size_t len);

/* Bytes that wait for the peer to read. */
size_t ttrpc_conn_pending(const struct ttrpc_conn *c);
