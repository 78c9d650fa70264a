#include "stream/relay.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/cleanup.h"
#include "base/fd.h"

enum {
	CHUNK = 64 * 1024, /* a pipe's size: more than that is never there at once */
	TURNS = 8,         /* chunks before other streams and calls have their turn */
	/* Up to this much is copied: lines then share the reader's pages. A moved page takes one of
	   the sixteen places of its pipe, however little is in it. */
	SMALL = 4096,
	SPLICE_MAX = 1024 * 1024,
	BULK_PIPE = 512 * 1024,
};

enum move { MOVE_MORE, MOVE_EMPTY, MOVE_FULL, MOVE_END };

/*
 * Writes; what is not taken is kept in `rest`. The reader being gone is no error of the writer: go
 * on and discard. A pipe of our own that takes nothing for another reason has a reader who waits:
 * he sees its end.
 */
static enum move give(struct relay *r, const char *data, size_t len)
{
	while (len > 0 && !r->discard) {
		ssize_t n = RETRY_EINTR(write(r->to, data, len));

		if (n >= 0) {
			r->refused = false;
			data += n;
			len -= (size_t)n;
		} else if (errno == EAGAIN) {
			char *rest = r->rest ? r->rest : malloc(CHUNK);

			if (!rest) {
				r->discard = true;
				break;
			}
			memmove(rest, data, len);
			r->rest = rest;
			r->rest_at = 0;
			r->rest_len = len;
			return MOVE_FULL;
		} else if (errno != EPIPE && !r->refused) {
			r->refused = true;
		} else if (errno != EPIPE && !(r->flags & RELAY_KEEP_TO)) {
			return MOVE_END;
		} else {
			r->discard = true;
		}
	}
	free(r->rest);
	r->rest = NULL;
	return MOVE_MORE;
}

static bool takes_more(int fd)
{
	struct pollfd p = {.fd = fd, .events = POLLOUT};

	return poll(&p, 1, 0) != 0;
}

/* Moves pages from pipe to pipe. */
static enum move splice_chunk(struct relay *r)
{
	ssize_t n = RETRY_EINTR(splice(r->from, NULL, r->to, NULL, SPLICE_MAX, SPLICE_F_NONBLOCK));

	if (n > 0)
		return MOVE_MORE;
	if (n == 0)
		return MOVE_END;
	if (errno == EAGAIN) {
		/* said of both sides, and of one at its end too while the other is full */
		if (!takes_more(r->to))
			return MOVE_FULL;
		r->bulk = false;
		return MOVE_EMPTY;
	}
	/* what it refuses, write() will tell why */
	r->bulk = r->can_splice = false;
	return MOVE_MORE;
}

/*
 * From now on pages are moved. Both pipes grow, once: each time one is full or empty somebody
 * sleeps and is woken, which costs more than what is moved meanwhile. Who may not
 * (pipe-user-pages-soft) goes on with what there is. More than this is charged to the workload
 * while its client does not read, and leaves the processor's cache.
 */
static void begin_bulk(struct relay *r)
{
	r->bulk = true;
	if (r->grown)
		return;
	r->grown = true;
	(void)fcntl(r->from, F_SETPIPE_SZ, BULK_PIPE);
	(void)fcntl(r->to, F_SETPIPE_SZ, BULK_PIPE);
}

static enum move move_chunk(struct relay *r)
{
	static char chunk[CHUNK]; /* one for all streams: the loop runs one callback at a time */
	size_t size = r->can_splice && !r->discard ? SMALL : CHUNK;
	enum move m;
	ssize_t n;

