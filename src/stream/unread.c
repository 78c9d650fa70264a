#include "stream/unread.h"

#include <fcntl.h>
#include <sys/inotify.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/cleanup.h"
#include "base/fd.h"
#include "base/str.h"

/* A reader that comes and goes takes nothing: the bytes stay while anybody else has the FIFO open.
 */
static bool holds_bytes(const char *path)
{
	_cleanup_close_ int fd = -EBADF;
	struct stat st;
	int n = 0;

	if (str_empty(path))
		return false;
	fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC | O_NOCTTY);
	return fd >= 0 && fstat(fd, &st) == 0 && S_ISFIFO(st.st_mode) &&
	       ioctl(fd, FIONREAD, &n) == 0 && n > 0;
}

static bool any_holds_bytes(const struct unread *u)
{
	bool any = false;

	for (int i = 0; i < UNREAD_PATHS; i++)
		any = any || holds_bytes(u->paths[i]);
	return any;
}

static void finish(struct unread *u)
{
	unread_done(u);
	u->on_read(u);
}

static enum event_verb on_accessed(struct event_source *s, UNUSED uint32_t events)
{
	struct unread *u = container_of(s, struct unread, accessed);
	char events_buf[sizeof(struct inotify_event) + 256];

	while (read(u->inotify_fd, events_buf, sizeof(events_buf)) > 0) {
		/* what they say does not matter: somebody has read */
	}
	if (!any_holds_bytes(u))
		finish(u);
	return EVENT_CONTINUE;
}

static void on_limit(struct event_timer *t)
{
	finish(container_of(t, struct unread, limit));
}

static int watch(struct unread *u, struct event_loop *loop)
{
	u->inotify_fd = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
	if (u->inotify_fd < 0)
		return -errno;
	for (int i = 0; i < UNREAD_PATHS; i++) {
		if (!str_empty(u->paths[i]) &&
			inotify_add_watch(u->inotify_fd, u->paths[i], IN_ACCESS) < 0)
			return -errno;
	}
	return event_add(loop, &u->accessed, u->inotify_fd, EPOLLIN, on_accessed);
}

bool unread_wait(struct unread *u, struct event_loop *loop, const char *const paths[UNREAD_PATHS],
	void (*on_read)(struct unread *u))
{
	for (int i = 0; i < UNREAD_PATHS; i++)
		u->paths[i] = paths[i];
	u->on_read = on_read;
	/* looked at again behind the watch: it may have been read meanwhile */
	if (!any_holds_bytes(u) || watch(u, loop) < 0 || !any_holds_bytes(u)) {
		unread_done(u);
		return false;
	}
	event_timer_set_in(loop, &u->limit, UNREAD_LIMIT_USEC, on_limit);
	return true;
}

bool unread_waits(const struct unread *u)
{
	return u->inotify_fd >= 0;
}

void unread_done(struct unread *u)
{
	event_timer_clear(&u->limit);
	event_remove(&u->accessed);
	fd_close(&u->inotify_fd);
}
