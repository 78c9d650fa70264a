/*
 * Task events to containerd (contract §4): one ordered queue, one sender, over ttrpc. Best effort
 * by nature: containerd's CRI and ctr learn of exits from Wait, so a containerd that is away delays
 * events and never blocks anything.
 */
#pragma once

#include <protobuf-c/protobuf-c.h>
#include <stdbool.h>
#include "base/err.h"
#include "event/loop.h"

struct events;

/*
 * The wait for one event to be told. Embed it, start from zeroes, find the object around it with
 * container_of. All members belong to the queue.
 */
struct event_receipt {
	struct queued *event; /* that is not told yet; NULL: none */
	struct event_post told;
	void (*on_told)(struct event_receipt *r);
};

/*
 * `address`: TTRPC_ADDRESS, NULL or empty = events are not published. `ns`: the containerd
 * namespace. Both are copied. `on_idle` is called from the loop whenever the queue has become
 * empty. -ENOMEM.
 */
int events_new(struct event_loop *loop, const char *address, const char *ns,
	void (*on_idle)(void *ctx), void *ctx, struct events **ret_events);

/* Drops what is queued. Accepts NULL; returns NULL. */
struct events *events_free(struct events *e);

/*
 * Puts an event at the end of the queue, stamped now: call it where the state changes. `topic` is a
 * constant ("/tasks/exit"). The message is encoded here; its full name becomes the type URL. When
 * 2048 wait already the oldest of them is dropped: the newest say how things are. The log has a
 * line when that begins, and the number when containerd takes events again.
 */
void events_publish(struct events *e, const char *topic, const ProtobufCMessage *event);

/*
 * The same, and `r` waits for it (in place of what it waited for before). `on_told` is called once,
 * from the loop: when containerd has taken the event or refused it, or when that cannot be waited
 * for, because containerd is away or does not answer.
 */
void events_publish_and_tell(struct events *e, const char *topic, const ProtobufCMessage *event,
	struct event_receipt *r, void (*on_told)(struct event_receipt *r));

/* Whether `on_told` is still to come. */
bool event_receipt_waits(const struct event_receipt *r);

/* Ends the wait without a call; the event is told all the same. Twice is allowed. */
void event_receipt_cancel(struct event_receipt *r);

/* Whether everything has been delivered or given up. */
bool events_idle(const struct events *e);
