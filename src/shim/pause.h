/*
 * Pause and Resume: the container's cgroup is frozen and thawed. Freezing takes its time; the call
 * is answered when the kernel says that everything stands still.
 */
#pragma once

#include "base/err.h"
#include "base/list.h"
#include "event/loop.h"
#include "event/timer.h"

struct container;
struct ttrpc_call;

/* A container's; start from PAUSE_INIT and pause_init. */
struct pause {
	struct event_source frozen; /* cgroup2 says when */
	int frozen_fd;
	struct event_timer look; /* the v1 freezer says nothing: it is asked */
	uint64_t look_usec;
	struct list pausers; /* calls that wait */
};

void pause_init(struct pause *p);

/* Answers `call` when all of it stands still, publishes /tasks/paused. On -errno nothing was begun
 * and `call` is still the caller's. */
int pause_begin(struct container *c, struct ttrpc_call *call, struct err *err);

/* Thaws, also what is only about to stand still; publishes /tasks/resumed. */
int pause_end(struct container *c, struct err *err);

/* SIGKILL was sent to the first process: where a frozen process cannot die, it is thawed. */
void pause_killed(struct container *c);

/* The container ends, frozen or not: whoever waits for a pause is told so. Twice is allowed. */
void pause_cancel(struct container *c);
