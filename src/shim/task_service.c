#include "shim/task_service.h"

#include <errno.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include "base/cleanup.h"
#include "base/log.h"
#include "base/str.h"
#include "proto/task.pb-c.h"
#include "shim/answers.h"
#include "shim/container.h"
#include "shim/reservations.h"
#include "shim/sandbox_service.h"
#include "shim/shim.h"
#include "shim/snapshots.h"
#include "shim/socket.h"
#include "shim/waiters.h"

/*
 * The process a request names, if the lifecycle's table lets the call be made on it; else the call
 * is answered and false returned. What nobody has is in the table, too.
 */
static bool find(struct shim *shim, struct ttrpc_call *call, enum process_call which,
	const char *id, const char *exec_id, struct container **ret_c, struct process **ret_p)
{
	struct err err = ERR_INIT;
	char name[256];
	int r = shim_container(shim, id, ret_c, &err);

	if (r == 0)
		r = container_process(*ret_c, exec_id, ret_p, &err);
	if (r != 0) {
		(void)snprintf(name, sizeof(name), "%s%.80s%scontainer %.80s",
			*exec_id ? "exec " : "", exec_id, *exec_id ? " of " : "", id);
		(void)lifecycle_allows(PROCESS_DELETED, which, name, &err);
		answer_error(call, &err);
		return false;
	}
	/* Kill reaches what an ended process left behind: container_kill looks at the table itself
	 */
	if (which != CALL_KILL)
		r = lifecycle_allows(process_seen_state(*ret_p), which,
			process_name(*ret_p, name, sizeof(name)), &err);
	if (r < 0)
		answer_error(call, &err);
	return r == 0;
}

static void on_create(struct ttrpc_call *call, const ProtobufCMessage *message, void *ctx)
{
	const Task__CreateTaskRequest *request = (const Task__CreateTaskRequest *)message;
	struct shim *shim = ctx;
	struct container_request create = {
		.id = request->id,
		.bundle = request->bundle,
		.stdio = {.in = request->stdin,
			.out = request->stdout,
			.err = request->stderr,
			.terminal = request->terminal},
		.snapshot = snapshot_of(request->rootfs, request->n_rootfs),
		.audience = &task_audience,
	};
	struct container *c;
	struct err err = ERR_INIT;
	int r;

	/* the snapshot's mounts (request->rootfs) stay unmounted: the workload's root is the host's
	 * view */
	shim_unreserve(shim, request->id);
	if (shim->leaving)
		r = err_setf(&err, ERR_UNAVAILABLE, ESHUTDOWN,
			"container %.100s: this shim is on its way out", request->id);
	else if (!str_empty(request->checkpoint))
		r = err_setf(&err, ERR_UNIMPLEMENTED, ENOSYS,
			"a host process cannot be restored from a checkpoint");
	else
		r = container_create(shim, &create, call, &c, &err);
	if (r < 0)
		answer_error(call, &err);
	else
		answer_keep_rootfs(c, request->rootfs, request->n_rootfs);
	shim_reconsider(shim, false);
}

static void on_start(struct ttrpc_call *call, const ProtobufCMessage *message, void *ctx)
{
	const Task__StartRequest *request = (const Task__StartRequest *)message;
	struct err err = ERR_INIT;
	struct container *c;
	struct process *p;

	if (!find(ctx, call, CALL_START, request->id, request->exec_id, &c, &p))
		return;
	if (container_start(c, p, call, &err) < 0)
		answer_error(call, &err);
}

static void on_delete(struct ttrpc_call *call, const ProtobufCMessage *message, void *ctx)
{
	const Task__DeleteRequest *request = (const Task__DeleteRequest *)message;
	struct err err = ERR_INIT;
	struct container *c;
	struct process *p;
	int r;

	if (str_empty(request->exec_id) && (c = shim_leaving_container(ctx, request->id))) {
		(void)waiters_add(&c->deleters, call); /* both hear how it ends */
		return;
	}
	if (!find(ctx, call, CALL_DELETE, request->id, request->exec_id, &c, &p))
		return;
	if (!p->exec_id)
		r = container_delete(c, call, &err);
	else
		r = container_delete_exec(p, call, &err);
	if (r < 0)
		answer_error(call, &err);
}

