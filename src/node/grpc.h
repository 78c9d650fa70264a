/*
 * One unary gRPC call over a unix socket: enough HTTP/2 (RFC 9113) to ask containerd's CRI plugin a
 * question, with nothing that keeps state: one connection, one stream, then gone. Requests spell
 * their headers without compression; response headers are not needed, because a call that failed
 * has no message.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>
#include "base/buf.h"
#include "base/err.h"

enum { GRPC_MESSAGE_MAX = 16 << 20 };

/*
 * Calls `method` ("/runtime.v1.RuntimeService/Status") of the server at the unix socket with the
 * message's bytes, and appends the answer's to *ret. ERR_UNAVAILABLE: nobody listens there, or the
 * server has no such service (yet): its error carries no message. ERR_DEADLINE behind `deadline`
 * (clock_boot_usec).
 */
int grpc_call(const char *socket_path, const char *method, const void *message, size_t len,
	uint64_t deadline, struct buf *ret, struct err *err);

/* One field of a protobuf message. */
struct pb_field {
	uint32_t number, type; /* wire type: 0 varint, 2 bytes; others are passed over */
	uint64_t value;
	const char *data;
	size_t len;
};

/* Reads the field at *at and moves behind it. 1, 0 at the end, -EBADMSG. */
int pb_next(const char *message, size_t len, size_t *at, struct pb_field *ret);
