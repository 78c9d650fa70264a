/*
 * The shim's ends of the FIFOs that a containerd client made for a process (contract §5): opened so
 * that neither side's restart is taken for the end of the stream, and closed so that the last bytes
 * are not lost to a client that opens late.
 */
#pragma once

#include <stdbool.h>
#include "base/err.h"
#include "event/loop.h"

/* Where output goes: a FIFO (or a plain file). */
struct fifo_out {
	struct event_loop *loop;
	char *path;
	int write_fd;   /* -EBADF: no such stream, or closed */
	int read_fd;    /* our own reader: no EPIPE while containerd is away */
	int inotify_fd; /* while waiting for a reader that never came yet */
	struct event_source opened;
	void (*on_closed)(void *ctx);
	void *ctx;
};

#define FIFO_OUT_INIT                                                        \
	{                                                                    \
		.write_fd = -EBADF, .read_fd = -EBADF, .inotify_fd = -EBADF, \
		.opened = EVENT_SOURCE_INIT                                  \
	}

/* Opens the FIFO (or a plain file) at `path` without waiting for the client. */
int fifo_out_open(struct fifo_out *s, struct event_loop *loop, const char *path, struct err *err);

/* Output that goes to `fd_take`, which is closed at its end. */
void fifo_out_adopt(struct fifo_out *s, struct event_loop *loop, int fd_take);

/*
 * Closes it as soon as the client has the FIFO open (now, as a rule), so that what lies in it is
 * not dropped. `on_closed` is called then, maybe from within this call; not called when
 * fifo_out_abandon() comes first.
 */
void fifo_out_finish(struct fifo_out *s, void (*on_closed)(void *ctx), void *ctx);

/* Closes it at once. Twice is allowed. */
void fifo_out_abandon(struct fifo_out *s);

/* Where input comes from. *ret_write is a writer of our own that keeps the stream open until
 * CloseIO or the exit. */
int fifo_in_open(const char *path, int *ret_read, int *ret_write, struct err *err);
