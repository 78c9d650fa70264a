#include "event/signal.h"

#include <errno.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/macro.h"

static enum event_verb on_signalfd(struct event_source *source, uint32_t events UNUSED)
{
	struct event_signal *s = container_of(source, struct event_signal, source);
	struct signalfd_siginfo info;

	/* One at a time: the callback may end this source. */
	if (read(source->fd, &info, sizeof(info)) != (ssize_t)sizeof(info))
		return EVENT_CONTINUE;
	return s->on_signal(s, &info);
}

int event_signal_init(struct event_signal *s, struct event_loop *loop, const sigset_t *mask,
	enum event_verb (*on_signal)(struct event_signal *s, const struct signalfd_siginfo *info))
{
	int r, fd;

	*s = (struct event_signal)EVENT_SIGNAL_INIT;
	if (sigprocmask(SIG_BLOCK, mask, NULL) < 0)
		return -errno;
	fd = signalfd(-1, mask, SFD_CLOEXEC | SFD_NONBLOCK);
	if (fd < 0)
		return -errno;
	s->on_signal = on_signal;
	r = event_add(loop, &s->source, fd, EPOLLIN, on_signalfd);
	if (r < 0) {
		fd_close(&fd);
		s->source.fd = -EBADF;
	}
	return r;
}

void event_signal_done(struct event_signal *s)
{
	if (!s)
		return;
	event_remove(&s->source);
	fd_close(&s->source.fd);
}
