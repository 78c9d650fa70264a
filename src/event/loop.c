#include "event/loop.h"

#include <assert.h>
#include <errno.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/macro.h"
#include "event/timer_source.h"

int event_loop_init(struct event_loop *loop)
{
	int r;

	*loop = (struct event_loop) {.epoll_fd = -EBADF, .timer_source = EVENT_SOURCE_INIT};
	list_init(&loop->posts);
	list_init(&loop->timers);
	loop->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	if (loop->epoll_fd < 0)
		return -errno;
	r = event_timer_source_init(loop);
	if (r < 0)
		fd_close(&loop->epoll_fd);
	return r;
}

void event_loop_done(struct event_loop *loop)
{
	if (!loop || loop->epoll_fd < 0)
		return;
	assert(list_empty(&loop->posts) && list_empty(&loop->timers));
	event_timer_source_done(loop);
	fd_close(&loop->epoll_fd);
}

/* The posts that were queued up to now; what they post themselves waits for the next iteration. */
static void run_posts(struct event_loop *loop)
{
	struct list batch;

	if (list_empty(&loop->posts))
		return;
	batch = loop->posts;
	batch.next->prev = batch.prev->next = &batch;
	list_init(&loop->posts);
	while (!list_empty(&batch)) {
		struct event_post *p = list_entry(batch.next, struct event_post, node);

		list_remove(&p->node);
		p->loop = NULL;
		p->run(p);
	}
}

static void run_source(struct event_loop *loop, struct event_source *s, uint32_t events)
{
	enum event_verb verb;

	loop->current = s;
	verb = s->on_ready(s, events);
	/* `s` may be gone; event_remove() has cleared `current` then. */
	if (verb == EVENT_REMOVE && loop->current)
		event_remove(loop->current);
	loop->current = NULL;
	if (verb == EVENT_EXIT)
		event_loop_exit(loop, 0);
}

int event_loop_once(struct event_loop *loop, bool may_wait)
{
	int timeout_ms = may_wait && list_empty(&loop->posts) ? -1 : 0, n, ran = 0;

	event_timer_source_arm(loop);
	n = epoll_wait(loop->epoll_fd, loop->ready, EVENT_BATCH, timeout_ms);
	if (n < 0 && errno != EINTR)
		return -errno;
	loop->n_ready = n < 0 ? 0 : n;
	for (loop->at = 0; loop->at < loop->n_ready; loop->at++) {
		struct event_source *s = loop->ready[loop->at].data.ptr;
		uint32_t events = loop->ready[loop->at].events;

		/* Removed, or its mask was changed, since epoll_wait() looked. */
		if (!s || !(events &= s->mask | EPOLLHUP | EPOLLERR))
			continue;
		run_source(loop, s, events);
		ran++;
	}
	loop->n_ready = loop->at = 0;
	run_posts(loop);
	return ran;
}

int event_loop_run(struct event_loop *loop)
{
	while (!loop->exiting) {
		int r = event_loop_once(loop, true);

		if (r < 0)
			return r;
	}
	loop->exiting = false;
	return loop->exit_code;
}

void event_loop_exit(struct event_loop *loop, int code)
{
	loop->exiting = true;
	loop->exit_code = code;
}

/* What the running batch still holds for `s` is not to be delivered. */
static void forget_ready(struct event_loop *loop, const struct event_source *s)
{
	int i;

	for (i = loop->at; i < loop->n_ready; i++)
		if (loop->ready[i].data.ptr == s)
			loop->ready[i].data.ptr = NULL;
}

static int control(struct event_loop *loop, int op, struct event_source *s, uint32_t mask)
{
	struct epoll_event e = {.events = mask, .data.ptr = s};

	return epoll_ctl(loop->epoll_fd, op, s->fd, &e) < 0 ? -errno : 0;
}

int event_add(struct event_loop *loop, struct event_source *s, int fd, uint32_t mask,
	enum event_verb (*on_ready)(struct event_source *s, uint32_t events))
{
	int r;

	if (s->loop)
		return -EBUSY;
	s->fd = fd;
	s->mask = mask;
	s->on_ready = on_ready;
	if (mask) {
		r = control(loop, EPOLL_CTL_ADD, s, mask);
		if (r < 0)
			return r;
	}
	s->loop = loop;
	return 0;
}

int event_set_mask(struct event_source *s, uint32_t mask)
{
	int op, r;

	if (!s->loop)
		return -ENOENT;
	if (mask == s->mask)
		return 0;
	/* epoll reports EPOLLHUP and EPOLLERR even for an empty mask: a silenced source leaves. */
	op = !mask ? EPOLL_CTL_DEL : !s->mask ? EPOLL_CTL_ADD : EPOLL_CTL_MOD;
	r = control(s->loop, op, s, mask);
	if (r < 0)
		return r;
	s->mask = mask;
	if (!mask)
		forget_ready(s->loop, s);
	return 0;
}

void event_remove(struct event_source *s)
{
	struct event_loop *loop;

	if (!s || !s->loop)
		return;
	loop = s->loop;
	/* Can only fail when the descriptor was closed too early, and then it is out already. */
	if (s->mask)
		(void)control(loop, EPOLL_CTL_DEL, s, 0);
	forget_ready(loop, s);
	if (loop->current == s)
		loop->current = NULL;
	s->loop = NULL;
}

void event_post(struct event_loop *loop, struct event_post *p, void (*run)(struct event_post *p))
{
	if (p->loop)
		return;
	p->loop = loop;
	p->run = run;
	list_append(&loop->posts, &p->node);
}

void event_post_cancel(struct event_post *p)
{
	if (!p || !p->loop)
		return;
	list_remove(&p->node);
	p->loop = NULL;
}
