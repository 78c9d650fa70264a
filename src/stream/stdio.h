/* The three streams of one process, or its terminal, between the client's FIFOs and the process. */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include "base/err.h"
#include "event/loop.h"
#include "stream/relay.h"
#include "stream/fifo.h"

struct stdio {
	struct event_loop *loop;
	bool terminal;
	struct relay in, out, err;
	struct stream_out out_stream, err_stream;
	int in_fifo;            /* terminal only: the client's input until the terminal is there */
	int in_writer;          /* our own writer of the input FIFO, until CloseIO */
	int console;            /* terminal only: the master, for its size */
	uint16_t width, height; /* what ResizePty said before there was a terminal; 0: nothing */
	int pending;            /* outputs that are not closed yet */
	void (*on_drained)(struct stdio *io, void *ctx);
	void *ctx;
};

#define STDIO_INIT                                                                               \
	{                                                                                        \
		.in = RELAY_INIT, .out = RELAY_INIT, .err = RELAY_INIT,                          \
		.out_stream = STREAM_OUT_INIT, .err_stream = STREAM_OUT_INIT, .in_fifo = -EBADF, \
		.in_writer = -EBADF, .console = -EBADF                                           \
	}

/* What Create or Exec asked for. Empty strings: no such stream. */
struct stdio_paths {
	const char *in, *out, *err;
	bool terminal;
};

/*
 * Opens the client's FIFOs and makes the process's ends: child_fds[0…2], close-on-exec, to be
 * closed by the caller after the clone, -EBADF = /dev/null. `on_drained` is called once when every
 * output has reached its end and is closed (never from here). On error nothing is left open.
 */
int stdio_open(struct stdio *io, struct event_loop *loop, const struct stdio_paths *paths,
	int child_fds[3], void (*on_drained)(struct stdio *io, void *ctx), void *ctx,
	struct err *err);

/* The terminal's master arrived from init. Takes it always. */
int stdio_attach_console(struct stdio *io, int master_take);

/* ResizePty: columns and rows, now or as soon as there is a terminal. Without one it is ignored. */
void stdio_resize(struct stdio *io, uint32_t width, uint32_t height);

/* CloseIO: end of input as soon as the client's own end is closed. Repeating it does nothing. */
void stdio_close_stdin(struct stdio *io);

/* The process has ended: input stops. Output goes on to its end by itself. */
void stdio_process_ended(struct stdio *io);

/* Delivers what can be delivered now; true while bytes of the process wait for the client to read
 * (or to open) its FIFO. False although not drained: somebody holds the output open and is silent.
 */
bool stdio_waits_for_reader(struct stdio *io);

/* Whether every output is delivered and closed. */
bool stdio_drained(const struct stdio *io);

/* Delivers what can be delivered now and closes everything; on_drained is not called any more.
 * Twice is allowed. */
void stdio_done(struct stdio *io);
