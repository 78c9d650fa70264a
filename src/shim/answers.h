/* What the shim says of a process: the messages of the Task service and the task events, from our
 * structs to the wire's. */
#pragma once

#include "proto/google/protobuf/timestamp.pb-c.h"
#include "proto/types.pb-c.h"
#include "shim/container.h"
#include "shim/process.h"
#include "stats/stats.h"
#include "ttrpc/server.h"

/*
 * Who hears of a container's life: the Task service and the subscribers of its events, or the
 * Sandbox service, whose events are containerd's own. Each answers the calls that wait for it.
 */
struct audience {
	void (*created)(struct container *c); /* its first process waits at the gate */
	void (*runs)(struct process *p);      /* its program runs … */
	void (*started)(struct process *p);   /* … and so do the hooks that follow */
	void (*exited)(struct process *p);    /* before anybody's wait is over */
	void (*waited)(struct process *p);    /* everybody who waits for an end that has come */
	/* Nothing of it is left. `existed`: false when Create has failed, which its caller knows.
	 */
	void (*deleted)(struct container *c, bool existed);
};

extern const struct audience task_audience;

/* Go's zero time for a time that has not come: every containerd takes it for "not set". */
Google__Protobuf__Timestamp answer_timestamp(const struct timespec *ts);

/* Answers with an error, and logs it. */
void answer_error(struct ttrpc_call *call, const struct err *err);

/*
 * Keeps the mounts of a Create for the event that says it is done: subscribers are told what
 * containerd asked for, although nothing of it is mounted. Without memory the event has none.
 */
void answer_keep_rootfs(struct container *c, Types__Mount **mounts, size_t n);

void answer_state(struct ttrpc_call *call, const struct process *p);
void answer_empty(struct ttrpc_call *call);
void answer_empty_all(struct list *calls);
void answer_deleted(struct list *calls, const struct exit_info *exit);
void answer_pids(struct ttrpc_call *call, const struct container *c, const pid_t *pids, size_t n);

/* StatsResponse; frees what the stats hold. */
void answer_stats(struct ttrpc_call *call, struct stats *stats);

/* The events of contract §4.2 that are no part of an audience's. */
void answer_exec_added_event(const struct process *p);
void answer_oom_event(const struct container *c, struct event_receipt *receipt,
	void (*on_told)(struct event_receipt *r));
void answer_paused_event(const struct container *c);
void answer_resumed_event(const struct container *c);
