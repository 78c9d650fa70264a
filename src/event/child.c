#include "event/child.h"

#include "base/macro.h"

static enum event_verb on_pidfd(struct event_source *source, uint32_t events UNUSED)
{
	struct event_child *c = container_of(source, struct event_child, source);
	uint32_t status = 0;
	int r = proc_reap(c->proc, &status);

	if (r == 0) /* see EPOLLET below */
		return EVENT_CONTINUE;
	event_remove(source);
	c->on_exit(c, r < 0 ? r : 0, status);
	return EVENT_CONTINUE;
}

int event_child_watch(struct event_child *c, struct event_loop *loop, struct proc *proc,
	void (*on_exit)(struct event_child *c, int error, uint32_t status))
{
	*c = (struct event_child)EVENT_CHILD_INIT;
	c->proc = proc;
	c->on_exit = on_exit;
	/*
	 * Edge-triggered: the pidfd of a child that died under a debugger is readable, but the
	 * child cannot be reaped before the debugger has seen its end. The kernel wakes pollers
	 * again then (kernel/exit.c wait_task_zombie); a level would spin until that happens.
	 */
	return event_add(loop, &c->source, proc->pidfd, EPOLLIN | EPOLLET, on_pidfd);
}

void event_child_forget(struct event_child *c)
{
	if (c)
		event_remove(&c->source);
}
