#include "stream/stdio.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <unistd.h>
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/fd.h"
#include "base/log.h"
#include "base/str.h"
#include "stream/logfile.h"
#include "stream/uri.h"

enum { GRACE_SEC = 2 };

bool stdio_drained(const struct stdio *io)
{
	return !io->outputs[STDIO_OUT].open && !io->outputs[STDIO_ERR].open &&
	       !logger_alive(&io->logger);
}

static void tell_if_drained(struct stdio *io)
{
	if (!stdio_drained(io))
		return;
	event_timer_clear(&io->grace);
	io->ops->on_drained(io, io->ctx);
}

static void on_output_closed(void *ctx)
{
	struct stdio_output *o = ctx;

	o->open = false;
	if (o->io->settling) /* the other one has been waited for until now */
		stdio_settle(o->io);
	tell_if_drained(o->io);
}

/* The relays of a terminal use it as well. While its process lives it stays open even if nobody has
 * the slave open: the session would get a SIGHUP. */
static void release_console(struct stdio *io)
{
	if (io->ended && !relay_active(&io->outputs[STDIO_OUT].relay))
		fd_close(&io->console);
}

static void on_output_end(struct relay *r)
{
	struct stdio_output *o = r->ctx;

	release_console(o->io);
	fifo_out_finish(&o->to, on_output_closed, o);
}

