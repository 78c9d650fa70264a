/*
 * Whether a client has read what lies in the FIFOs of a process, and the wait until it has.
 *
 * A client of containerd opens its FIFOs in a thread of its own, and gives that up when it hears
 * that the process has ended ("reading from a closed fifo"): on a busy node the output of a quick
 * process was lost. So the end is told when the client has read, at the latest after
 * UNREAD_LIMIT_USEC.
 */
#pragma once

#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include "event/loop.h"
#include "event/timer.h"

enum { UNREAD_PATHS = 2, UNREAD_LIMIT_USEC = 250000 };

struct unread {
	const char *paths[UNREAD_PATHS]; /* borrowed; NULL or "": none */
	int inotify_fd;                  /* owned, while it waits */
	struct event_source accessed;
	struct event_timer limit;
	void (*on_read)(struct unread *u);
};

#define UNREAD_INIT                                                  \
	{                                                            \
		.inotify_fd = -EBADF, .accessed = EVENT_SOURCE_INIT, \
	}

/*
 * True: bytes lie in one of `paths` (what is no FIFO has none), and `on_read` is called once, from
 * the loop: when they are read, or the time is over. False: nothing to wait for. `paths` are kept
 * until then.
 */
bool unread_wait(struct unread *u, struct event_loop *loop, const char *const paths[UNREAD_PATHS],
	void (*on_read)(struct unread *u));

/* Whether `on_read` is still to come. */
bool unread_waits(const struct unread *u);

/* Ends the wait without a call. Twice is allowed. */
void unread_done(struct unread *u);
