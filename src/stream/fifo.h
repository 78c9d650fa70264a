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
struct stream_out {
	struct event_loop *loop;
	char *path;
	int write_fd;   /* -EBADF: no such stream, or closed */
	int read_fd;    /* our own reader: no EPIPE while containerd is away */
	int inotify_fd; /* while waiting for a reader that never came yet */
	struct event_source opened;
	void (*on_closed)(void *ctx);
	void *ctx;
};

#define STREAM_OUT_INIT                                                      \
	{                                                                    \
		.write_fd = -EBADF, .read_fd = -EBADF, .inotify_fd = -EBADF, \
		.opened = EVENT_SOURCE_INIT                                  \
	}

/* Opens it without waiting for the client. `path` is what Create or Exec said: a path, or
 * fifo:///path. */
int stream_out_open(
	struct stream_out *s, struct event_loop *loop, const char *path, struct err *err);

/*
 * Closes it as soon as the client has the FIFO open (now, as a rule), so that what lies in it is
 * not dropped. `on_closed` is called then, maybe from within this call; not called when
 * stream_out_abandon() comes first.
 */
void stream_out_finish(struct stream_out *s, void (*on_closed)(void *ctx), void *ctx);

/* Closes it at once. Twice is allowed. */
void stream_out_abandon(struct stream_out *s);

/* Where input comes from. *ret_write is a writer of our own that keeps the stream open until
 * CloseIO or the exit. */
int stream_in_open(const char *path, int *ret_read, int *ret_write, struct err *err);

/* ERR_UNIMPLEMENTED for a URI scheme other than fifo, naming it; else 0 and the plain path in
 * *ret_path (points into uri). */
int stream_path(const char *uri, const char **ret_path, struct err *err);