/* A client that reads again may be about to take the rest. */
static void on_output_flowing(struct relay *r)
{
	struct stdio_output *o = r->ctx;

	if (o->io->settling)
		stdio_settle(o->io);
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

/* Takes `from`, but for a terminal's master. */
static int begin_relay(struct stdio_output *o, int from)
{
	unsigned flags = RELAY_KEEP_TO | (o->io->terminal ? RELAY_KEEP_FROM : 0);
	int r = relay_start(&o->relay, o->io->loop, from, o->to.write_fd, flags, on_output_end, o);

	o->relay.on_flowing = on_output_flowing;
	return r;
}

static int open_output(
	struct stdio_output *o, const char *path, bool is_file, int *child_fd, struct err *err)
{
	_cleanup_close_ int ours = -EBADF;
	int r;

	if (str_empty(path))
		return 0;
	r = is_file ? logfile_open(path, err) : fifo_out_open(&o->to, o->io->loop, path, err);
	if (r < 0)
		return r;
	if (is_file)
		fifo_out_adopt(&o->to, o->io->loop, r);
	o->open = true;
	if (o->io->terminal) /* the relay starts when the terminal is there */
		return 0;
	r = make_pipe(false, &ours, child_fd, err);
	if (r < 0)
		return r;
	r = begin_relay(o, TAKE_FD(ours));
	return r < 0 ? err_sysf(err, -r, "watching stdio") : 0;
}

static int open_input(struct stdio *io, const char *path, int *child_fd, struct err *err)
{
	_cleanup_close_ int fifo = -EBADF, ours = -EBADF;
	int r;

	if (str_empty(path))
		return 0;
	r = fifo_in_open(path, &fifo, &io->in_writer, err);
	if (r < 0)
		return r;
	if (io->in_closed)
		fd_close(&io->in_writer);
	if (io->terminal) {
		io->in_fifo = TAKE_FD(fifo);
		return 0;
	}
	r = make_pipe(true, &ours, child_fd, err);
	if (r < 0)
		return r;
	r = relay_start(&io->in, io->loop, TAKE_FD(fifo), TAKE_FD(ours), 0, NULL, io);
	return r < 0 ? err_sysf(err, -r, "watching stdin") : 0;
}

/* Its pipes have no reader but us now: the process must neither hang nor be killed for it. */
static void discard(struct stdio_output *o)
{
	int r;

	if (o->log_read < 0 || relay_active(&o->relay))
		return;
	r = fd_set_nonblock(o->log_read);
	if (r == 0)
		r = relay_start(&o->relay, o->io->loop, TAKE_FD(o->log_read), -EBADF, RELAY_KEEP_TO,
			on_output_end, o);
	if (r < 0)
		log_error("discarding output: %s", strerrordesc_np(-r));
	else
		o->open = true;
}

static void on_logger_ready(struct logger *l, const struct err *why)
{
	struct stdio *io = container_of(l, struct stdio, logger);

	if (why)
		logger_kill(l);
	io->ops->on_ready(io, why, io->ctx);
}

static void on_logger_ended(struct logger *l, uint32_t status)
{
	struct stdio *io = container_of(l, struct stdio, logger);

	if (!io->ended)
		log_error("logger %s ended with status %u, what its process writes from here on is "
			  "lost",
			l->path, status);
	discard(&io->outputs[STDIO_OUT]);
	discard(&io->outputs[STDIO_ERR]);
	tell_if_drained(io);
}

static const struct logger_ops logger_ops = {on_logger_ready, on_logger_ended};

/* A pipe of which the logger reads. */
static int make_log_pipe(struct stdio_output *o, int *child_fd, struct err *err)
{
	int fds[2];

	if (pipe2(fds, O_CLOEXEC) < 0)
		return err_sysf(err, errno, "stdio pipe");
	o->log_read = fds[0];
	o->log_write = fds[1];
	if (o->io->terminal)
		return 0;
	*child_fd = fd_copy(o->log_write);
	return *child_fd < 0 ? err_sysf(err, -*child_fd, "stdio pipe") : 0;
}

static int open_logger(struct stdio *io, const struct stdio_paths *paths,
	const struct stream_uri *uri, int child_fds[3], struct err *err)
{
	struct stdio_output *out = &io->outputs[STDIO_OUT], *log_err = &io->outputs[STDIO_ERR];
	int r = make_log_pipe(out, &child_fds[1], err);

	if (r == 0)
		r = make_log_pipe(log_err, &child_fds[2], err);
	if (r == 0)
		r = logger_start(&io->logger, io->loop, uri, paths->id, paths->ns, out->log_read,
			log_err->log_read, &logger_ops, err);
	if (r < 0 || !io->terminal)
		return r;
	/* the terminal's relay writes to it; a broken pipe is the relay's to handle */
	fd_close(&out->log_read);
	fd_close(&log_err->log_read);
	r = fd_set_nonblock(out->log_write);
	if (r < 0)
		return err_sysf(err, -r, "stdio pipe");
	fifo_out_adopt(&out->to, io->loop, TAKE_FD(out->log_write));
	out->open = true;
	return 0;
}

/* The scheme is stdout's, for all three. */
static int open_all(
	struct stdio *io, const struct stdio_paths *paths, int child_fds[3], struct err *err)
{
	_cleanup_(stream_uri_done) struct stream_uri uri = STREAM_URI_INIT;
	struct stdio_output *out = &io->outputs[STDIO_OUT], *second = &io->outputs[STDIO_ERR];
	bool is_file;
	int r = stream_uri_parse(paths->out, &uri, err);

	if (r < 0)
		return r;
	if (uri.scheme >= STREAM_BINARY) /* input is not for who logs to a program */
		return open_logger(io, paths, &uri, child_fds, err);
	is_file = uri.scheme == STREAM_FILE;
	r = open_input(io, stream_fifo_path(paths->in), &child_fds[0], err);
	if (r == 0)
		r = open_output(out, uri.path, is_file, &child_fds[1], err);
	if (r < 0 || paths->terminal) /* a terminal has one output */
		return r;
	if (is_file)
		return open_output(second, uri.path, true, &child_fds[2], err);
	return open_output(second, stream_fifo_path(paths->err), false, &child_fds[2], err);
}

int stdio_open(struct stdio *io, struct event_loop *loop, const struct stdio_paths *paths,
	int child_fds[3], const struct stdio_ops *ops, void *ctx, struct err *err)
{
	uint16_t width = io->width, height = io->height; /* ResizePty came before Start */
	bool in_closed = io->in_closed;                  /* or CloseIO */
	int r;

	*io = (struct stdio)STDIO_INIT;
	io->width = width;
	io->height = height;
	io->in_closed = in_closed;
	io->loop = loop;
	io->terminal = paths->terminal;
	io->ops = ops;
	io->ctx = ctx;
	for (int i = 0; i < STDIO_OUTPUTS; i++)
		io->outputs[i].io = io;
	for (int i = 0; i < 3; i++)
		child_fds[i] = -EBADF;
	r = open_all(io, paths, child_fds, err);
	if (r < 0) {
		stdio_done(io);
		for (int i = 0; i < 3; i++)
			fd_close(&child_fds[i]);
	}
	return r;
}

bool stdio_ready(const struct stdio *io)
{
	return io->logger.ready_fd < 0;
}

static void apply_size(struct stdio *io)
{
	struct winsize ws = {.ws_col = io->width, .ws_row = io->height};

	if (io->console >= 0 && io->width && io->height)
		(void)ioctl(io->console, TIOCSWINSZ,
			&ws); /* a terminal that has ended: nobody to tell */
}

/* The user's own terminal is gone, and so is this one for everybody who has it: SIGHUP, as
 * containerd's own shim does. What was written before is delivered. */
static void on_terminal_input_end(struct relay *r)
{
	struct stdio *io = r->ctx;
	struct stdio_output *out = &io->outputs[STDIO_OUT];

	bool was_active = relay_active(&out->relay);

	relay_flush(&out->relay);
	relay_stop(&out->relay);
	fd_close(&io->console);
	if (was_active)
		on_output_end(&out->relay);
}

int stdio_attach_console(struct stdio *io, int master_take)
{
	_cleanup_close_ int master = master_take;
	int r;

	if (!io->terminal || io->console >= 0)
		return -EPROTO;
	r = fd_set_nonblock(master);
	if (r < 0)
		return r;
	io->console = TAKE_FD(master);
	apply_size(io);
	/* read even if nobody wants it: a terminal that is full would stop the process */
	r = begin_relay(&io->outputs[STDIO_OUT], io->console);
	if (r == 0 && io->in_fifo >= 0)
		r = relay_start(&io->in, io->loop, TAKE_FD(io->in_fifo), io->console,
			RELAY_KEEP_TO | RELAY_SHARE_TO, on_terminal_input_end, io);
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
	io->in_closed = true;
	fd_close(&io->in_writer);
}

void stdio_process_ended(struct stdio *io)
{
	struct stdio_output *out = &io->outputs[STDIO_OUT];

	io->ended = true;
	relay_stop(&io->in);
	fd_close(&io->in_fifo);
	fd_close(&io->in_writer);
	/* output goes on until the last holder of the slave is gone */
	release_console(io);
	/* a logger sees the end of its pipes when the last holder of them is gone */
	for (int i = 0; i < STDIO_OUTPUTS; i++)
		fd_close(&io->outputs[i].log_write);
	/* ended before it had a terminal: there is nothing to relay */
	if (io->terminal && out->open && !relay_active(&out->relay) && !out->to.on_closed)
		fifo_out_finish(&out->to, on_output_closed, out);
}

void stdio_flush(struct stdio *io)
{
	for (int i = 0; i < STDIO_OUTPUTS; i++)
		relay_flush(&io->outputs[i].relay);
}

/* Delivers what can be delivered now; true while bytes of the process wait for the client to read
 * (or to open) its FIFO. False although not drained: somebody holds the output open and is silent.
 */
static bool waits_for_reader(struct stdio *io)
{
	bool waits = false;

	stdio_flush(io);
	for (int i = 0; i < STDIO_OUTPUTS; i++)
		waits = waits || io->outputs[i].relay.full || io->outputs[i].to.opened.loop;
	return waits;
}

static void cut(struct stdio *io)
{
	for (int i = 0; i < STDIO_OUTPUTS; i++) {
		relay_flush(&io->outputs[i].relay);
		relay_stop(&io->outputs[i].relay);
		fifo_out_abandon(&io->outputs[i].to);
		fd_close(&io->outputs[i].log_read);
		fd_close(&io->outputs[i].log_write);
		io->outputs[i].open = false;
	}
	fd_close(&io->console);
}

static void on_grace_over(struct event_timer *t)
{
	struct stdio *io = container_of(t, struct stdio, grace);

	/* who reads late gets everything, until there is a Delete: on_output_flowing() goes on from
	 * here */
	if (!io->finishing && waits_for_reader(io))
		return;
	cut(io);
	tell_if_drained(io);
}

void stdio_settle(struct stdio *io)
{
	io->settling = true;
	if (!io->finishing && (io->outputs[STDIO_OUT].open || io->outputs[STDIO_ERR].open))
		event_timer_set_in(io->loop, &io->grace, GRACE_SEC * USEC_PER_SEC, on_grace_over);
}

bool stdio_finish(struct stdio *io)
{
	bool waits = waits_for_reader(io);

	if (io->finishing || stdio_drained(io))
		return stdio_drained(io);
	io->finishing = true;
	logger_end(&io->logger);
	if (waits)
		event_timer_set_in(io->loop, &io->grace, GRACE_SEC * USEC_PER_SEC, on_grace_over);
	else
		cut(io);
	return stdio_drained(io);
}

void stdio_cut(struct stdio *io)
{
	(void)stdio_finish(io);
	event_timer_clear(&io->grace);
	cut(io);
}

bool stdio_reaped(struct stdio *io, pid_t pid, uint32_t status)
{
	return logger_reaped(&io->logger, pid, status);
}

void stdio_done(struct stdio *io)
{
	event_timer_clear(&io->grace);
	relay_stop(&io->in);
	cut(io);
	logger_done(&io->logger);
	fd_close(&io->in_fifo);
	fd_close(&io->in_writer);
}
