#include "shim/update.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/fd.h"
#include "base/log.h"
#include "base/str.h"
#include "cgroup/limits.h"
#include "oci/spec.h"
#include "resources/resources.h"
#include "shim/answers.h"
#include "shim/container.h"
#include "shim/shim.h"
#include "shim/waiters.h"
#include "systemd/scope.h"

enum { WAITING_MAX = 64, NOTES_MAX = 512, FD_CONTROL = 3 };

/* One of the queue. */
struct pending {
	struct list node;
	struct list calls; /* the one that asked, while it is there */
	char *json;
	size_t len;
};

/* What the child says when it is through. */
struct result {
	struct err err;        /* ERR_NONE: done */
	char notes[NOTES_MAX]; /* what this host cannot enforce */
};

/* What the child works on: memory that it has a copy of. */
struct work {
	const struct cgroup *cgroup;
	const struct cgroup_limits *limits;
	const char *unit; /* the scope that has to know of them; NULL: none */
};

void update_init(struct update *u)
{
	list_init(&u->queue);
	u->child = (struct proc)PROC_INIT;
	u->control = -EBADF;
	u->source = (struct event_source)EVENT_SOURCE_INIT;
}

static void pending_free(struct pending *p)
{
	list_remove(&p->node);
	free(p->json);
	free(p);
}

static void join_notes(char *const *notes, char out[NOTES_MAX])
{
	size_t len = 0;

	for (size_t i = 0; notes && notes[i] && len < NOTES_MAX - 1; i++) {
		int n = snprintf(out + len, NOTES_MAX - len, "%s%s", i > 0 ? ", " : "", notes[i]);

		len += n > 0 ? (size_t)n : 0;
	}
}

static int write_limits(const struct work *w, char ***notes, struct err *err)
{
	int r = cgroup_limits_apply(w->cgroup, w->limits, notes, err);

	if (r < 0 || !w->unit)
		return r;
	return systemd_limit_scope(w->unit, w->cgroup, w->limits,
		clock_boot_usec() + SYSTEMD_SCOPE_SECONDS * USEC_PER_SEC, err);
}

/* The child: a copy of this process, which never ran a second thread. Nothing of the shim's stays
 * open in it: the write may take its time. */
static int child_main(void *arg)
{
	const struct work *w = arg;
	_cleanup_strv_ char **notes = NULL;
	struct result result = {.err = ERR_INIT};

	fd_close_from(FD_CONTROL + 1);
	if (write_limits(w, &notes, &result.err) == 0) {
		result.err = (struct err)ERR_INIT;
		join_notes(notes, result.notes);
	}
	return fd_send(FD_CONTROL, &result, sizeof(result), -EBADF) < 0 ? 1 : 0;
}

static void tell_failed(int control, const struct err *err)
{
	struct result result = {.err = *err};

	(void)fd_send(control, &result, sizeof(result), -EBADF);
}

static void begin_next(struct container *c);

static void finish(struct container *c, const struct err *err)
{
	struct update *u = &c->update;
	struct pending *p = list_entry(u->queue.next, struct pending, node);

	event_remove(&u->source);
	fd_close(&u->control);
	proc_done(&u->child); /* the shim reaps whoever ends */
	if (err->kind == ERR_NONE) {
		answer_empty_all(&p->calls);
	} else {
		log_error("container %s: Update: %s", c->id, err->text);
		waiters_fail(&p->calls, err);
	}
	pending_free(p);
	begin_next(c);
}

static enum event_verb on_control(struct event_source *s, UNUSED uint32_t events)
{
	struct update *u = container_of(s, struct update, source);
	struct container *c = container_of(u, struct container, update);
	struct result result;
	int fd = -EBADF;
	ssize_t n = fd_recv(u->control, &result, sizeof(result), &fd);

	fd_close(&fd);
	if (n == -EAGAIN)
		return EVENT_CONTINUE;
	if (n != (ssize_t)sizeof(result)) {
		result.notes[0] = '\0';
		(void)err_setf(&result.err, ERR_INTERNAL, EIO,
			"the process that writes the limits ended and said nothing");
	}
	if (result.notes[0] != '\0')
		log_warn("container %s: Update: %s cannot be enforced here, continuing without it",
			c->id, result.notes);
	finish(c, &result.err);
	return EVENT_CONTINUE;
}

