#include "event/timer.h"

#include <assert.h>
#include <errno.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fd.h"
#include "event/timer_source.h"

static struct event_timer *earliest(struct event_loop *loop)
{
	if (list_empty(&loop->timers))
		return NULL;
	return list_entry(loop->timers.next, struct event_timer, node);
}

void event_timer_source_arm(struct event_loop *loop)
{
	const struct event_timer *t = earliest(loop);
	struct itimerspec when = {0};
	uint64_t usec = 0;
	int r;

	if (t) /* All zeroes would disarm. */
		usec = t->deadline_usec > 0 ? t->deadline_usec : 1;
	if (usec == loop->armed_usec)
		return;
	when.it_value.tv_sec = (time_t)(usec / USEC_PER_SEC);
	when.it_value.tv_nsec = (long)(usec % USEC_PER_SEC) * 1000;
	r = timerfd_settime(loop->timer_source.fd, TFD_TIMER_ABSTIME, &when, NULL);
	assert(r == 0);
	(void)r;
	loop->armed_usec = usec;
}

static enum event_verb on_timerfd(struct event_source *s, uint32_t events UNUSED)
{
	struct event_loop *loop = s->loop;
	uint64_t expirations, now = clock_boot_usec();
	struct event_timer *t;
	struct list due;

	if (read(s->fd, &expirations, sizeof(expirations)) < 0 && errno != EAGAIN)
		return EVENT_CONTINUE;
	loop->armed_usec = 0; /* it has rung, or is about to be set anew */
	/* First collected, then called: a timer that is set again for "now" has its turn in the
	 * next iteration and cannot starve the rest of the loop. */
	list_init(&due);
	while ((t = earliest(loop)) && t->deadline_usec <= now) {
		list_remove(&t->node);
		list_append(&due, &t->node);
	}
	while (!list_empty(&due)) {
		t = list_entry(due.next, struct event_timer, node);
		list_remove(&t->node);
		t->loop = NULL;
		t->on_due(t);
	}
	return EVENT_CONTINUE;
}

int event_timer_source_init(struct event_loop *loop)
{
	int r, fd = timerfd_create(CLOCK_BOOTTIME, TFD_CLOEXEC | TFD_NONBLOCK);

	if (fd < 0)
		return -errno;
	r = event_add(loop, &loop->timer_source, fd, EPOLLIN, on_timerfd);
	if (r < 0)
		fd_close(&fd);
	return r;
}

void event_timer_source_done(struct event_loop *loop)
{
	event_remove(&loop->timer_source);
	fd_close(&loop->timer_source.fd);
}

void event_timer_set(struct event_loop *loop, struct event_timer *t, uint64_t deadline_usec,
	void (*on_due)(struct event_timer *t))
{
	struct list *after;

	event_timer_clear(t);
	t->loop = loop;
	t->deadline_usec = deadline_usec;
	t->on_due = on_due;
	/* From the end: a new deadline is mostly the latest. */
	for (after = loop->timers.prev; after != &loop->timers; after = after->prev)
		if (list_entry(after, struct event_timer, node)->deadline_usec <= deadline_usec)
			break;
	list_append(after->next, &t->node);
}

void event_timer_set_in(struct event_loop *loop, struct event_timer *t, uint64_t delay_usec,
	void (*on_due)(struct event_timer *t))
{
	uint64_t now = clock_boot_usec();

	event_timer_set(
		loop, t, delay_usec > INT64_MAX - now ? INT64_MAX : now + delay_usec, on_due);
}

void event_timer_clear(struct event_timer *t)
{
	if (!t || !t->loop)
		return;
	list_remove(&t->node);
	t->loop = NULL;
}
