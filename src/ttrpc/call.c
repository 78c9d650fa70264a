#include <assert.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/str.h"
#include "base/utf8.h"
#include "proto/ttrpc.pb-c.h"
#include "ttrpc/message.h"
#include "ttrpc/server_private.h"
#include "ttrpc/status.h"

enum {
	/* Error text, ": ", kind and their tags. */
	STATUS_SIZE_MAX = ERR_TEXT_MAX + 256,
};

void ttrpc_send_status(struct ttrpc_peer *peer, uint32_t stream, int32_t code, const char *text)
{
	Google__Rpc__Status status = GOOGLE__RPC__STATUS__INIT;
	Ttrpc__Response response = TTRPC__RESPONSE__INIT;
	char clean[ERR_TEXT_MAX + 64];
	uint8_t data[STATUS_SIZE_MAX]; /* not from the heap: also says that there is no memory */

	(void)snprintf(clean, sizeof(clean), "%s", text);
	/* a proto3 string that is no UTF-8 (a file name, a character cut in half) makes Go's
	 * decoder refuse the answer */
	utf8_clean(clean);
	status.code = code;
	status.message = clean;
	response.status = &status;
	assert(ttrpc__response__get_packed_size(&response) <= sizeof(data));
	ttrpc_conn_send(peer->conn, stream, TTRPC_RESPONSE, 0, data,
		ttrpc__response__pack(&response, data));
}

static uint64_t deadline_of(int64_t timeout_nano)
{
	uint64_t now = clock_boot_usec();

	if (timeout_nano == 0)
		return 0;
	if (timeout_nano < 0) /* it passed on the way, as Go's client may say */
		return now;
	return now + (uint64_t)timeout_nano / 1000;
}

struct ttrpc_call *ttrpc_call_new(struct ttrpc_peer *peer, uint32_t stream, const char *service,
	const char *method, int64_t timeout_nano)
{
	struct ttrpc_call *call = calloc(1, sizeof(*call));

	if (!call)
		return NULL;
	list_init(&call->node);
	call->peer = peer;
	call->stream = stream;
	call->service = service;
	call->method = method;
	call->deadline_usec = deadline_of(timeout_nano);
	return call;
}

static void call_free(struct ttrpc_call *call)
{
	if (call->settled)
		*call->settled = true;
	if (call->parked) {
		list_remove(&call->node);
		event_timer_clear(&call->timer);
		call->peer->n_parked--;
		call->peer->server->n_parked--;
	}
	free(call);
}

void ttrpc_call_cancel(struct ttrpc_call *call)
{
	/* Out of the list first: the callback may answer other calls of this connection. */
	list_remove(&call->node);
	call->on_cancel(call, call->data);
	call_free(call);
}

struct ttrpc_call *ttrpc_call_find(struct ttrpc_peer *peer, uint32_t stream)
{
	struct list *pos;

	list_for_each (pos, &peer->parked) {
		struct ttrpc_call *call = list_entry(pos, struct ttrpc_call, node);

		if (call->stream == stream)
			return call;
	}
	return NULL;
}

void ttrpc_call_reply(struct ttrpc_call *call, const ProtobufCMessage *message)
{
	Ttrpc__Response response = TTRPC__RESPONSE__INIT;
	uint8_t *payload = NULL, *data = NULL;
	size_t len = 0, data_len = 0;
	int r;

	r = ttrpc_message_encode(message, TTRPC_DATA_MAX, &payload, &len);
	if (r == 0) {
		response.payload.data = payload;
		response.payload.len = len;
		r = ttrpc_message_encode(&response.base, TTRPC_DATA_MAX, &data, &data_len);
	}
	if (r == 0)
		ttrpc_conn_send(call->peer->conn, call->stream, TTRPC_RESPONSE, 0, data, data_len);
	else
		ttrpc_send_status(call->peer, call->stream, ttrpc_status_code(ERR_EXHAUSTED),
			r == -EMSGSIZE ? "response exceeds the maximum message size of 4 MiB"
				       : "out of memory for the response");
	free(payload);
	free(data);
	call_free(call);
}

void ttrpc_call_fail(struct ttrpc_call *call, const struct err *err)
{
	enum err_kind kind = err->kind > ERR_NONE && err->kind < _ERR_KIND_MAX
				     ? (enum err_kind)err->kind
				     : ERR_UNKNOWN;
	char text[ERR_TEXT_MAX]; /* with the suffix: people see no more of it anyway */

	/* containerd's client takes the suffix off again where it adds its own. */
	if (kind == ERR_UNKNOWN || str_has_suffix(err->text, err_kind_name(kind)))
		(void)snprintf(text, sizeof(text), "%s", err->text);
	else
		(void)snprintf(text, sizeof(text), "%.*s: %s",
			(int)(sizeof(text) - strlen(err_kind_name(kind)) - 3), err->text,
			err_kind_name(kind));
	ttrpc_send_status(call->peer, call->stream, ttrpc_status_code(kind), text);
	call_free(call);
}

void ttrpc_call_failf(struct ttrpc_call *call, enum err_kind kind, const char *fmt, ...)
{
	struct err err = {.kind = kind};
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(err.text, sizeof(err.text), fmt, ap);
	va_end(ap);
	ttrpc_call_fail(call, &err);
}

static void deadline_passed(struct event_timer *t)
{
	struct ttrpc_call *call = container_of(t, struct ttrpc_call, timer);

	ttrpc_send_status(call->peer, call->stream, ttrpc_status_code(ERR_DEADLINE),
		"context deadline exceeded");
	ttrpc_call_cancel(call);
}

void ttrpc_call_park(
	struct ttrpc_call *call, void (*on_cancel)(struct ttrpc_call *call, void *data), void *data)
{
	struct ttrpc_peer *peer = call->peer;

	assert(on_cancel && !call->parked);
	call->on_cancel = on_cancel;
	call->data = data;
	call->parked = true;
	list_append(&peer->parked, &call->node);
	peer->n_parked++;
	peer->server->n_parked++;
	*call->settled = true;
	call->settled = NULL;
	if (call->deadline_usec)
		event_timer_set(
			peer->server->loop, &call->timer, call->deadline_usec, deadline_passed);
}

const char *ttrpc_call_service(const struct ttrpc_call *call)
{
	return call->service;
}

const char *ttrpc_call_method(const struct ttrpc_call *call)
{
	return call->method;
}

uint64_t ttrpc_call_deadline_usec(const struct ttrpc_call *call)
{
	return call->deadline_usec;
}