static int spawn(struct container *c, const struct cgroup_limits *limits, struct err *err)
{
	_cleanup_close_ int ours = -EBADF, theirs = -EBADF;
	struct work work = {&c->cgroup, limits, c->unit};
	struct proc_spec spec = PROC_SPEC_INIT;
	struct update *u = &c->update;
	int pair[2], r;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		return err_sysf(err, errno, "socketpair");
	ours = pair[0];
	theirs = pair[1];
	r = fd_set_nonblock(ours);
	if (r < 0)
		return err_sysf(err, -r, "control socket");
	spec.run = child_main;
	spec.run_arg = &work;
	for (size_t i = 0; i < FD_CONTROL; i++)
		spec.fds[i] = -1;
	spec.fds[FD_CONTROL] = theirs;
	spec.n_fds = FD_CONTROL + 1;
	spec.tell = tell_failed;
	spec.tell_fd = theirs;
	r = proc_spawn(&spec, &u->child, err);
	if (r < 0)
		return r;
	u->control = TAKE_FD(ours);
	r = event_add(&c->shim->loop, &u->source, u->control, EPOLLIN, on_control);
	if (r == 0)
		return 0;
	fd_close(&u->control);
	proc_done(&u->child);
	return err_sysf(err, -r, "watching the update");
}

static int apply(struct container *c, const char *json, size_t len, struct err *err)
{
	struct oci_resources res = OCI_RESOURCES_INIT;
	struct resources limits = RESOURCES_INIT;
	int r = oci_resources_parse(json, len, &res, err);

	if (r == 0)
		r = resources_limits(&res, &limits, err);
	if (r == 0)
		r = spawn(c, &limits.limits, err);
	resources_done(&limits);
	oci_resources_done(&res);
	return r;
}

/* Begins the first of the queue that can be begun. */
static void begin_next(struct container *c)
{
	struct update *u = &c->update;

	while (u->control < 0 && !list_empty(&u->queue)) {
		struct pending *p = list_entry(u->queue.next, struct pending, node);
		struct err err = ERR_INIT;

		if (apply(c, p->json, p->len, &err) == 0)
			return;
		log_error("container %s: Update: %s", c->id, err.text);
		waiters_fail(&p->calls, &err);
		pending_free(p);
	}
}

/* typeurl names of OCI types: …/opencontainers/runtime-spec/1/LinuxResources, whatever stands
 * before and whichever the version. No name at all is taken by its value. */
static bool is_linux_resources(const char *type_url)
{
	return str_empty(type_url) || str_eq(type_url, "LinuxResources") ||
	       str_has_suffix(type_url, "/LinuxResources") ||
	       str_has_suffix(type_url, ".LinuxResources");
}

/* What is wrong with it is said at once, not when its turn comes. */
static int check(const char *type_url, const void *json, size_t len, struct err *err)
{
	struct oci_resources res = OCI_RESOURCES_INIT;
	int r;

	if (!is_linux_resources(type_url))
		return err_setf(err, ERR_INVALID, EINVAL,
			"resources: \"%.200s\": must be an OCI LinuxResources", type_url);
	r = oci_resources_parse(json, len, &res, err);
	oci_resources_done(&res);
	return r;
}

int update_begin(struct container *c, const char *type_url, const void *json, size_t len,
	struct ttrpc_call *call, struct err *err)
{
	struct update *u = &c->update;
	struct pending *p;
	char name[256];
	int r = lifecycle_allows(
		c->init.state, CALL_UPDATE, process_name(&c->init, name, sizeof(name)), err);

	if (r == 0)
		r = check(type_url, json, len, err);
	if (r < 0)
		return r;
	if (list_length(&u->queue) >= WAITING_MAX)
		return err_setf(err, ERR_EXHAUSTED, ENOSPC,
			"container %s: %d updates are waiting already", c->id, WAITING_MAX);
	p = calloc(1, sizeof(*p));
	if (p)
		p->json = malloc(len + 1);
	if (!p || !p->json) {
		free(p);
		return err_sysf(err, ENOMEM, "update");
	}
	memcpy(p->json, json, len);
	p->json[len] = '\0';
	p->len = len;
	list_init(&p->calls);
	list_append(&u->queue, &p->node);
	(void)waiters_add(&p->calls, call);
	begin_next(c);
	return 0;
}

void update_cancel(struct container *c)
{
	struct update *u = &c->update;
	struct err gone = ERR_INIT;

	(void)err_setf(&gone, ERR_NOT_FOUND, ESRCH,
		"container %s: process already finished: not found", c->id);
	event_remove(&u->source);
	fd_close(&u->control);
	(void)proc_signal(&u->child, SIGKILL);
	proc_done(&u->child);
	while (!list_empty(&u->queue)) {
		struct pending *p = list_entry(u->queue.next, struct pending, node);

		waiters_fail(&p->calls, &gone);
		pending_free(p);
	}
}
