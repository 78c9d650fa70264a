#include "shim/oom.h"

#include <errno.h>
#include <signal.h>
#include "base/log.h"
#include "shim/answers.h"
#include "shim/container.h"
#include "shim/shim.h"

/* cgroup v1 tells of the shortage; the kill that follows is counted within microseconds, or, when
 * the killer finds nobody, never. */
enum { LOOK_FIRST_USEC = 1000, LOOK_LAST_USEC = 1024000, DOUBT_USEC = 512000 };

static void on_told(struct event_receipt *r)
{
	struct oom *o = container_of(r, struct oom, receipt);

	container_oom_told(container_of(o, struct container, oom));
}

static void tell(struct container *c, uint64_t kills)
{
	c->oom.kills = kills;
	c->oom.shortages = 0;
	answer_oom_event(c, &c->oom.receipt, on_told);
}

/* Whether the count has grown; -errno when there is nothing to read any more. */
static int look(struct container *c)
{
	uint64_t kills;
	int r;

	c->oom.shortages += cgroup_oom_seen(&c->oom.watch);
	r = cgroup_oom_kills(&c->cgroup, &kills);
	if (r < 0)
		return r;
	if (kills <= c->oom.kills)
		return 0;
	tell(c, kills);
	return 1;
}

static void on_doubt_over(struct event_timer *t)
{
	struct oom *o = container_of(t, struct oom, look);

	o->doubt = false;
	o->decided = true;
	container_oom_told(container_of(o, struct container, oom));
}

/*
 * The cgroup is gone, and its count with it. A shortage is told before the kill. The end of the
 * cgroup is told by the same descriptor, some milliseconds late, so that once may be either, and
 * twice is both.
 */
static void decide(struct container *c)
{
	struct oom *o = &c->oom;
	uint64_t shortages = o->shortages;

	if (o->decided || !o->watch.early || c->init.exit_status != 128 + SIGKILL)
		return;
	if (shortages == 1 && o->doubt)
		return;
	if (shortages > 1)
		tell(c, o->kills + 1);
	o->decided = shortages != 1;
	o->doubt = shortages > 0;
	if (o->doubt)
		event_timer_set_in(
			&c->shim->loop, &o->look, o->decided ? 0 : DOUBT_USEC, on_doubt_over);
}

static void on_look(struct event_timer *t)
{
	struct oom *o = container_of(t, struct oom, look);
	struct container *c = container_of(o, struct container, oom);

	if (look(c) != 0)
		return;
	if (o->look_usec >= LOOK_LAST_USEC) {
		o->shortages = 0; /* the killer has found nobody */
		return;
	}
	o->look_usec *= 2;
	event_timer_set_in(&c->shim->loop, t, o->look_usec, on_look);
}

static void unwatch(struct container *c)
{
	event_remove(&c->oom.source);
	event_timer_clear(&c->oom.look);
	cgroup_oom_watch_done(&c->oom.watch);
}

static enum event_verb on_oom(struct event_source *s, UNUSED uint32_t events)
{
	struct oom *o = container_of(s, struct oom, source);
	struct container *c = container_of(o, struct container, oom);
	int r = look(c);

	if (r < 0 && !o->watch.early) {
		unwatch(c); /* the cgroup is gone, which leaves the descriptor ready for ever */
	} else if (r < 0) {
		decide(c);
	} else if (r == 0 && o->watch.early) {
		o->look_usec = LOOK_FIRST_USEC;
		event_timer_set_in(&c->shim->loop, &o->look, o->look_usec, on_look);
	}
	return EVENT_CONTINUE;
}

void oom_watch(struct container *c)
{
	struct oom *o = &c->oom;
	struct err err = ERR_INIT;
	int r = cgroup_oom_watch(&c->cgroup, &o->watch, &err);

	if (r == -ENOENT) {
		log_info(
			"container %s: kills for want of memory are not told: %s", c->id, err.text);
		return;
	}
	if (r == 0) {
		/* a cgroup that was there before may have counted already */
		(void)cgroup_oom_kills(&c->cgroup, &o->kills);
		r = event_add(&c->shim->loop, &o->source, o->watch.fd, o->watch.events, on_oom);
		if (r < 0)
			(void)err_sysf(&err, -r, "watching");
	}
	if (r < 0) {
		log_warn("container %s: kills for want of memory are told late: %s, continuing",
			c->id, err.text);
		cgroup_oom_watch_done(&o->watch);
	}
}

void oom_check(struct container *c)
{
	if (look(c) < 0)
		decide(c);
	else if (c->init.state == PROCESS_EXITING)
		c->oom.decided = true; /* its kill would have been counted */
}

bool oom_told(const struct container *c)
{
	return c->abandoned || (!c->oom.doubt && !event_receipt_waits(&c->oom.receipt));
}

void oom_cancel(struct container *c)
{
	event_receipt_cancel(&c->oom.receipt);
	unwatch(c);
}
