#include "stream/fifo.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/cleanup.h"
#include "base/fd.h"
#include "base/str.h"

static int open_checked(const char *path, int flags, struct err *err)
{
	int fd = open(path, flags | O_NONBLOCK | O_CLOEXEC | O_NOCTTY);

	return fd < 0 ? err_sysf(err, errno, "stdio %s", path) : fd;
}

int fifo_out_open(struct fifo_out *s, struct event_loop *loop, const char *path, struct err *err)
{
	_cleanup_close_ int both = -EBADF, write_fd = -EBADF, read_fd = -EBADF;
	struct stat st;
	int r;

	if (stat(path, &st) < 0)
		return err_sysf(err, errno, "stdio %s", path);
	if (S_ISFIFO(st.st_mode)) {
		/* opened for both it opens at once; then a plain writer finds a reader there: this
		 * one */
		both = open_checked(path, O_RDWR, err);
		if (both < 0)
			return both;
		read_fd = open_checked(path, O_RDONLY, err);
		if (read_fd < 0)
			return read_fd;
	}
	write_fd = open_checked(path, O_WRONLY | (S_ISFIFO(st.st_mode) ? 0 : O_APPEND), err);
	if (write_fd < 0)
		return write_fd;
	r = str_dup(&s->path, path);
	if (r < 0)
		return err_sysf(err, -r, "stdio");
	s->loop = loop;
	s->write_fd = TAKE_FD(write_fd);
	s->read_fd = TAKE_FD(read_fd);
	return 0;
}

void fifo_out_adopt(struct fifo_out *s, struct event_loop *loop, int fd_take)
{
	s->loop = loop;
	s->write_fd = fd_take;
}

/* With our own reader closed, a FIFO without readers polls as broken. */
static bool has_reader(const struct fifo_out *s)
{
	struct pollfd p = {.fd = s->write_fd};

	return poll(&p, 1, 0) == 0 || !(p.revents & POLLERR);
}

static void closed(struct fifo_out *s)
{
	void (*on_closed)(void *ctx) = s->on_closed;
	void *ctx = s->ctx;

	fifo_out_abandon(s);
	if (on_closed)
		on_closed(ctx);
}

static enum event_verb on_opened(struct event_source *src, UNUSED uint32_t events)
{
	struct fifo_out *s = container_of(src, struct fifo_out, opened);
	char events_buf[sizeof(struct inotify_event) + 256];

	while (read(s->inotify_fd, events_buf, sizeof(events_buf)) > 0) {
		/* what they say does not matter: somebody opened it */
	}
	if (has_reader(s))
		closed(s);
	return EVENT_CONTINUE;
}

/* The client makes the FIFO and opens it in a thread of its own: it may come after a process that
 * was quick. */
static int wait_for_reader(struct fifo_out *s)
{
	s->inotify_fd = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
	if (s->inotify_fd < 0 || inotify_add_watch(s->inotify_fd, s->path, IN_OPEN) < 0)
		return -errno;
	return event_add(s->loop, &s->opened, s->inotify_fd, EPOLLIN, on_opened);
}

void fifo_out_finish(struct fifo_out *s, void (*on_closed)(void *ctx), void *ctx)
{
	s->on_closed = on_closed;
	s->ctx = ctx;
	if (s->write_fd < 0 || s->read_fd < 0) {
		closed(s);
		return;
	}
	fd_close(&s->read_fd);
	if (has_reader(s) || wait_for_reader(s) < 0 || has_reader(s))
		closed(s);
}

void fifo_out_abandon(struct fifo_out *s)
{
	event_remove(&s->opened);
	fd_close(&s->inotify_fd);
	fd_close(&s->write_fd);
	fd_close(&s->read_fd);
	free(s->path);
	s->path = NULL;
	s->on_closed = NULL;
}

int fifo_in_open(const char *path, int *ret_read, int *ret_write, struct err *err)
{
	_cleanup_close_ int read_fd = -EBADF, write_fd = -EBADF;

	read_fd = open_checked(path, O_RDONLY, err);
	if (read_fd < 0)
		return read_fd;
	write_fd = open_checked(path, O_WRONLY, err);
	if (write_fd < 0)
		return write_fd;
	*ret_read = TAKE_FD(read_fd);
	*ret_write = TAKE_FD(write_fd);
	return 0;
}
