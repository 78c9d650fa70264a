/* A ttrpc client for one call at a time: how events reach containerd. Never blocks; whether and
 * when to connect again is the caller's decision. */
#pragma once

#include <protobuf-c/protobuf-c.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/err.h"
#include "event/loop.h"

struct ttrpc_client;

/*
 * Connects to a unix socket: a path, "unix://" before it is taken off. `on_closed` (may be NULL) is
 * called once when the connection ends, after the running call was failed; only ttrpc_client_free()
 * is left to do then, in the callback or later. ERR_UNAVAILABLE when nobody listens (ECONNREFUSED,
 * ENOENT) or the backlog is full (EAGAIN); ERR_INVALID for an address that is none.
 */
int ttrpc_client_connect(struct event_loop *loop, const char *address,
	void (*on_closed)(struct ttrpc_client *c, int error, void *ctx), void *ctx,
	struct ttrpc_client **ret_client, struct err *err);

/* The same for a connected socket, which is owned on success only. -errno. */
int ttrpc_client_adopt(struct event_loop *loop, int fd_take,
	void (*on_closed)(struct ttrpc_client *c, int error, void *ctx), void *ctx,
	struct ttrpc_client **ret_client);

/* Closes it; no callback is called any more, not even for a running call. Allowed in its callbacks.
 * Accepts NULL; returns NULL. */
struct ttrpc_client *ttrpc_client_free(struct ttrpc_client *c);

/*
 * Sends a call. `on_reply` is called once, never from within this function: `err` NULL and the
 * bytes of the response message (valid during the call), or what the server said, ERR_DEADLINE
 * after `timeout_usec` (0: none; also sent to the server), ERR_UNAVAILABLE when the connection
 * ended. It may start the next call. -EBUSY while a call is running, -ENOTCONN on an ended
 * connection, -EMSGSIZE when the request does not fit into a frame, -ENOMEM.
 */
int ttrpc_client_call(struct ttrpc_client *c, const char *service, const char *method,
	const ProtobufCMessage *request, uint64_t timeout_usec,
	void (*on_reply)(struct ttrpc_client *c, const struct err *err, const uint8_t *data,
		size_t len, void *ctx),
	void *ctx);

/* Whether a call is running. */
bool ttrpc_client_busy(const struct ttrpc_client *c);
