/* Signals as events: blocked, and read from one signalfd. No handler ever runs. */
#pragma once

#include <signal.h>
#include <sys/signalfd.h>
#include "event/loop.h"

struct event_signal {
	struct event_source source;
	enum event_verb (*on_signal)(struct event_signal *s, const struct signalfd_siginfo *info);
};

#define EVENT_SIGNAL_INIT                    \
	{                                    \
		.source = EVENT_SOURCE_INIT, \
	}

/*
 * Blocks the signals of `mask` and calls `on_signal` for each that arrives; its answer counts as
 * that of a source. Like all of the loop this is for a single-threaded process. Children made with
 * base/proc.h start with an empty mask again. -errno.
 */
int event_signal_init(struct event_signal *s, struct event_loop *loop, const sigset_t *mask,
	enum event_verb (*on_signal)(struct event_signal *s, const struct signalfd_siginfo *info));

/* Stops reading and closes the descriptor; the signals stay blocked. NULL and twice are allowed. */
void event_signal_done(struct event_signal *s);
