/*
 * The three streams of one process, or its terminal, between the process and what its client named:
 * FIFOs, a file, or a logger (contract §5). docs/STREAMS.md has the rules in words.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include "base/err.h"
#include "event/loop.h"
#include "event/timer.h"
#include "stream/fifo.h"
#include "stream/logger.h"
#include "stream/relay.h"

struct stdio;

struct stdio_ops {
	/* The logger can be written to (`why` NULL), or never will. Not called when stdio_ready()
	 * was true behind stdio_open(). */
	void (*on_ready)(struct stdio *io, const struct err *why, void *ctx);
	/* Every output is delivered and closed, and the logger has ended. */
	void (*on_drained)(struct stdio *io, void *ctx);
};

/* stdout, or stderr. */
struct stdio_output {
	struct stdio *io;
	struct relay relay;
	struct fifo_out to;
	bool open; /* not delivered and closed yet */
	/* with a logger only: our ends of its pipe. The writer goes with the process; the reader
	 * keeps the process from SIGPIPE when its logger dies */
	int log_read, log_write;
};

#define STDIO_OUTPUT_INIT                                                                         \
	{                                                                                         \
		.relay = RELAY_INIT, .to = FIFO_OUT_INIT, .log_read = -EBADF, .log_write = -EBADF \
	}

enum { STDIO_OUT, STDIO_ERR, STDIO_OUTPUTS };

struct stdio {
	struct event_loop *loop;
	const struct stdio_ops *ops;
	void *ctx;
	bool terminal;
	struct relay in;
	int in_fifo;            /* terminal only: the client's input until the terminal is there */
	int in_writer;          /* our own writer of the input FIFO, until CloseIO */
	bool in_closed;         /* CloseIO came, maybe before there was anything to close */
	int console;            /* terminal only: the master, the only descriptor of it */
	uint16_t width, height; /* what ResizePty said before there was a terminal; 0: nothing */
	struct stdio_output outputs[STDIO_OUTPUTS];
	struct logger logger;
	bool ended;     /* the process has ended */
	bool settling;  /* nobody of ours is left to write */
	bool finishing; /* nor is anybody going to read */
	struct event_timer grace;
};

#define STDIO_INIT                                                                           \
	{                                                                                    \
		.in = RELAY_INIT, .in_fifo = -EBADF, .in_writer = -EBADF, .console = -EBADF, \
		.outputs = {STDIO_OUTPUT_INIT, STDIO_OUTPUT_INIT}, .logger = LOGGER_INIT     \
	}

/* What Create or Exec asked for. Empty strings: no such stream. */
struct stdio_paths {
	const char *in, *out, *err;
	bool terminal;
	const char *id, *ns; /* of the process, for a logger */
};

/*
 * Opens what `paths` names, starts the logger if it names one, and makes the process's ends:
 * child_fds[0…2], close-on-exec, to be closed by the caller after the clone, -EBADF = /dev/null.
 * `ops` is kept; nothing of it is called from here. On error nothing is left open.
 */
int stdio_open(struct stdio *io, struct event_loop *loop, const struct stdio_paths *paths,
	int child_fds[3], const struct stdio_ops *ops, void *ctx, struct err *err);

/* Whether the process may run: false while its logger has not said that it reads. */
bool stdio_ready(const struct stdio *io);

/* The terminal's master arrived from init. Takes it always. */
int stdio_attach_console(struct stdio *io, int master_take);

/* ResizePty: columns and rows, now or as soon as there is a terminal. Without one it is ignored. */
void stdio_resize(struct stdio *io, uint32_t width, uint32_t height);

/* CloseIO: end of input as soon as the client's own end is closed. A terminal is hung up then.
 * Repeating it does nothing; before stdio_open() it is remembered. */
void stdio_close_stdin(struct stdio *io);

/* Moves what is there now as far as the client takes it. */
void stdio_flush(struct stdio *io);

/* The process has ended: input stops. Output goes on to its end by itself. */
void stdio_process_ended(struct stdio *io);

/*
 * Everybody who should have it open is gone. Output that is held open all the same is closed after
 * two seconds in which nothing waited for the client to read; what waits is kept without a limit.
 */
void stdio_settle(struct stdio *io);

/*
 * Delete: what the client reads within two seconds is still delivered; output that is held open by
 * somebody silent is closed at once. A logger gets the time that logger_end() says. True: it is all
 * over already. False: on_drained follows. Repeating it changes nothing.
 */
bool stdio_finish(struct stdio *io);

/* The same for one whose client is not waited for: its outputs are closed when this returns. */
void stdio_cut(struct stdio *io);

/* Whether every output is delivered and closed, and no logger runs. */
bool stdio_drained(const struct stdio *io);

/* A child was reaped: true if it was the logger. */
bool stdio_reaped(struct stdio *io, pid_t pid, uint32_t status);

/* Delivers what can be delivered now and closes everything; nothing is called any more. Twice is
 * allowed. */
void stdio_done(struct stdio *io);
