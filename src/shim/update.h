/*
 * Update: new limits for a running container. They are written by a child of the shim's, because a
 * lower memory limit makes the kernel reclaim before the write returns, for seconds; one after the
 * other, in the order in which they were asked for.
 */
#pragma once

#include <stddef.h>
#include "base/err.h"
#include "base/list.h"
#include "base/proc.h"
#include "event/loop.h"

struct container;
struct ttrpc_call;

/* A container's; start from update_init. */
struct update {
	struct list queue; /* in the order in which they came; the child works for the first */
	struct proc child;
	int control;
	struct event_source source;
};

void update_init(struct update *u);

/*
 * Begins, or queues; `call` is answered when the kernel has taken every value, or with the file and
 * the value that it refused. `type_url` and `json`: the Any with OCI LinuxResources. On -errno
 * nothing was begun and `call` is still the caller's.
 */
int update_begin(struct container *c, const char *type_url, const void *json, size_t len,
	struct ttrpc_call *call, struct err *err);

/* The container ends: who waits is told so. Twice is allowed. */
void update_cancel(struct container *c);