	if (r->rest)
		return give(r, r->rest + r->rest_at, r->rest_len);
	if (r->bulk && !r->discard)
		return splice_chunk(r);
	n = RETRY_EINTR(read(r->from, chunk, size));
	if (n < 0 && errno == EAGAIN)
		return MOVE_EMPTY;
	if (n < 0 && !r->refused) {
		r->refused = true;
		return MOVE_MORE;
	}
	r->refused = false;
	if (r->can_splice && n == SMALL)
		begin_bulk(r);
	else
		r->bulk = false;
	/* EIO is how a terminal's master says that its last slave was closed */
	if (n <= 0)
		return MOVE_END;
	/* a short read of a pipe has seen all there was: the loop says when there is more */
	m = give(r, chunk, (size_t)n);
	return m == MOVE_MORE && r->can_splice && (size_t)n < size ? MOVE_EMPTY : m;
}

static enum move pump(struct relay *r)
{
	enum move m = MOVE_MORE;

	for (int turn = 0; turn < TURNS && m == MOVE_MORE; turn++)
		m = move_chunk(r);
	return m;
}

static enum event_verb on_writable(struct event_source *s, uint32_t events);

/* A plain file is never full, everything else can be watched. */
static void watch_writable(struct relay *r)
{
	int fd = r->to;

	if (r->flags & RELAY_SHARE_TO)
		fd = r->watched = fd_copy(r->to);
	if (fd >= 0)
		(void)event_add(r->loop, &r->writable, fd, EPOLLOUT, on_writable);
}

static void unwatch_writable(struct relay *r)
{
	event_remove(&r->writable);
	fd_close(&r->watched);
}

static void watch(struct relay *r, bool full)
{
	if (r->full == full)
		return;
	r->full = full;
	(void)event_set_mask(&r->readable, full ? 0 : EPOLLIN);
	if (full)
		watch_writable(r);
	else
		unwatch_writable(r);
	if (!full && r->on_flowing)
		r->on_flowing(r);
}

static enum event_verb on_ready(struct relay *r)
{
	switch (pump(r)) {
	case MOVE_END:
		relay_stop(r);
		if (r->on_end)
			r->on_end(r);
		break;
	case MOVE_FULL:
		watch(r, true);
		break;
	case MOVE_MORE:
	case MOVE_EMPTY:
		watch(r, false);
		break;
	}
	return EVENT_CONTINUE;
}

static enum event_verb on_readable(struct event_source *s, UNUSED uint32_t events)
{
	return on_ready(container_of(s, struct relay, readable));
}

static enum event_verb on_writable(struct event_source *s, UNUSED uint32_t events)
{
	return on_ready(container_of(s, struct relay, writable));
}

static bool is_pipe(int fd)
{
	struct stat st;

	return fstat(fd, &st) == 0 && S_ISFIFO(st.st_mode);
}

int relay_start(struct relay *r, struct event_loop *loop, int from, int to, unsigned flags,
	void (*on_end)(struct relay *r), void *ctx)
{
	int rc;

	*r = (struct relay)RELAY_INIT;
	r->loop = loop;
	r->from = from;
	r->to = to;
	r->flags = flags;
	r->on_end = on_end;
	r->ctx = ctx;
	r->discard = to < 0;
	r->can_splice = is_pipe(from) && is_pipe(to);
	rc = event_add(loop, &r->readable, r->from, EPOLLIN, on_readable);
	if (rc < 0)
		relay_stop(r);
	return rc;
}

bool relay_active(const struct relay *r)
{
	return r->from >= 0;
}

void relay_flush(struct relay *r)
{
	enum move m = MOVE_MORE;

	/* bounded by what a pipe and its reader hold: a writer that keeps up is cut off all the
	 * same */
	for (int turn = 0; turn < TURNS && m == MOVE_MORE && relay_active(r); turn++)
		m = pump(r);
	if (m == MOVE_FULL)
		watch(r, true);
}

void relay_stop(struct relay *r)
{
	event_remove(&r->readable);
	unwatch_writable(r);
	if (!(r->flags & RELAY_KEEP_FROM))
		fd_close(&r->from);
	r->from = -EBADF;
	if (!(r->flags & RELAY_KEEP_TO))
		fd_close(&r->to);
	free(r->rest);
	r->rest = NULL;
	r->full = false;
}
