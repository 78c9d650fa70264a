/*
 * The event loop of a program without threads: epoll, sources that are embedded in the objects they
 * belong to, and callbacks that run one after the other.
 *
 * A callback may add, change and remove any source, its own included, and free what contains it:
 * whatever was removed is not called any more, not even for an event that the same epoll_wait()
 * returned. The loop and everything in it belong to the process that made it: a forked child must
 * not touch them.
 */
#pragma once

#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/epoll.h>
#include "base/list.h"

struct event_loop;
struct event_source;

/* What a callback wants next. */
enum event_verb {
	EVENT_CONTINUE, /* go on; also the answer after the callback freed its own source */
	EVENT_REMOVE,   /* remove my source (nothing if the callback did so itself) */
	EVENT_EXIT,     /* event_loop_run() returns 0 after this iteration's posts */
};

/*
 * A descriptor that is watched. Embed it, start from EVENT_SOURCE_INIT, find the object around it
 * with container_of. All members belong to the loop.
 */
struct event_source {
	struct event_loop *loop; /* NULL: in no loop */
	int fd;                  /* borrowed: close it after event_remove() */
	uint32_t mask;
	enum event_verb (*on_ready)(struct event_source *s, uint32_t events);
};

#define EVENT_SOURCE_INIT    \
	{                    \
		.fd = -EBADF \
	}

/* Work for the end of the running iteration. Embed it, start from zeroes. */
struct event_post {
	struct event_loop *loop; /* NULL: not queued */
	struct list node;
	void (*run)(struct event_post *p);
};

enum { EVENT_BATCH = 32 };

struct event_loop {
	int epoll_fd;
	bool exiting;
	int exit_code;
	struct event_source *current; /* the source whose callback runs */
	int n_ready, at;              /* the batch that is being worked on */
	struct epoll_event ready[EVENT_BATCH];
	struct list posts;
	struct list timers; /* event/timer.h: ordered, the earliest first */
	struct event_source timer_source;
	uint64_t armed_usec; /* what its descriptor is set to; 0: nothing */
};

/* Makes an empty loop with its epoll and timer descriptors. -errno. */
int event_loop_init(struct event_loop *loop);

/* Closes the descriptors. All sources, posts and timers must have been removed before. NULL and
 * twice are allowed. */
void event_loop_done(struct event_loop *loop);

/*
 * Works until a callback returns EVENT_EXIT (answer 0) or event_loop_exit() was called (answer: its
 * code). -errno when epoll itself fails. Sleeps without a time-out while nothing is posted.
 */
int event_loop_run(struct event_loop *loop);

/* One iteration, for tests and for a caller with a loop of its own: waits until something is ready,
 * or not at all. Returns the number of callbacks of sources that ran, or -errno. */
int event_loop_once(struct event_loop *loop, bool may_wait);

/* Ends event_loop_run() after the running iteration and its posts, with `code` as its answer. */
void event_loop_exit(struct event_loop *loop, int code);

/*
 * Watches `fd` (borrowed) for the EPOLL* bits of `mask`, level-triggered. Mask 0 keeps the source
 * quiet: not even EPOLLHUP is reported. -EBUSY if `s` is in a loop already, -EPERM for descriptors
 * that epoll cannot watch (plain files), -errno.
 */
int event_add(struct event_loop *loop, struct event_source *s, int fd, uint32_t mask,
	enum event_verb (*on_ready)(struct event_source *s, uint32_t events));

/* Changes what is watched for; 0 silences the source. -ENOENT if it is in no loop, -errno. */
int event_set_mask(struct event_source *s, uint32_t mask);

/* Takes the source out: it is not called again. The descriptor stays open. Harmless on a source
 * that is in no loop, and on NULL. */
void event_remove(struct event_source *s);

/*
 * Has `p` run once at the end of the running iteration (or of the next one, when called from
 * another post or from outside the loop). Queueing what is queued already changes nothing. `p` may
 * be freed in `run`.
 */
void event_post(struct event_loop *loop, struct event_post *p, void (*run)(struct event_post *p));

/* Takes a queued post back. Harmless if it is not queued. */
void event_post_cancel(struct event_post *p);
