/*
 * The caller's end of a workload's terminal: what is typed goes to it, what it writes comes out.
 * When the caller's standard input is a terminal itself, that is in raw mode meanwhile and its size
 * is handed on.
 */
#pragma once

#include <poll.h>
#include <stdbool.h>
#include <stddef.h>
#include <termios.h>
#include "base/err.h"

enum { CONSOLE_POLLS = 2, CONSOLE_BUFFER = 4096 };

struct console {
	int master; /* of the workload's pseudo terminal; -EBADF: none */
	bool raw;   /* standard input has to be set back */
	bool input; /* there may be more to read from it */
	struct termios saved;
	char typed[CONSOLE_BUFFER]; /* from standard input, not yet taken by the workload */
	size_t n_typed;
};

#define CONSOLE_INIT              \
	{                         \
		.master = -EBADF, \
	}

/* Takes the master (always). */
int console_open(struct console *c, int master_take, struct err *err);

/* Hands the size of the caller's terminal on; without one it does nothing. */
void console_resize(const struct console *c);

/* What to wait for: CONSOLE_POLLS entries, with fd -1 for nothing. */
void console_polls(const struct console *c, struct pollfd *ret_polls);

/* Moves what can be moved, given what poll() has answered. */
void console_move(struct console *c, const struct pollfd *polls);

/* The workload has ended: what is still in the terminal comes out. Then as console_done. */
void console_finish(struct console *c);

/* Sets the caller's terminal back. Twice is allowed. */
void console_done(struct console *c);
