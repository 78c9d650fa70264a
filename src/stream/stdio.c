#include "stream/stdio.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <unistd.h>
#include "base/cleanup.h"
#include "base/fd.h"
#include "base/str.h"

static void drained_one(void *ctx)
{
	struct stdio *io = ctx;

	if (--io->pending == 0 && io->on_drained)
		io->on_drained(io, io->ctx);
}

static void on_out_end(struct relay *r)
{
	struct stdio *io = r->ctx;

	stream_out_finish(&io->out_stream, drained_one, io);
}

static void on_err_end(struct relay *r)
{
	struct stdio *io = r->ctx;

	stream_out_finish(&io->err_stream, drained_one, io);
}

/* A pipe of which we keep one end, non-blocking, and the child gets the other. */
static int make_pipe(bool child_reads, int *ret_ours, int *ret_child, struct err *err)
{
	int fds[2], r;

	if (pipe2(fds, O_CLOEXEC) < 0)
		return err_sysf(err, errno, "stdio pipe");
	*ret_ours = fds[child_reads ? 1 : 0];
	*ret_child = fds[child_reads ? 0 : 1];
	r = fd_set_nonblock(*ret_ours);
	return r < 0 ? err_sysf(err, -r, "stdio pipe") : 0;
}

static int open_output(struct stdio *io, const char *path, struct stream_out *stream,
	struct relay *relay, void (*on_end)(struct relay *r), int *child_fd, struct err *err)
{
	_cleanup_close_ int ours = -EBADF;
	int r;

	if (str_empty(path))
		return 0;
	r = stream_out_open(stream, io->loop, path, err);
	if (r < 0)
		return r;
	io->pending++;
	if (io->terminal) /* the relay starts when the terminal is there */
		return 0;
	r = make_pipe(false, &ours, child_fd, err);
	if (r < 0)
		return r;
	r = relay_start(relay, io->loop, TAKE_FD(ours), stream->write_fd, true, on_end, io);
	return r < 0 ? err_sysf(err, -r, "watching stdio") : 0;
}

static int open_input(struct stdio *io, const char *path, int *child_fd, struct err *err)
{
	_cleanup_close_ int fifo = -EBADF, ours = -EBADF;
	int r;

	if (str_empty(path))
		return 0;
	r = stream_in_open(path, &fifo, &io->in_writer, err);
	if (r < 0)
		return r;
	if (io->terminal) {
		io->in_fifo = TAKE_FD(fifo);
		return 0;
	}
	r = make_pipe(true, &ours, child_fd, err);
	if (r < 0)
		return r;
	r = relay_start(&io->in, io->loop, TAKE_FD(fifo), TAKE_FD(ours), false, NULL, io);
	return r < 0 ? err_sysf(err, -r, "watching stdin") : 0;
}

int stdio_open(struct stdio *io, struct event_loop *loop, const struct stdio_paths *paths,
	int child_fds[3], void (*on_drained)(struct stdio *io, void *ctx), void *ctx,
	struct err *err)
{
	uint16_t width = io->width, height = io->height; /* ResizePty came before Start */
	int r;

	*io = (struct stdio)STDIO_INIT;
	io->width = width;
	io->height = height;
	io->loop = loop;
	io->terminal = paths->terminal;
	for (int i = 0; i < 3; i++)
		child_fds[i] = -EBADF;
	r = open_input(io, paths->in, &child_fds[0], err);
	if (r == 0)
		r = open_output(
			io, paths->out, &io->out_stream, &io->out, on_out_end, &child_fds[1], err);
	if (r == 0 && !paths->terminal) /* a terminal has one output */
		r = open_output(
			io, paths->err, &io->err_stream, &io->err, on_err_end, &child_fds[2], err);
	if (r < 0) {
		stdio_done(io);
		for (int i = 0; i < 3; i++)
			fd_close(&child_fds[i]);
		return r;
	}
	io->on_drained = on_drained;
	io->ctx = ctx;
	return 0;
}

static void apply_size(struct stdio *io)
{
	struct winsize ws = {.ws_col = io->width, .ws_row = io->height};

	if (io->console >= 0 && io->width && io->height)
		(void)ioctl(io->console, TIOCSWINSZ,
			&ws); /* a terminal that has ended: nobody to tell */
}

int stdio_attach_console(struct stdio *io, int master_take)
{
	_cleanup_close_ int master = master_take, reader = -EBADF, writer = -EBADF;
	int r;

	if (!io->terminal || io->console >= 0)
		return -EPROTO;
	r = fd_set_nonblock(master);
	if (r < 0)
		return r;
	/* a descriptor each: one direction can be closed without the other */
	reader = fd_copy(master);
	writer = fd_copy(master);
	if (reader < 0 || writer < 0)
		return reader < 0 ? reader : writer;
	io->console = TAKE_FD(master);
	apply_size(io);
	if (io->out_stream.write_fd >= 0) {
		r = relay_start(&io->out, io->loop, TAKE_FD(reader), io->out_stream.write_fd, true,
			on_out_end, io);
		if (r < 0)
			return r;
	}
	if (io->in_fifo >= 0)
		r = relay_start(
			&io->in, io->loop, TAKE_FD(io->in_fifo), TAKE_FD(writer), false, NULL, io);
	return r;
}

void stdio_resize(struct stdio *io, uint32_t width, uint32_t height)
{
	if (!io->terminal)
		return;
	io->width = width > UINT16_MAX ? UINT16_MAX : (uint16_t)width;
	io->height = height > UINT16_MAX ? UINT16_MAX : (uint16_t)height;
	apply_size(io);
}

void stdio_close_stdin(struct stdio *io)
{
	fd_close(&io->in_writer);
}

void stdio_process_ended(struct stdio *io)
{
	relay_stop(&io->in);
	fd_close(&io->in_fifo);
	fd_close(&io->in_writer);
	/* the relay keeps a copy and ends with EIO when the last holder of the slave is gone */
	fd_close(&io->console);
	/* ended before it had a terminal: there is nothing to relay */
	if (io->terminal && io->pending > 0 && !relay_active(&io->out) &&
		io->out_stream.write_fd >= 0 && !io->out_stream.on_closed)
		stream_out_finish(&io->out_stream, drained_one, io);
}

bool stdio_waits_for_reader(struct stdio *io)
{
	relay_flush(&io->out);
	relay_flush(&io->err);
	return io->out.rest || io->err.rest || io->out_stream.opened.loop ||
	       io->err_stream.opened.loop;
}

bool stdio_drained(const struct stdio *io)
{
	return io->pending == 0;
}

void stdio_done(struct stdio *io)
{
	io->on_drained = NULL;
	relay_flush(&io->out);
	relay_flush(&io->err);
	relay_stop(&io->in);
	relay_stop(&io->out);
	relay_stop(&io->err);
	stream_out_abandon(&io->out_stream);
	stream_out_abandon(&io->err_stream);
	fd_close(&io->in_fifo);
	fd_close(&io->in_writer);
	fd_close(&io->console);
	io->pending = 0;
}