static void on_exec(struct ttrpc_call *call, const ProtobufCMessage *message, void *ctx)
{
	const Task__ExecProcessRequest *request = (const Task__ExecProcessRequest *)message;
	struct stdio_paths stdio = {.in = request->stdin,
		.out = request->stdout,
		.err = request->stderr,
		.terminal = request->terminal};
	struct err err = ERR_INIT;
	struct container *c;
	struct process *p;
	int r;

	if (!find(ctx, call, CALL_EXEC, request->id, "", &c, &p))
		return;
	if (!request->spec || request->spec->value.len == 0)
		r = err_setf(&err, ERR_INVALID, EINVAL, "exec %.100s: no process object",
			request->exec_id);
	else
		r = container_add_exec(c, request->exec_id, &stdio,
			(const char *)request->spec->value.data, request->spec->value.len, &err);
	if (r < 0)
		answer_error(call, &err);
	else
		answer_empty(call);
}

static void on_state(struct ttrpc_call *call, const ProtobufCMessage *message, void *ctx)
{
	const Task__StateRequest *request = (const Task__StateRequest *)message;
	struct container *c;
	struct process *p;

	if (find(ctx, call, CALL_STATE, request->id, request->exec_id, &c, &p))
		answer_state(call, p);
}

static void on_wait(struct ttrpc_call *call, const ProtobufCMessage *message, void *ctx)
{
	const Task__WaitRequest *request = (const Task__WaitRequest *)message;
	struct container *c;
	struct process *p;

	if (!find(ctx, call, CALL_WAIT, request->id, request->exec_id, &c, &p))
		return;
	if (waiters_add(&p->waiters, call) == 0 && p->state == PROCESS_STOPPED)
		c->audience->waited(p);
}

static void on_kill(struct ttrpc_call *call, const ProtobufCMessage *message, void *ctx)
{
	const Task__KillRequest *request = (const Task__KillRequest *)message;
	struct err err = ERR_INIT;
	struct container *c;
	struct process *p;

	if (!find(ctx, call, CALL_KILL, request->id, request->exec_id, &c, &p))
		return;
	if (container_kill(c, p, request->signal, request->all && !p->exec_id, &err) < 0)
		answer_error(call, &err);
	else
		answer_empty(call);
}

static void on_resize(struct ttrpc_call *call, const ProtobufCMessage *message, void *ctx)
{
	const Task__ResizePtyRequest *request = (const Task__ResizePtyRequest *)message;
	struct container *c;
	struct process *p;

	if (!find(ctx, call, CALL_RESIZE, request->id, request->exec_id, &c, &p))
		return;
	stdio_resize(&p->io, request->width, request->height);
	answer_empty(call);
}

static void on_close_io(struct ttrpc_call *call, const ProtobufCMessage *message, void *ctx)
{
	const Task__CloseIORequest *request = (const Task__CloseIORequest *)message;
	struct container *c;
	struct process *p;

	if (!find(ctx, call, CALL_CLOSE_IO, request->id, request->exec_id, &c, &p))
		return;
	if (request->stdin)
		stdio_close_stdin(&p->io);
	answer_empty(call);
}

static void on_pids(struct ttrpc_call *call, const ProtobufCMessage *message, void *ctx)
{
	const Task__PidsRequest *request = (const Task__PidsRequest *)message;
	_cleanup_free_ pid_t *pids = NULL;
	struct err err = ERR_INIT;
	struct container *c = shim_sandbox(ctx, request->id);
	struct process *p;
	size_t n;

	if (!c && !find(ctx, call, CALL_PIDS, request->id, "", &c, &p))
		return;
	if (container_pids(c, &pids, &n, &err) < 0)
		answer_error(call, &err);
	else
		answer_pids(call, c, pids, n);
}

