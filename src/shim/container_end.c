/* How a container ends: its processes are reaped, its cgroup is emptied, and Delete lets go of it.
 */
#include "shim/container_end.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/str.h"
#include "cgroup/kill.h"
#include "groups/groups.h"
#include "shim/answers.h"
#include "shim/container_hooks.h"
#include "shim/history.h"
#include "shim/shim.h"
#include "shim/snapshots.h"
#include "shim/waiters.h"
#include "store/record.h"

enum {
	/* how long the end of a container waits for what cannot be killed (a frozen parent, a
	   process in uninterruptible sleep), and Delete for its cgroup */
	OVERDUE_MS = 2000,
	DELETE_MS = 5000,
	AGAIN_MS = 20,
	/* a Create that failed has run nothing yet: what it takes to end a child that prepares
	   itself */
	UNDO_USEC = 2000000,
	SCOPE_USEC = 3000000, /* for systemd to forget an empty scope */
};

/* The logger of a process, if it has one that runs. */
static void add_logger(struct store_record *record, const struct process *p)
{
	if (logger_alive(&p->io.logger) && record->n_loggers < STORE_LOGGERS_MAX)
		record->loggers[record->n_loggers++] = (struct store_process) {
			p->io.logger.proc.pid, p->io.logger.proc.start_ticks};
}

static int add_loggers(struct store_record *record, const struct container *c)
{
	size_t n = 1 + list_length(&c->execs);
	struct list *pos;

	record->loggers =
		calloc(n < STORE_LOGGERS_MAX ? n : STORE_LOGGERS_MAX, sizeof(*record->loggers));
	if (!record->loggers)
		return -ENOMEM;
	add_logger(record, &c->init);
	list_for_each (pos, &c->execs)
		add_logger(record, list_entry(pos, struct process, node));
	return 0;
}

