#include "shim/events.h"

#include <errno.h>
#include <stdlib.h>
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/list.h"
#include "base/log.h"
#include "base/str.h"
#include "event/timer.h"
#include "proto/forward.pb-c.h"
#include "ttrpc/client.h"

enum {
	QUEUE_MAX = 2048,
	CALL_TIMEOUT_SEC = 5,
	RETRY_MAX_SEC = 5,
	/* after that long without containerd an event tells nobody anything new: State and Wait do
	 */
	GIVE_UP_SEC = 180,
};

struct queued {
	struct list node;
	const char *topic, *type_url; /* constants */
	struct timespec at;
	uint64_t queued_usec;
	struct event_receipt *receipt; /* borrowed; NULL: nobody waits */
	size_t len;
	uint8_t data[];
};

struct events {
	struct event_loop *loop;
	char *address, *ns;
	struct ttrpc_client *client;
	struct list queue;
	size_t length;
	struct event_timer retry;
	unsigned failures; /* in a row */
	size_t overflowed; /* dropped since the queue was full last */
	void (*on_idle)(void *ctx);
	void *ctx;
};

static void send_next(struct events *e);

int events_new(struct event_loop *loop, const char *address, const char *ns,
	void (*on_idle)(void *ctx), void *ctx, struct events **ret_events)
{
	struct events *e = calloc(1, sizeof(*e));

	if (!e)
		return -ENOMEM;
	e->loop = loop;
	e->on_idle = on_idle;
	e->ctx = ctx;
	list_init(&e->queue);
	if (str_dup(&e->ns, ns) < 0 || (!str_empty(address) && str_dup(&e->address, address) < 0)) {
		(void)events_free(e);
		return -ENOMEM;
	}
	*ret_events = e;
	return 0;
}

static void on_receipt(struct event_post *p)
{
	struct event_receipt *r = container_of(p, struct event_receipt, told);

	r->on_told(r);
}

/* Whoever waits for this event goes on, from the loop: what he does may publish events. */
static void release(struct events *e, struct queued *q)
{
	if (!q->receipt)
		return;
	q->receipt->event = NULL;
	event_post(e->loop, &q->receipt->told, on_receipt);
	q->receipt = NULL;
}

static void release_all(struct events *e)
{
	struct list *pos;

	list_for_each (pos, &e->queue)
		release(e, list_entry(pos, struct queued, node));
}

static void drop(struct events *e, struct list *node)
{
	struct queued *q = list_entry(node, struct queued, node);

	release(e, q);
	list_remove(node);
	free(q);
	e->length--;
}

static void drop_first(struct events *e)
{
	drop(e, e->queue.next);
}

static bool is_under_way(const struct events *e)
{
	return e->client && ttrpc_client_busy(e->client);
}

/* The oldest that is not being told just now: what is newest says best how things are. */
static void make_room(struct events *e)
{
	if (e->length < QUEUE_MAX)
		return;
	if (e->overflowed++ == 0)
		log_warn("containerd takes no events: %d are waiting, dropping the oldest",
			QUEUE_MAX);
	drop(e, is_under_way(e) ? e->queue.next->next : e->queue.next);
}

struct events *events_free(struct events *e)
{
	if (!e)
		return NULL;
	event_timer_clear(&e->retry);
	e->client = ttrpc_client_free(e->client);
	while (!list_empty(&e->queue))
		drop_first(e);
	free(e->address);
	free(e->ns);
	free(e);
	return NULL;
}

bool events_idle(const struct events *e)
{
	return list_empty(&e->queue);
}

static void on_retry(struct event_timer *t)
{
	send_next(container_of(t, struct events, retry));
}

/* The first event stays the first: order matters more than the delay of those behind it. */
static void retry_later(struct events *e, const char *why)
{
	uint64_t delay = ++e->failures < RETRY_MAX_SEC ? e->failures : RETRY_MAX_SEC;

	if (e->failures == 1)
		log_warn("publishing events to %s: %s, trying again", e->address, why);
	release_all(e);
	event_timer_set_in(e->loop, &e->retry, delay * USEC_PER_SEC, on_retry);
}

static void on_reply(UNUSED struct ttrpc_client *c, const struct err *err,
	UNUSED const uint8_t *data, UNUSED size_t len, void *ctx)
{
	struct events *e = ctx;

	if (err && (err->kind == ERR_UNAVAILABLE || err->kind == ERR_DEADLINE)) {
		e->client = ttrpc_client_free(e->client);
		retry_later(e, err->text);
		return;
	}
	if (err)
		log_warn("containerd refused an event, dropping it: %s", err->text);
	e->failures = 0;
	drop_first(e);
	send_next(e);
}

