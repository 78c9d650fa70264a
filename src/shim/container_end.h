/* What container.c and container_end.c share: undoing, recording, freeing. */
#pragma once

#include "shim/container.h"

/* Frees the struct and everything in it; touches nothing outside. Accepts NULL; returns NULL. */
struct container *container_free(struct container *c);

/* Takes back a Create that failed before there was a child: cgroup and record. The struct stays the
 * caller's to free. */
void container_undo(struct container *c);

/* Writes the record (store/record.h) as things stand now. */
int container_record(const struct container *c, struct err *err);
