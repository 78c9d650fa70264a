/* The workload's terminal: a pseudo terminal of the view's own devpts. */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include "base/err.h"

struct terminal {
	int master, slave; /* close-on-exec; -EBADF: none */
};

#define TERMINAL_INIT                             \
	{                                         \
		.master = -EBADF, .slave = -EBADF \
	}

/*
 * Opens one (/dev/pts/ptmx of the caller's root), gives the slave to `uid` and sets its size (0:
 * left alone). With `console` the slave is also mounted on /dev/console.
 */
int terminal_open(uid_t uid, uint16_t width, uint16_t height, bool console, int proc_fd,
	struct terminal *ret_terminal, struct err *err);

/* Makes the slave the controlling terminal of the caller, which leads a session, and its
 * descriptors 0 to 2. */
int terminal_take(const struct terminal *t, struct err *err);

void terminal_done(struct terminal *t);