static void on_closed(UNUSED struct ttrpc_client *c, UNUSED int error, void *ctx)
{
	struct events *e = ctx;

	/* the running call was failed before: on_reply has decided what comes next */
	e->client = ttrpc_client_free(e->client);
}

static int send_first(struct events *e, struct err *err)
{
	struct queued *q = list_entry(e->queue.next, struct queued, node);
	Google__Protobuf__Timestamp at = GOOGLE__PROTOBUF__TIMESTAMP__INIT;
	Google__Protobuf__Any any = GOOGLE__PROTOBUF__ANY__INIT;
	Forward__Envelope envelope = FORWARD__ENVELOPE__INIT;
	Forward__ForwardRequest request = FORWARD__FORWARD_REQUEST__INIT;
	int r;

	if (!e->client) {
		r = ttrpc_client_connect(e->loop, e->address, on_closed, e, &e->client, err);
		if (r < 0)
			return r;
	}
	at.seconds = q->at.tv_sec;
	at.nanos = (int32_t)q->at.tv_nsec;
	any.type_url = (char *)q->type_url;
	any.value.data = q->data;
	any.value.len = q->len;
	envelope.timestamp = &at;
	envelope.namespace_ = e->ns;
	envelope.topic = (char *)q->topic;
	envelope.event = &any;
	request.envelope = &envelope;
	r = ttrpc_client_call(e->client, "containerd.services.events.ttrpc.v1.Events", "Forward",
		&request.base, CALL_TIMEOUT_SEC * USEC_PER_SEC, on_reply, e);
	return r < 0 ? err_sysf(err, -r, "event") : 0;
}

static void drop_old(struct events *e)
{
	uint64_t now = clock_boot_usec();
	size_t dropped = 0;

	while (!list_empty(&e->queue)) {
		struct queued *q = list_entry(e->queue.next, struct queued, node);

		if (now - q->queued_usec < GIVE_UP_SEC * USEC_PER_SEC)
			break;
		drop_first(e);
		dropped++;
	}
	if (dropped > 0)
		log_warn("containerd took no events for %d s, dropping %zu of them", GIVE_UP_SEC,
			dropped);
}

static void send_next(struct events *e)
{
	struct err err = ERR_INIT;

	if (e->retry.loop || is_under_way(e))
		return;
	if (e->failures > 0)
		drop_old(e);
	if (list_empty(&e->queue)) {
		if (e->overflowed > 0)
			log_warn("%zu events were dropped while containerd took none",
				e->overflowed);
		e->overflowed = 0;
		if (e->on_idle)
			e->on_idle(e->ctx);
		return;
	}
	if (send_first(e, &err) < 0) {
		e->client = ttrpc_client_free(e->client);
		retry_later(e, err.text);
	}
}

/* NULL: it is not told to anybody. */
static struct queued *enqueue(struct events *e, const char *topic, const ProtobufCMessage *event)
{
	size_t len = protobuf_c_message_get_packed_size(event);
	struct queued *q;

	if (!e->address)
		return NULL;
	q = malloc(sizeof(*q) + len);
	if (!q) {
		log_warn("out of memory, dropping an event (%s)", topic);
		return NULL;
	}
	make_room(e);
	q->topic = topic;
	q->type_url = event->descriptor->name;
	q->at = clock_wall();
	q->queued_usec = clock_boot_usec();
	q->receipt = NULL;
	q->len = protobuf_c_message_pack(event, q->data);
	list_append(&e->queue, &q->node);
	e->length++;
	return q;
}

void events_publish(struct events *e, const char *topic, const ProtobufCMessage *event)
{
	if (enqueue(e, topic, event))
		send_next(e);
}

void events_publish_and_tell(struct events *e, const char *topic, const ProtobufCMessage *event,
	struct event_receipt *r, void (*on_told)(struct event_receipt *r))
{
	struct queued *q = enqueue(e, topic, event);

	event_receipt_cancel(r);
	r->on_told = on_told;
	if (!q) {
		event_post(e->loop, &r->told, on_receipt);
		return;
	}
	q->receipt = r;
	r->event = q;
	if (e->failures > 0)
		release(e, q);
	send_next(e);
}

bool event_receipt_waits(const struct event_receipt *r)
{
	return r->event || r->told.loop;
}

void event_receipt_cancel(struct event_receipt *r)
{
	if (r->event)
		r->event->receipt = NULL;
	r->event = NULL;
	event_post_cancel(&r->told);
}
