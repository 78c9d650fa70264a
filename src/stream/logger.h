/*
 * A logger (binary:///PATH, contract §5.5): a program that reads the output of a process from two
 * pipes until they end. It is a child of this process, in nobody's cgroup but ours.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include "base/err.h"
#include "base/proc.h"
#include "event/loop.h"
#include "event/timer.h"
#include "stream/uri.h"

struct logger;

struct logger_ops {
	/* It can be written to (`why` NULL), or never will: it was late, or has ended without a
	 * word although it had to say one. Called once, from the loop. */
	void (*on_ready)(struct logger *l, const struct err *why);
	/* It has ended. Called once, from logger_reaped(). */
	void (*on_ended)(struct logger *l, uint32_t status);
};

struct logger {
	struct event_loop *loop;
	const struct logger_ops *ops;
	char *path;
	bool must_say; /* end of file on the ready pipe is no answer */
	bool ending;
	struct proc proc;
	int ready_fd; /* >= 0: not ready yet */
	int born_fd;  /* then: what a child that could not become it says */
	struct event_source ready;
	struct event_timer timer; /* for its word, then for its end */
};

#define LOGGER_INIT                                                       \
	{                                                                 \
		.proc = PROC_INIT, .ready_fd = -EBADF, .born_fd = -EBADF, \
		.ready = EVENT_SOURCE_INIT                                \
	}

/*
 * Starts it with exactly CONTAINER_ID and CONTAINER_NAMESPACE as its environment, `out` and
 * `err_fd` (borrowed) as its descriptors 3 and 4, and the pipe on which it says that it is ready
 * as 5. ERR_NOT_FOUND and others as proc_spawn(), with its path.
 */
int logger_start(struct logger *l, struct event_loop *loop, const struct stream_uri *uri,
	const char *id, const char *ns, int out, int err_fd, const struct logger_ops *ops,
	struct err *err);

/* A child was reaped: true if it was this one. */
bool logger_reaped(struct logger *l, pid_t pid, uint32_t status);

/* Its pipes are at their end: it has two seconds to see that by itself, then it is told (SIGTERM),
 * and twelve seconds from now it is killed. on_ended follows. Twice is allowed. */
void logger_end(struct logger *l);

/* Kills it and what it has started in its process group. on_ended follows. Harmless if it has
 * ended. */
void logger_kill(struct logger *l);

/* Whether it runs. */
bool logger_alive(const struct logger *l);

/* Kills it if it runs, and forgets it: nothing is called any more, who waits for children reaps it.
 * Twice is allowed. */
void logger_done(struct logger *l);
