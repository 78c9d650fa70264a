#include "shim/scope.h"

#include <errno.h>
#include <stdlib.h>
#include "base/cleanup.h"
#include "event/timer.h"
#include "systemd/call.h"

struct scope_job {
	struct systemd_call call;
	struct event_source source;
	struct event_timer limit;
	scope_done_fn *done;
	void *ctx;
};

void scope_cancel(struct scope_job *job)
{
	if (!job)
		return;
	event_remove(&job->source);
	event_timer_clear(&job->limit);
	systemd_call_end(&job->call);
	free(job);
}

static void scope_cancelp(struct scope_job **job)
{
	scope_cancel(*job);
}

static void finish(struct scope_job *job, const struct err *err)
{
	scope_done_fn *done = job->done;
	void *ctx = job->ctx;

	scope_cancel(job);
	done(ctx, err);
}

static enum event_verb on_ready(struct event_source *s, UNUSED uint32_t events)
{
	struct scope_job *job = container_of(s, struct scope_job, source);
	struct err err = ERR_INIT;
	int r = systemd_call_step(&job->call, &err);

	/* POLL… and EPOLL… are the same bits */
	if (r == 0 && event_set_mask(s, (uint32_t)systemd_call_events(&job->call)) < 0)
		r = err_sysf(&err, ENOMEM, "watching the connection to systemd");
	if (r != 0)
		finish(job, r < 0 ? &err : NULL);
	return EVENT_CONTINUE;
}

static void on_late(struct event_timer *t)
{
	struct scope_job *job = container_of(t, struct scope_job, limit);
	struct err err = ERR_INIT;

	(void)systemd_call_late(&job->call, &err);
	finish(job, &err);
}

static struct scope_job *job_new(scope_done_fn *done, void *ctx)
{
	struct scope_job *job = calloc(1, sizeof(*job));

	if (!job)
		return NULL;
	job->call.fd = -EBADF;
	job->source = (struct event_source)EVENT_SOURCE_INIT;
	job->done = done;
	job->ctx = ctx;
	return job;
}

static int job_run(
	struct scope_job *job, struct event_loop *loop, uint64_t limit_usec, struct err *err)
{
	int r = event_add(loop, &job->source, job->call.fd,
		(uint32_t)systemd_call_events(&job->call), on_ready);

	if (r < 0)
		return err_sysf(err, -r, "watching the connection to systemd");
	event_timer_set_in(loop, &job->limit, limit_usec, on_late);
	return 0;
}

int scope_stop(struct event_loop *loop, const char *unit, uint64_t limit_usec, scope_done_fn *done,
	void *ctx, struct scope_job **ret_job, struct err *err)
{
	_cleanup_(scope_cancelp) struct scope_job *job = job_new(done, ctx);
	int fd, r;

	if (!job)
		return err_sysf(err, ENOMEM, "scope %s", unit);
	fd = systemd_connect(err);
	if (fd < 0)
		return fd;
	r = systemd_stop_unit(&job->call, fd, unit, err);
	if (r == 0)
		r = job_run(job, loop, limit_usec, err);
	if (r == 0)
		*ret_job = TAKE_PTR(job);
	return r;
}