static void on_stats(struct ttrpc_call *call, const ProtobufCMessage *message, void *ctx)
{
	const Task__StatsRequest *request = (const Task__StatsRequest *)message;
	struct shim *shim = ctx;
	struct err err = ERR_INIT;
	struct container *c;
	struct process *p;
	struct stats stats;

	if (!find(ctx, call, CALL_STATS, request->id, "", &c, &p))
		return;
	if (stats_collect(&c->cgroup, shim->cgroup_host.mode, &stats, &err) < 0)
		answer_error(call, &err);
	else
		answer_stats(call, &stats);
	/* what all these files took is a third of what a shim has, and the kubelet asks again in
	   ten seconds */
	(void)malloc_trim(0);
}

/* Liveness probe: never fails, whatever the id (contract §3.2). */
static void on_connect(struct ttrpc_call *call, const ProtobufCMessage *message, void *ctx)
{
	const Task__ConnectRequest *request = (const Task__ConnectRequest *)message;
	Task__ConnectResponse response = TASK__CONNECT_RESPONSE__INIT;
	struct container *c = shim_sandbox(ctx, request->id);

	response.shim_pid = (uint32_t)getpid();
	if (c || shim_container(ctx, request->id, &c, NULL) == 0)
		response.task_pid = c->init.pid;
	response.version = (char *)REAPER_VERSION;
	ttrpc_call_reply(call, &response.base);
}

static void on_shutdown(struct ttrpc_call *call, UNUSED const ProtobufCMessage *message, void *ctx)
{
	answer_empty(call);
	shim_reconsider(ctx, true);
}

static void on_pause(struct ttrpc_call *call, const ProtobufCMessage *message, void *ctx)
{
	const Task__PauseRequest *request = (const Task__PauseRequest *)message;
	struct err err = ERR_INIT;
	struct container *c;
	struct process *p;

	if (!find(ctx, call, CALL_PAUSE, request->id, "", &c, &p))
		return;
	if (pause_begin(c, call, &err) < 0)
		answer_error(call, &err);
}

static void on_resume(struct ttrpc_call *call, const ProtobufCMessage *message, void *ctx)
{
	const Task__ResumeRequest *request = (const Task__ResumeRequest *)message;
	struct err err = ERR_INIT;
	struct container *c;
	struct process *p;

	if (!find(ctx, call, CALL_RESUME, request->id, "", &c, &p))
		return;
	if (pause_end(c, &err) < 0)
		answer_error(call, &err);
	else
		answer_empty(call);
}

/* The table refuses it in every state: a process that lives in the host's own namespaces cannot be
 * put back elsewhere. */
static void on_checkpoint(struct ttrpc_call *call, const ProtobufCMessage *message, void *ctx)
{
	const Task__CheckpointTaskRequest *request = (const Task__CheckpointTaskRequest *)message;
	struct container *c;
	struct process *p;

	if (find(ctx, call, CALL_CHECKPOINT, request->id, "", &c, &p))
		ttrpc_call_failf(call, ERR_UNIMPLEMENTED, "%s", ttrpc_call_method(call));
}

static void on_update(struct ttrpc_call *call, const ProtobufCMessage *message, void *ctx)
{
	const Task__UpdateTaskRequest *request = (const Task__UpdateTaskRequest *)message;
	const Google__Protobuf__Any *resources = request->resources;
	struct err err = ERR_INIT;
	struct container *c;
	struct process *p;
	int r;

	if (!find(ctx, call, CALL_UPDATE, request->id, "", &c, &p))
		return;
	/* annotations are for the node's own tools: what of them concerns us is read at Create */
	if (!resources || resources->value.len == 0)
		r = err_setf(
			&err, ERR_INVALID, EINVAL, "container %s: Update without resources", c->id);
	else
		r = update_begin(c, resources->type_url, resources->value.data,
			resources->value.len, call, &err);
	if (r < 0)
		answer_error(call, &err);
}

