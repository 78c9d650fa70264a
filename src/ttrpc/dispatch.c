#include <assert.h>
#include <stdarg.h>
#include <stdio.h>

#include "base/str.h"
#include "proto/ttrpc.pb-c.h"
#include "ttrpc/message.h"
#include "ttrpc/server_private.h"
#include "ttrpc/status.h"

/* A refusal in the words of containerd's server. */
static void refuse(struct ttrpc_peer *peer, uint32_t stream, enum err_kind kind, const char *fmt,
	...) PRINTF_LIKE(4, 5);

static void refuse(
	struct ttrpc_peer *peer, uint32_t stream, enum err_kind kind, const char *fmt, ...)
{
	char text[ERR_TEXT_MAX];
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	/* names come from outside: a line break in one must not look like a second message */
	for (char *c = text; *c; c++) {
		if ((unsigned char)*c < ' ' || *c == 0x7f)
			*c = '?';
	}
	ttrpc_send_status(peer, stream, ttrpc_status_code(kind), text);
}

static const struct ttrpc_service *find_service(const struct ttrpc_server *s, const char *name)
{
	size_t i;

	for (i = 0; i < s->config.n_services; i++)
		if (str_eq(s->config.services[i].name, name))
			return &s->config.services[i];
	return NULL;
}

static const struct ttrpc_method *find_method(const struct ttrpc_service *service, const char *name)
{
	size_t i;

	for (i = 0; i < service->n_methods; i++)
		if (str_eq(service->methods[i].name, name))
			return &service->methods[i];
	return NULL;
}

static void run_handler(struct ttrpc_peer *peer, uint32_t stream, const Ttrpc__Request *request,
	const struct ttrpc_service *service, const struct ttrpc_method *method)
{
	ProtobufCMessage *message;
	struct ttrpc_call *call;
	bool settled = false;

	message =
		ttrpc_message_decode(method->request, request->payload.data, request->payload.len);
	if (!message) {
		refuse(peer, stream, ERR_INTERNAL, "method %s: the payload is no %s", method->name,
			method->request->name);
		return;
	}
	call = ttrpc_call_new(peer, stream, service->name, method->name, request->timeout_nano);
	if (call) {
		call->settled = &settled;
		method->handle(call, message, service->ctx);
		assert(settled);
	} else {
		refuse(peer, stream, ERR_EXHAUSTED, "out of memory");
	}
	protobuf_c_message_free_unpacked(message, NULL);
}

static void run_request(
	struct ttrpc_peer *peer, const struct ttrpc_header *h, const Ttrpc__Request *request)
{
	const struct ttrpc_server *s = peer->server;
	const struct ttrpc_service *service = find_service(s, request->service);
	const struct ttrpc_method *method = service ? find_method(service, request->method) : NULL;

	if (!service)
		refuse(peer, h->stream, ERR_UNIMPLEMENTED, "service %s", request->service);
	else if (!method)
		refuse(peer, h->stream, ERR_UNIMPLEMENTED, "method %s", request->method);
	else if (h->flags & (TTRPC_REMOTE_CLOSED | TTRPC_REMOTE_OPEN))
		refuse(peer, h->stream, ERR_UNIMPLEMENTED, "method %s does not stream",
			method->name);
	else if (peer->n_parked >= s->config.max_calls)
		refuse(peer, h->stream, ERR_EXHAUSTED,
			"%zu calls on this connection wait for their answers already",
			peer->n_parked);
	else
		run_handler(peer, h->stream, request, service, method);
}

static void on_request(struct ttrpc_peer *peer, const struct ttrpc_frame *frame)
{
	const struct ttrpc_header *h = &frame->header;
	Ttrpc__Request *request;

	if (h->stream <= peer->last_stream) {
		refuse(peer, h->stream, ERR_INVALID,
			"StreamID cannot be re-used and must increment");
		return;
	}
	peer->last_stream = h->stream;
	request = (Ttrpc__Request *)ttrpc_message_decode(
		&ttrpc__request__descriptor, frame->data, h->length);
	if (!request) {
		refuse(peer, h->stream, ERR_INVALID, "unmarshal request error: no ttrpc.Request");
		ttrpc_server_warn(peer->server, ERR_INVALID,
			"stream %u: %u bytes that are no ttrpc.Request", h->stream, h->length);
		return;
	}
	run_request(peer, h, request);
	ttrpc__request__free_unpacked(request, NULL);
}

/* Nothing streams here: data can only be a mistake, and ends the call that it is addressed to. */
static void on_data(struct ttrpc_peer *peer, const struct ttrpc_frame *frame)
{
	struct ttrpc_call *call = ttrpc_call_find(peer, frame->header.stream);

	refuse(peer, frame->header.stream, ERR_INVALID,
		call ? "data on a stream that is not streaming" : "StreamID is no longer active");
	if (call)
		ttrpc_call_cancel(call);
}

void ttrpc_dispatch(struct ttrpc_peer *peer, const struct ttrpc_frame *frame)
{
	const struct ttrpc_header *h = &frame->header;

	if (frame->lost) {
		refuse(peer, h->stream, ERR_EXHAUSTED,
			"message length %u exceeds the maximum message size of %d", h->length,
			TTRPC_DATA_MAX);
		ttrpc_server_warn(peer->server, ERR_EXHAUSTED,
			"stream %u: a message of %u bytes was refused", h->stream, h->length);
	} else if (h->stream % 2 != 1) {
		refuse(peer, h->stream, ERR_INVALID,
			"StreamID must be odd for client initiated streams");
	} else if (h->type == TTRPC_REQUEST) {
		on_request(peer, frame);
	} else if (h->type == TTRPC_DATA) {
		on_data(peer, frame);
	}
	/* Other types are ignored, for what a later protocol may bring. */
}
