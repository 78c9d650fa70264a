#include "shim/answers.h"

#include <stdlib.h>
#include "base/cleanup.h"
#include "base/log.h"
#include "base/str.h"
#include "proto/events.pb-c.h"
#include "proto/google/protobuf/empty.pb-c.h"
#include "proto/runc.pb-c.h"
#include "proto/task.pb-c.h"
#include "shim/shim.h"
#include "shim/waiters.h"

/* Year 1; a missing field would mean 1970 to containerd 1.7 and later. */
static const int64_t go_zero_seconds = -62135596800;

Google__Protobuf__Timestamp answer_timestamp(const struct timespec *ts)
{
	Google__Protobuf__Timestamp t = GOOGLE__PROTOBUF__TIMESTAMP__INIT;

	t.seconds = ts->tv_sec ? ts->tv_sec : go_zero_seconds;
	t.nanos = (int32_t)ts->tv_nsec;
	return t;
}

void answer_error(struct ttrpc_call *call, const struct err *err)
{
	/* asking after what is gone is part of containerd's normal day */
	if (err->kind == ERR_NOT_FOUND)
		log_debug("%s: %s", ttrpc_call_method(call), err->text);
	else
		log_error("%s: %s", ttrpc_call_method(call), err->text);
	ttrpc_call_fail(call, err);
}

/* protobuf-c has no const strings; packing does not write to them. */
static char *text(const char *s)
{
	return s ? (char *)s : (char *)protobuf_c_empty_string;
}

static void task_waited(struct process *p)
{
	Google__Protobuf__Timestamp at = answer_timestamp(&p->exited_at);
	Task__WaitResponse response = TASK__WAIT_RESPONSE__INIT;

	response.exit_status = p->exit_status;
	response.exited_at = &at;
	waiters_reply(&p->waiters, &response.base);
}

void answer_empty(struct ttrpc_call *call)
{
	Google__Protobuf__Empty empty = GOOGLE__PROTOBUF__EMPTY__INIT;

	ttrpc_call_reply(call, &empty.base);
}

void answer_empty_all(struct list *calls)
{
	Google__Protobuf__Empty empty = GOOGLE__PROTOBUF__EMPTY__INIT;

	waiters_reply(calls, &empty.base);
}

void answer_state(struct ttrpc_call *call, const struct process *p)
{
	Google__Protobuf__Timestamp at = answer_timestamp(&p->exited_at);
	Task__StateResponse response = TASK__STATE_RESPONSE__INIT;

	/* the id of the process: what containerd's own shims answer, the exec_id field stays empty
	 */
	response.id = text(p->exec_id ? p->exec_id : p->container->id);
	response.bundle = text(p->container->bundle);
	response.pid = p->pid;
	response.status = (Types__Status)lifecycle_wire_status(process_seen_state(p));
	response.stdin = text(p->stdin_path);
	response.stdout = text(p->stdout_path);
	response.stderr = text(p->stderr_path);
	response.terminal = p->terminal;
	if (p->state == PROCESS_STOPPED) {
		response.exit_status = p->exit_status;
	} else {
		at.seconds = go_zero_seconds;
		at.nanos = 0;
	}
	response.exited_at = &at;
	ttrpc_call_reply(call, &response.base);
}

void answer_deleted(struct list *calls, const struct exit_info *exit)
{
	Google__Protobuf__Timestamp at = answer_timestamp(&exit->at);
	Task__DeleteResponse response = TASK__DELETE_RESPONSE__INIT;

	response.pid = exit->pid;
	response.exit_status = exit->status;
	response.exited_at = &at;
	waiters_reply(calls, &response.base);
}

static const struct process *exec_with_pid(const struct container *c, pid_t pid)
{
	struct list *pos;

	list_for_each (pos, &c->execs) {
		const struct process *p = list_entry(pos, struct process, node);

		if (process_alive(p) && p->proc.pid == pid)
			return p;
	}
	return NULL;
}

