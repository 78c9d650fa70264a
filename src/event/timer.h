/*
 * Deadlines: any number of timers behind the loop's one timerfd on CLOCK_BOOTTIME, which is armed
 * for the earliest of them and disarmed when there is none. A suspended machine does not stretch a
 * deadline.
 */
#pragma once

#include "event/loop.h"

/* Embed it; start from zeroes. All members belong to the loop. */
struct event_timer {
	struct event_loop *loop; /* NULL: not set */
	struct list node;
	uint64_t deadline_usec; /* CLOCK_BOOTTIME, as clock_boot_usec() */
	void (*on_due)(struct event_timer *t);
};

/*
 * Calls `on_due` once, when clock_boot_usec() has reached `deadline_usec`; a deadline in the past
 * is due in the next iteration. A timer that is set already is moved. `on_due` may set it again or
 * free what contains it. Cannot fail: the descriptor exists since event_loop_init().
 */
void event_timer_set(struct event_loop *loop, struct event_timer *t, uint64_t deadline_usec,
	void (*on_due)(struct event_timer *t));

/* The same, `delay_usec` from now. */
void event_timer_set_in(struct event_loop *loop, struct event_timer *t, uint64_t delay_usec,
	void (*on_due)(struct event_timer *t));

/* Takes it back: it is not called again. Harmless if it is not set, and on NULL. */
void event_timer_clear(struct event_timer *t);