static const struct ttrpc_method task_methods[] = {
	{"State", &task__state_request__descriptor, on_state},
	{"Create", &task__create_task_request__descriptor, on_create},
	{"Start", &task__start_request__descriptor, on_start},
	{"Delete", &task__delete_request__descriptor, on_delete},
	{"Pids", &task__pids_request__descriptor, on_pids},
	{"Pause", &task__pause_request__descriptor, on_pause},
	{"Resume", &task__resume_request__descriptor, on_resume},
	{"Checkpoint", &task__checkpoint_task_request__descriptor, on_checkpoint},
	{"Kill", &task__kill_request__descriptor, on_kill},
	{"Exec", &task__exec_process_request__descriptor, on_exec},
	{"ResizePty", &task__resize_pty_request__descriptor, on_resize},
	{"CloseIO", &task__close_iorequest__descriptor, on_close_io},
	{"Update", &task__update_task_request__descriptor, on_update},
	{"Wait", &task__wait_request__descriptor, on_wait},
	{"Stats", &task__stats_request__descriptor, on_stats},
	{"Connect", &task__connect_request__descriptor, on_connect},
	{"Shutdown", &task__shutdown_request__descriptor, on_shutdown},
};

static void on_late_cancel(UNUSED struct ttrpc_call *call, UNUSED void *data)
{
}

static void on_reserve(struct ttrpc_call *call, const ProtobufCMessage *message, void *ctx)
{
	const Task__ConnectRequest *request = (const Task__ConnectRequest *)message;

	if (shim_reserve(ctx, request->id))
		answer_empty(call);
	else /* on its way out: the end of the connection is the answer */
		ttrpc_call_park(call, on_late_cancel, NULL);
}

static void on_hold(struct ttrpc_call *call, const ProtobufCMessage *message, void *ctx)
{
	reservations_hold(ctx, ((const Task__ConnectRequest *)message)->id, call);
}

static void on_keep(struct ttrpc_call *call, const ProtobufCMessage *message, void *ctx)
{
	reservations_keep(ctx, ((const Task__ConnectRequest *)message)->id);
	answer_empty(call);
}

static void on_release(struct ttrpc_call *call, const ProtobufCMessage *message, void *ctx)
{
	struct shim *shim = ctx;
	const char *id = ((const Task__ConnectRequest *)message)->id;
	struct container *c = shim_any_container(shim, id);

	shim_unreserve(shim, id);
	if (c)
		container_abandon(c, call);
	else
		answer_empty(call);
	shim_reconsider(shim, true);
}

static const struct ttrpc_method shim_methods[] = {
	{SHIM_METHOD_RESERVE, &task__connect_request__descriptor, on_reserve},
	{SHIM_METHOD_HOLD, &task__connect_request__descriptor, on_hold},
	{SHIM_METHOD_KEEP, &task__connect_request__descriptor, on_keep},
	{SHIM_METHOD_RELEASE, &task__connect_request__descriptor, on_release},
};

const struct ttrpc_service *task_services(struct shim *shim, size_t *ret_n)
{
	const struct ttrpc_service services[] = {
		{"containerd.task.v2.Task", task_methods, ARRAY_LEN(task_methods), shim},
		{"containerd.task.v3.Task", task_methods, ARRAY_LEN(task_methods), shim},
		{SANDBOX_SERVICE, sandbox_methods, n_sandbox_methods, shim},
		{SHIM_SERVICE, shim_methods, ARRAY_LEN(shim_methods), shim},
	};

	_Static_assert(sizeof(services) == sizeof(shim->services), "as many as the shim keeps");
	memcpy(shim->services, services, sizeof(services));
	*ret_n = ARRAY_LEN(services);
	return shim->services;
}