/* An exec's process says which exec it is: what `ctr task ps` shows as info. */
static int add_details(
	Types__ProcessInfo *info, Google__Protobuf__Any *any, const struct process *exec)
{
	Containerd__Runc__V1__ProcessDetails details = CONTAINERD__RUNC__V1__PROCESS_DETAILS__INIT;

	details.exec_id = exec->exec_id;
	google__protobuf__any__init(any);
	any->type_url = (char *)details.base.descriptor->name;
	any->value.len = protobuf_c_message_get_packed_size(&details.base);
	any->value.data = malloc(any->value.len + 1);
	if (!any->value.data)
		return -1;
	(void)protobuf_c_message_pack(&details.base, any->value.data);
	info->info = any;
	return 0;
}

void answer_pids(struct ttrpc_call *call, const struct container *c, const pid_t *pids, size_t n)
{
	_cleanup_free_ Types__ProcessInfo *infos = calloc(n + 1, sizeof(*infos));
	_cleanup_free_ Google__Protobuf__Any *anys = calloc(n + 1, sizeof(*anys));
	_cleanup_free_ Types__ProcessInfo **list =
		(Types__ProcessInfo **)calloc(n + 1, sizeof(void *));
	Task__PidsResponse response = TASK__PIDS_RESPONSE__INIT;

	if (!infos || !anys || !list) {
		ttrpc_call_failf(call, ERR_EXHAUSTED, "out of memory");
		return;
	}
	for (size_t i = 0; i < n; i++) {
		const struct process *exec = exec_with_pid(c, pids[i]);

		types__process_info__init(&infos[i]);
		infos[i].pid = (uint32_t)pids[i];
		if (exec)
			(void)add_details(
				&infos[i], &anys[i], exec); /* without it the pid still counts */
		list[i] = &infos[i];
	}
	response.n_processes = n;
	response.processes = list;
	ttrpc_call_reply(call, &response.base);
	for (size_t i = 0; i < n; i++)
		free(anys[i].value.data);
}

void answer_stats(struct ttrpc_call *call, struct stats *stats)
{
	Google__Protobuf__Any any = GOOGLE__PROTOBUF__ANY__INIT;
	Task__StatsResponse response = TASK__STATS_RESPONSE__INIT;

	any.type_url = text(stats->type_url);
	any.value.data = stats->data;
	any.value.len = stats->len;
	response.stats = &any;
	ttrpc_call_reply(call, &response.base);
	free(stats->data);
	stats->data = NULL;
}

void answer_keep_rootfs(struct container *c, Types__Mount **mounts, size_t n)
{
	Containerd__Events__TaskCreate kept = CONTAINERD__EVENTS__TASK_CREATE__INIT;

	kept.rootfs = mounts;
	kept.n_rootfs = n;
	c->rootfs_len = containerd__events__task_create__get_packed_size(&kept);
	c->rootfs = c->rootfs_len > 0 ? malloc(c->rootfs_len) : NULL;
	if (c->rootfs)
		(void)containerd__events__task_create__pack(&kept, c->rootfs);
}

/* The kept mounts, to be freed as a message; NULL: none. */
static Containerd__Events__TaskCreate *take_rootfs(struct container *c)
{
	_cleanup_free_ uint8_t *packed = TAKE_PTR(c->rootfs);

	return packed ? containerd__events__task_create__unpack(NULL, c->rootfs_len, packed) : NULL;
}

/* What `delete` ends is told by containerd. */
static void publish(const struct container *c, const char *topic, const ProtobufCMessage *event)
{
	if (!c->abandoned)
		events_publish(c->shim->events, topic, event);
}

static void task_created(struct container *c)
{
	Containerd__Events__TaskCreate *kept = take_rootfs(c);
	Containerd__Events__TaskIO io = CONTAINERD__EVENTS__TASK_IO__INIT;
	Containerd__Events__TaskCreate event = CONTAINERD__EVENTS__TASK_CREATE__INIT;
	Task__CreateTaskResponse response = TASK__CREATE_TASK_RESPONSE__INIT;

	io.stdin = text(c->init.stdin_path);
	io.stdout = text(c->init.stdout_path);
	io.stderr = text(c->init.stderr_path);
	io.terminal = c->init.terminal;
	event.container_id = c->id;
	event.bundle = c->bundle;
	event.io = &io;
	event.pid = c->init.pid;
	if (kept) {
		event.rootfs = kept->rootfs;
		event.n_rootfs = kept->n_rootfs;
	}
	publish(c, "/tasks/create", &event.base);
	containerd__events__task_create__free_unpacked(kept, NULL);
	response.pid = c->init.pid;
	waiters_reply(&c->init.starters, &response.base);
}

