#include "shim/pause.h"

#include <errno.h>
#include "base/clock.h"
#include "base/fd.h"
#include "base/log.h"
#include "cgroup/freeze.h"
#include "shim/answers.h"
#include "shim/container.h"
#include "shim/shim.h"
#include "shim/waiters.h"

enum { LOOK_MIN_USEC = 1000, LOOK_MAX_USEC = 100000 };

void pause_init(struct pause *p)
{
	p->frozen = (struct event_source)EVENT_SOURCE_INIT;
	p->frozen_fd = -EBADF;
	list_init(&p->pausers);
}

static void stop_watching(struct pause *p)
{
	event_remove(&p->frozen);
	fd_close(&p->frozen_fd);
	event_timer_clear(&p->look);
}

static void fail_pausers(struct container *c, enum err_kind kind, int errnum, const char *why)
{
	struct err err = ERR_INIT;

	(void)err_setf(&err, kind, errnum, "container %s: %s", c->id, why);
	waiters_fail(&c->pause.pausers, &err);
}

/* Whether it stands still by now; true when there is nothing more to wait for. */
static bool look(struct container *c)
{
	struct err err = ERR_INIT;
	int r = cgroup_is_frozen(&c->cgroup, &err);

	if (r == 0)
		return false;
	stop_watching(&c->pause);
	if (r < 0) { /* its cgroup is gone: so is the container, its exit is on the way */
		log_debug("container %s: %s", c->id, err.text);
		return true;
	}
	process_event(&c->init, LIFE_FROZEN);
	answer_paused_event(c);
	answer_empty_all(&c->pause.pausers);
	return true;
}

static enum event_verb on_frozen_change(struct event_source *s, UNUSED uint32_t events)
{
	struct pause *p = container_of(s, struct pause, frozen);

	cgroup_freeze_seen(p->frozen_fd);
	(void)look(container_of(p, struct container, pause));
	return EVENT_CONTINUE;
}

static void on_look(struct event_timer *t)
{
	struct pause *p = container_of(t, struct pause, look);
	struct container *c = container_of(p, struct container, pause);

	if (look(c))
		return;
	p->look_usec = p->look_usec * 2 < LOOK_MAX_USEC ? p->look_usec * 2 : LOOK_MAX_USEC;
	event_timer_set_in(&c->shim->loop, t, p->look_usec, on_look);
}

static int watch(struct container *c, struct err *err)
{
	struct pause *p = &c->pause;
	int r;

	p->frozen_fd = cgroup_open_freeze_events(&c->cgroup);
	if (p->frozen_fd == -ENOENT) {
		p->look_usec = LOOK_MIN_USEC;
		event_timer_set_in(&c->shim->loop, &p->look, p->look_usec, on_look);
		return 0;
	}
	r = p->frozen_fd < 0 ? p->frozen_fd
			     : event_add(&c->shim->loop, &p->frozen, p->frozen_fd, EPOLLPRI,
				       on_frozen_change);
	if (r < 0)
		fd_close(&p->frozen_fd);
	return r < 0 ? err_sysf(err, -r, "container %s: watching its freezer", c->id) : 0;
}

int pause_begin(struct container *c, struct ttrpc_call *call, struct err *err)
{
	char name[256];
	int r = lifecycle_allows(
		c->init.state, CALL_PAUSE, process_name(&c->init, name, sizeof(name)), err);

	if (r == 0)
		r = watch(c, err);
	if (r < 0)
		return r;
	r = cgroup_freeze(&c->cgroup, true, err);
	if (r < 0) {
		stop_watching(&c->pause);
		return err_wrapf(err, "pausing container %s", c->id);
	}
	process_event(&c->init, LIFE_PAUSE);
	(void)waiters_add(&c->pause.pausers, call);
	(void)look(c);
	return 0;
}

int pause_end(struct container *c, struct err *err)
{
	char name[256];
	int r = lifecycle_allows(
		c->init.state, CALL_RESUME, process_name(&c->init, name, sizeof(name)), err);

	if (r == 0)
		r = cgroup_freeze(&c->cgroup, false, err);
	if (r < 0)
		return r;
	stop_watching(&c->pause);
	process_event(&c->init, LIFE_RESUME);
	fail_pausers(c, ERR_CANCELED, ECANCELED, "was resumed before it stood still");
	answer_resumed_event(c);
	return 0;
}

void pause_killed(struct container *c)
{
	struct err err = ERR_INIT;

	if (c->init.state != PROCESS_PAUSING && c->init.state != PROCESS_PAUSED)
		return;
	if (cgroup_freeze_holds_the_dead(&c->cgroup) && cgroup_freeze(&c->cgroup, false, &err) < 0)
		log_warn("container %s: %s, continuing", c->id, err.text);
}

void pause_cancel(struct container *c)
{
	stop_watching(&c->pause);
	fail_pausers(c, ERR_NOT_FOUND, ESRCH, "process already finished: not found");
}
