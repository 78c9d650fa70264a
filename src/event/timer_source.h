/* The loop's timerfd: what loop.c and timer.c share and nobody else needs. */
#pragma once

struct event_loop;

/* Opens the timerfd, disarmed, and has it watched. -errno. */
int event_timer_source_init(struct event_loop *loop);

/*
 * Arms it for the earliest timer, or disarms it, if that is not how it stands. Once before the loop
 * waits, not at each change: most deadlines are taken back in the iteration that has set them.
 */
void event_timer_source_arm(struct event_loop *loop);

/* Closes it. */
void event_timer_source_done(struct event_loop *loop);