static void task_runs(struct process *p)
{
	const struct container *c = p->container;
	Containerd__Events__TaskStart start = CONTAINERD__EVENTS__TASK_START__INIT;
	Containerd__Events__TaskExecStarted exec = CONTAINERD__EVENTS__TASK_EXEC_STARTED__INIT;

	if (!p->exec_id) {
		start.container_id = c->id;
		start.pid = p->pid;
		publish(c, "/tasks/start", &start.base);
		return;
	}
	exec.container_id = c->id;
	exec.exec_id = p->exec_id;
	exec.pid = p->pid;
	publish(c, "/tasks/exec-started", &exec.base);
}

static void task_started(struct process *p)
{
	Task__StartResponse response = TASK__START_RESPONSE__INIT;

	response.pid = p->pid;
	waiters_reply(&p->starters, &response.base);
}

void answer_exec_added_event(const struct process *p)
{
	Containerd__Events__TaskExecAdded event = CONTAINERD__EVENTS__TASK_EXEC_ADDED__INIT;

	event.container_id = p->container->id;
	event.exec_id = p->exec_id;
	publish(p->container, "/tasks/exec-added", &event.base);
}

static void task_exited(struct process *p)
{
	Google__Protobuf__Timestamp at = answer_timestamp(&p->exited_at);
	Containerd__Events__TaskExit event = CONTAINERD__EVENTS__TASK_EXIT__INIT;

	event.container_id = p->container->id;
	event.id = p->exec_id ? p->exec_id : p->container->id;
	event.pid = p->pid;
	event.exit_status = p->exit_status;
	event.exited_at = &at;
	publish(p->container, "/tasks/exit", &event.base);
}

void answer_oom_event(const struct container *c, struct event_receipt *receipt,
	void (*on_told)(struct event_receipt *r))
{
	Containerd__Events__TaskOOM event = CONTAINERD__EVENTS__TASK_OOM__INIT;

	/* a sandbox of containerd's own has no task */
	if (c->audience != &task_audience || c->abandoned)
		return;
	event.container_id = c->id;
	events_publish_and_tell(c->shim->events, "/tasks/oom", &event.base, receipt, on_told);
}

void answer_paused_event(const struct container *c)
{
	Containerd__Events__TaskPaused event = CONTAINERD__EVENTS__TASK_PAUSED__INIT;

	event.container_id = c->id;
	publish(c, "/tasks/paused", &event.base);
}

void answer_resumed_event(const struct container *c)
{
	Containerd__Events__TaskResumed event = CONTAINERD__EVENTS__TASK_RESUMED__INIT;

	event.container_id = c->id;
	publish(c, "/tasks/resumed", &event.base);
}

static void publish_delete(const struct container *c)
{
	Google__Protobuf__Timestamp at = answer_timestamp(&c->init.exited_at);
	Containerd__Events__TaskDelete event = CONTAINERD__EVENTS__TASK_DELETE__INIT;

	event.container_id = c->id;
	event.pid = c->init.pid;
	event.exit_status = c->init.exit_status;
	event.exited_at = &at;
	publish(c, "/tasks/delete", &event.base);
}

static void task_deleted(struct container *c, bool existed)
{
	struct exit_info exit = {c->init.pid, c->init.exit_status, c->init.exited_at};

	if (existed)
		publish_delete(c);
	answer_deleted(&c->deleters, &exit);
}

const struct audience task_audience = {
	.created = task_created,
	.runs = task_runs,
	.started = task_started,
	.exited = task_exited,
	.waited = task_waited,
	.deleted = task_deleted,
};
