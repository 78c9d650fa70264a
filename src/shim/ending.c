#include "shim/ending.h"

#include <signal.h>
#include <stdlib.h>
#include <sys/pidfd.h>
#include "base/cleanup.h"
#include "base/log.h"
#include "base/proc.h"
#include "cgroup/kill.h"

struct member {
	struct list node;
	struct ending *ending;
	struct proc proc;
	struct event_source source;
};

static void begin_round(struct event_post *p);

static void forget(struct member *m)
{
	list_remove(&m->node);
	event_remove(&m->source);
	proc_done(&m->proc);
	free(m);
}

static enum event_verb on_dead(struct event_source *s, UNUSED uint32_t events)
{
	struct member *m = container_of(s, struct member, source);
	struct ending *e = m->ending;

	forget(m);
	if (list_empty(&e->members)) {
		event_timer_clear(&e->grace);
		event_post(e->loop, &e->next, begin_round);
	}
	return EVENT_CONTINUE;
}

/* Takes the pidfd of one member; without memory for it the next round finds the member again. */
static void watch(struct ending *e, struct proc *proc)
{
	struct member *m = calloc(1, sizeof(*m));

	if (!m)
		return;
	m->ending = e;
	m->proc = *proc;
	*proc = (struct proc)PROC_INIT;
	m->source = (struct event_source)EVENT_SOURCE_INIT;
	list_append(&e->members, &m->node);
	if (event_add(e->loop, &m->source, m->proc.pidfd, EPOLLIN, on_dead) < 0)
		forget(m);
}

static void begin_round(struct event_post *p)
{
	struct ending *e = container_of(p, struct ending, next);
	struct err err = ERR_INIT;
	struct proc *members = NULL;
	size_t n = 0;
	int r = cgroup_kill_round(e->cgroup, &members, &n, &err);

	if (r < 0)
		log_warn("ending the processes of a cgroup: %s, continuing", err.text);
	for (size_t i = 0; r == 0 && i < n; i++)
		watch(e, &members[i]);
	members = cgroup_members_free(members, n);
	if (!list_empty(&e->members))
		return;
	e->active = false;
	e->on_empty(e);
}

static void on_grace_over(struct event_timer *t)
{
	struct ending *e = container_of(t, struct ending, grace);

	while (!list_empty(&e->members))
		forget(list_entry(e->members.next, struct member, node));
	event_post(e->loop, &e->next, begin_round);
}

/* SIGTERM to everybody; true if there is somebody to wait for. */
static bool ask_nicely(struct ending *e)
{
	_cleanup_free_ pid_t *pids = NULL;
	size_t n = 0;

	if (cgroup_pids(e->cgroup, &pids, &n, NULL) < 0)
		return false;
	for (size_t i = 0; i < n; i++) {
		struct proc proc = {.pid = pids[i], .pidfd = pidfd_open(pids[i], 0)};

		if (proc_signal(&proc, SIGTERM) == 0)
			watch(e, &proc);
		proc_done(&proc);
	}
	return !list_empty(&e->members);
}

void ending_begin(struct ending *e, struct event_loop *loop, const struct cgroup *cgroup,
	uint64_t grace_ms, void (*on_empty)(struct ending *e))
{
	if (e->active)
		return;
	e->loop = loop;
	e->cgroup = cgroup;
	e->on_empty = on_empty;
	e->active = true;
	list_init(&e->members);
	if (grace_ms > 0 && ask_nicely(e))
		event_timer_set_in(loop, &e->grace, grace_ms * 1000U, on_grace_over);
	else
		event_post(loop, &e->next, begin_round);
}

void ending_cancel(struct ending *e)
{
	if (!e->active)
		return;
	event_post_cancel(&e->next);
	event_timer_clear(&e->grace);
	while (!list_empty(&e->members))
		forget(list_entry(e->members.next, struct member, node));
	e->active = false;
}
