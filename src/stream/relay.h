/*
 * One direction of a stream: bytes from one descriptor to another, without ever blocking and
 * without losing any. While the reader does not take them nothing is read either, so the writer
 * waits in its own write(): that is the flow control containerd's clients expect (contract §5.2).
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include "event/loop.h"

struct relay {
	struct event_loop *loop;
	int from, to;                 /* owned, non-blocking; -EBADF when closed */
	struct event_source readable; /* on `from` */
	struct event_source writable; /* on `to`, only while it is full */
	int watched;                  /* owned: a copy of `to` for that; -EBADF: `to` itself */
	char *rest;                   /* read but not yet taken, NULL most of the time */
	size_t rest_len, rest_at;
	bool full;       /* bytes wait for the reader */
	bool can_splice; /* both are pipes: what comes in bulk is moved, not copied */
	bool bulk;
	bool grown;     /* both pipes are larger since the first bulk */
	bool refused;   /* the last call failed as none should: it is tried once more */
	bool discard;   /* `to` is broken: go on reading so that the writer never hangs */
	unsigned flags; /* RELAY_… */
	void (*on_end)(struct relay *r);
	void (*on_flowing)(struct relay *r); /* may be set: it was full and is not any more */
	void *ctx;
};

#define RELAY_INIT                                                           \
	{                                                                    \
		.from = -EBADF, .to = -EBADF, .readable = EVENT_SOURCE_INIT, \
		.writable = EVENT_SOURCE_INIT, .watched = -EBADF             \
	}

enum {
	/* it is left open at the end: its owner closes it, in `on_end` or after relay_stop() */
	RELAY_KEEP_FROM = 1U << 0,
	RELAY_KEEP_TO = 1U << 1,
	/* `to` is another relay's `from` (a terminal's master). A loop knows a descriptor once, so
	   a copy is watched while it is full */
	RELAY_SHARE_TO = 1U << 2,
};

/*
 * Starts. Takes both descriptors always (closes them on error), but what `flags` keep;
 * `to` -EBADF: all is discarded. `on_end` is called once from the loop, when `from` is at its end
 * and everything is delivered; what it owned is closed by then.
 */
int relay_start(struct relay *r, struct event_loop *loop, int from, int to, unsigned flags,
	void (*on_end)(struct relay *r), void *ctx);

/* Whether it has not ended yet. */
bool relay_active(const struct relay *r);

/* Moves what is there now as far as the other side takes it. Does not call on_end. */
void relay_flush(struct relay *r);

/* Ends it without on_end and closes what it owns. Twice is allowed. */
void relay_stop(struct relay *r);