int container_record(const struct container *c, struct err *err)
{
	_cleanup_close_ int bundle = open(c->bundle, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	_cleanup_strv_ char **dirs = NULL;
	struct store_record record = STORE_RECORD_INIT;
	int r;

	if (bundle < 0)
		return err_sysf(err, errno, "bundle %s", c->bundle);
	if (cgroup_to_strv(&c->cgroup, &dirs) < 0 || add_loggers(&record, c) < 0)
		return err_sysf(err, ENOMEM, "record");
	record.id = c->id; /* borrowed for the call: the record is written, not kept */
	record.ns = c->shim->ns;
	record.group = c->group;
	record.view = c->view;
	record.swept = c->swept;
	record.runtime_version = (char *)REAPER_VERSION;
	record.sandbox = c->type == OCI_TYPE_SANDBOX;
	record.own_pidns = c->pidns_own;
	record.init_pid = (pid_t)c->init.pid;
	record.init_start_ticks = c->init.proc.start_ticks;
	record.cgroups = dirs;
	record.unit = c->unit;
	record.slice = c->slice;
	record.snapshot = c->snapshot;
	record.created = c->created;
	record.exited = c->init.state == PROCESS_EXITING || c->init.state == PROCESS_STOPPED;
	record.exit_status = c->init.exit_status;
	record.exited_at = c->init.exited_at;
	r = store_record_write(bundle, &record, err);
	free(record.loggers);
	return r;
}

static void remove_record(const struct container *c)
{
	_cleanup_free_ char *path = NULL;

	if (str_printf(&path, "%s/%s", c->bundle, STORE_RECORD_NAME) == 0)
		(void)unlink(path);
}

/* No process was ever in its cgroup: there is nobody to wait for. */
void container_undo(struct container *c)
{
	struct err err = ERR_INIT;

	if (cgroup_remove(&c->cgroup, &err) < 0)
		log_error("container %s: %s", c->id, err.text);
	remove_record(c);
}

/* The scope is gone, or systemd says why not: what the kernel had of the container is gone anyway.
 */
static void scope_over(struct container *c, const struct err *err)
{
	if (err)
		log_warn("container %s: %s, continuing", c->id, err->text);
	free(c->unit);
	c->unit = NULL;
}

/* Whether there is no scope any more; else `done` is called when there is none. */
static bool scope_is_gone(struct container *c, scope_done_fn *done)
{
	struct err err = ERR_INIT;

	if (!c->unit)
		return true;
	if (!c->scope_job &&
		scope_stop(&c->shim->loop, c->unit, SCOPE_USEC, done, c, &c->scope_job, &err) < 0)
		scope_over(c, &err);
	return !c->unit;
}

/* … and its poststop hooks have run. */
static void answer_create_failed(struct container *c)
{
	struct shim *shim = c->shim;

	snapshot_leaves(c);
	waiters_fail(&c->init.starters, &c->init.failure);
	c->audience->deleted(c, false);
	(void)container_free(c);
	shim_reconsider(shim, false);
}

static void on_undone_scope(void *ctx, const struct err *err)
{
	struct container *c = ctx;

	c->scope_job = NULL;
	scope_over(c, err);
	container_poststop(c, answer_create_failed);
}

static void undo_step(struct container *c);

static void on_undone_processes(struct ending *e)
{
	struct container *c = container_of(e, struct container, ending);

	c->emptied = true;
	undo_step(c);
}

static void on_undo_again(struct event_timer *t)
{
	undo_step(container_of(t, struct container, again));
}

static void on_undo_over(struct event_timer *t)
{
	struct container *c = container_of(t, struct container, limit);

	ending_cancel(&c->ending);
	c->overdue = true;
	undo_step(c);
}

/* Ends what the child has left in its cgroup (a hook, say), which may take its time to die, and
 * then lets go of it. */
static void undo_step(struct container *c)
{
	struct err err = ERR_INIT;
	int r = cgroup_remove(&c->cgroup, &err);

	if (r == -EBUSY && !c->overdue) {
		if (!c->limit.loop)
			event_timer_set_in(&c->shim->loop, &c->limit, UNDO_USEC, on_undo_over);
		if (!c->emptied)
			ending_begin(
				&c->ending, &c->shim->loop, &c->cgroup, 0, on_undone_processes);
		else
			event_timer_set_in(
				&c->shim->loop, &c->again, AGAIN_MS * 1000U, on_undo_again);
		c->emptied = false;
		return;
	}
	event_timer_clear(&c->limit);
	event_timer_clear(&c->again);
	if (r < 0)
		log_error("container %s: %s", c->id, err.text);
	remove_record(c);
	if (scope_is_gone(c, on_undone_scope))
		container_poststop(c, answer_create_failed);
}

/* Create has failed in the child: everything is taken back, then the caller hears why. */
static void create_failed(struct container *c)
{
	struct err *err = &c->init.failure;

	if (!c->init.failed)
		(void)err_setf(err, ERR_UNKNOWN, EIO,
			"reaper-runtime init ended with status %u and said nothing",
			c->init.exit_status);
	history_refused(c, err); /* before it is told which: a record has the id */
	(void)err_wrapf(err, "creating container %s", c->id);
	log_error("%s", err->text);
	event_timer_clear(&c->limit); /* container_end()'s: taking it back has a limit of its own */
	undo_step(c);
}

static bool any_exec_alive(const struct container *c)
{
	struct list *pos;

	list_for_each (pos, &c->execs) {
		const struct process *p = list_entry(pos, struct process, node);

		if (process_alive(p) || unread_waits(&p->unread))
			return true;
	}
	return false;
}

static void delete_step(struct container *c);

/* The first process has ended; once nothing else of the container is left the world hears of it. */
static void check_alone(struct container *c)
{
	struct err err = ERR_INIT;

	if (c->init.state != PROCESS_EXITING || c->creating || c->ending.active)
		return;
	if (!c->overdue && any_exec_alive(c))
		return;
	event_timer_clear(&c->limit);
	if (!process_heard(&c->init))
		return;
	if (!c->pidns_own)
		oom_check(c); /* others of it may have been killed since */
	if (!oom_told(c))
		return;
	if (container_record(c, &err) < 0)
		log_warn("container %s: recording its end: %s, continuing", c->id, err.text);
	process_stopped(&c->init, true);
	stdio_settle(&c->init.io);
	delete_step(c);
}

/* An exec that is still preparing itself may not be in the cgroup yet: each is ended by name as
 * well. */
static void kill_execs(struct container *c)
{
	struct list *pos;

	list_for_each (pos, &c->execs) {
		struct process *p = list_entry(pos, struct process, node);

		if (process_alive(p))
			(void)proc_signal(&p->proc, SIGKILL); /* ended meanwhile: as good */
	}
}

static void on_cgroup_empty(struct ending *e)
{
	struct container *c = container_of(e, struct container, ending);

	kill_execs(c);
	check_alone(c);
}

static void on_overdue(struct event_timer *t)
{
	struct container *c = container_of(t, struct container, limit);

	log_warn("container %s: some of its processes cannot be killed, continuing without them",
		c->id);
	ending_cancel(&c->ending);
	c->overdue = true;
	check_alone(c);
}

static void init_reaped(struct container *c)
{
	if (c->creating) {
		create_failed(c);
		return;
	}
	oom_check(c); /* it may be why: CRI wants to know before the exit */
	pause_cancel(c);
	update_cancel(c);
	event_timer_set_in(
		&c->shim->loop, &c->limit, (c->exit_grace_ms + OVERDUE_MS) * 1000U, on_overdue);
	/* in a pid namespace of its own the kernel has ended all the others before */
	if (!c->pidns_own) {
		if (c->exit_grace_ms == 0)
			kill_execs(c);
		ending_begin(
			&c->ending, &c->shim->loop, &c->cgroup, c->exit_grace_ms, on_cgroup_empty);
	}
	check_alone(c);
}

static void exec_over(struct process *p)
{
	process_stopped(p, p->started);
	check_alone(p->container);
}

void container_process_heard(struct process *p)
{
	if (p->exec_id)
		exec_over(p);
	else
		check_alone(p->container);
}

void container_oom_told(struct container *c)
{
	check_alone(c);
}

bool container_reaped(struct container *c, pid_t pid, uint32_t status)
{
	struct list *pos, *tmp;

	if (stdio_reaped(&c->init.io, pid, status))
		return true;
	if (process_alive(&c->init) && c->init.proc.pid == pid) {
		process_reaped(&c->init, status);
		init_reaped(c);
		return true;
	}
	list_for_each_safe (pos, tmp, &c->execs) {
		struct process *p = list_entry(pos, struct process, node);

		if (stdio_reaped(&p->io, pid, status))
			return true;
		if (!process_alive(p) || p->proc.pid != pid)
			continue;
		process_reaped(p, status);
		oom_check(c);
		if (process_heard(p))
			exec_over(p);
		return true;
	}
	return false;
}

/* Its child has made the cgroup: see what there is of it, for those who come later as well. */
static void scope_is_made(struct container *c)
{
	struct err err = ERR_INIT;

	cgroup_refresh(&c->cgroup);
	if (container_record(c, &err) < 0)
		log_warn("container %s: recording its cgroup: %s, continuing", c->id, err.text);
}

void container_process_ready(struct container *c, struct process *p)
{
	if (p->exec_id) { /* an exec's Start is both: prepare and go */
		process_release(p);
		return;
	}
	c->creating = false;
	snapshot_arrived(c);
	if (c->unit)
		scope_is_made(c);
	oom_watch(c);
	history_ready(c);
	c->audience->created(c);
}

void container_process_runs(struct container *c, struct process *p)
{
	p->started = true;
	history_runs(p);
	c->audience->runs(p);
	if (p->exec_id || !container_poststart(c))
		c->audience->started(p);
}

static void finish_delete_exec(struct process *p)
{
	struct container *c = p->container;

	answer_deleted(&p->deleters, &(struct exit_info) {p->pid, p->exit_status, p->exited_at});
	process_done(p);
	free(p);
	check_alone(c);
}

void container_drained(UNUSED struct stdio *io, void *ctx)
{
	struct process *p = ctx;

	if (!p->exec_id)
		delete_step(p->container);
	else if (p->deleting)
		finish_delete_exec(p);
}

static void on_emptied(struct ending *e)
{
	struct container *c = container_of(e, struct container, ending);

	c->emptied = true;
	delete_step(c);
}

/* Before Delete is answered: kubelet takes the volumes away then. */
static void sweep_view(const struct container *c)
{
	_cleanup_(store_layout_done) struct store_layout layout = STORE_LAYOUT_INIT;
	struct err err = ERR_INIT;
	int r = c->swept ? store_layout_init(&layout, NULL, NULL, &err) : 0;

	if (r == 0 && c->swept)
		r = groups_sweep(&layout, c->view, c->swept, &err);
	if (r < 0)
		log_warn("container %s: its volumes in the group's view: %s, continuing", c->id,
			err.text);
}

static void finish_delete(struct container *c)
{
	struct shim *shim = c->shim;

	sweep_view(c);
	snapshot_leaves(c);
	c->audience->deleted(c, true);
	(void)container_free(c);
	shim_reconsider(shim, false);
}

/* The next Delete may have better luck: the container is back in the table. For one that is
 * abandoned there will be none: whatever the kernel does not let go of, it is over. Whoever calls
 * does not touch `c` any more. */
static void delete_failed(struct container *c, struct err *err)
{
	(void)err_wrapf(err, "deleting container %s", c->id);
	log_error("%s", err->text);
	ending_cancel(&c->ending);
	event_timer_clear(&c->limit);
	event_timer_clear(&c->again);
	waiters_fail(&c->deleters, err);
	if (!c->abandoned) {
		c->deleting = c->emptied = false;
	} else if (c->init.state != PROCESS_STOPPED) {
		finish_delete(c);
	} else {
		c->emptied = c->removed = true;
		delete_step(c);
	}
}

static void on_delete_over(struct event_timer *t)
{
	struct err err = ERR_INIT;

	(void)err_setf(&err, ERR_DEADLINE, ETIMEDOUT,
		"its cgroup has processes that do not end when they are killed");
	delete_failed(container_of(t, struct container, limit), &err);
}

static void on_again(struct event_timer *t)
{
	delete_step(container_of(t, struct container, again));
}

static void on_stopped_scope(void *ctx, const struct err *err)
{
	struct container *c = ctx;

	c->scope_job = NULL;
	scope_over(c, err);
	delete_step(c);
}

static void on_poststop_over(struct container *c)
{
	c->poststop = true;
	delete_step(c);
}

/* One thing after the other, each as an event; called again whenever one of them has come. */
static void delete_step(struct container *c)
{
	struct err err = ERR_INIT;
	int r;

	if (!c->deleting || c->init.state != PROCESS_STOPPED || c->ending.active)
		return;
	/* cleaning up does not wait for the streams; only the answer does */
	if (c->abandoned)
		stdio_cut(&c->init.io);
	else
		(void)stdio_finish(&c->init.io);
	if (!c->limit.loop && !c->removed)
		event_timer_set_in(&c->shim->loop, &c->limit, DELETE_MS * 1000U, on_delete_over);
	if (!c->emptied) {
		ending_begin(&c->ending, &c->shim->loop, &c->cgroup, 0, on_emptied);
		return;
	}
	r = c->removed ? 0 : cgroup_remove(&c->cgroup, &err);
	if (r == -EBUSY) {
		/* somebody came in, or the kernel has not let go of the last one yet, which v1 has
		 * no event for */
		c->emptied = false;
		event_timer_set_in(&c->shim->loop, &c->again, AGAIN_MS * 1000U, on_again);
		return;
	}
	if (r < 0) {
		delete_failed(c, &err);
		return;
	}
	c->removed = true;
	event_timer_clear(&c->limit);
	if (!scope_is_gone(c, on_stopped_scope))
		return;
	if (!c->poststop) {
		if (!c->after_poststop)
			container_poststop(c, on_poststop_over);
		return;
	}
	if (!stdio_drained(&c->init.io)) /* container_drained() goes on */
		return;
	finish_delete(c);
}

int container_delete(struct container *c, struct ttrpc_call *call, struct err *err)
{
	char name[256];
	int r = lifecycle_allows(
		c->init.state, CALL_DELETE, process_name(&c->init, name, sizeof(name)), err);

	if (r < 0)
		return r;
	/* from here on the id is not in the table: a second Delete is told so, and a Shutdown after
	 * it finds nothing */
	c->deleting = true;
	(void)waiters_add(&c->deleters, call);
	/* prepares itself, or waits at its gate: goes on when it is reaped */
	if (c->init.state == PROCESS_CREATING || c->init.state == PROCESS_CREATED)
		(void)proc_signal(&c->init.proc, SIGKILL);
	delete_step(c);
	return 0;
}

void container_end(struct container *c, struct ttrpc_call *call)
{
	c->deleting = true;
	(void)waiters_add(&c->deleters, call);
	if (process_alive(&c->init)) { /* goes on when it is reaped */
		(void)proc_signal(&c->init.proc, SIGKILL);
		pause_killed(c);
		event_timer_set_in(&c->shim->loop, &c->limit, DELETE_MS * 1000U, on_delete_over);
	}
	delete_step(c);
}

void container_abandon(struct container *c, struct ttrpc_call *call)
{
	c->abandoned = true;
	c->exit_grace_ms = 0; /* `delete` has no time for it */
	check_alone(c);       /* nor for what containerd was still to be told */
	container_end(c, call);
}

int container_delete_exec(struct process *p, struct ttrpc_call *call, struct err *err)
{
	char name[256];
	int r = lifecycle_allows(
		process_seen_state(p), CALL_DELETE, process_name(p, name, sizeof(name)), err);

	if (r < 0)
		return r;
	if (process_alive(p)) /* CREATED: prepared, not released; an instant of Start's */
		return err_setf(err, ERR_PRECONDITION, EBUSY,
			"%s: is being started: failed precondition", name);
	p->deleting = true;
	(void)waiters_add(&p->deleters, call);
	/* what it wrote is delivered first; whoever else holds its output open is not waited for */
	if (stdio_finish(&p->io))
		finish_delete_exec(p);
	return 0;
}
