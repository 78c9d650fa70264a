/* What the shim says of a process: the messages of the Task service and the task events, from our
 * structs to the wire's. */
#pragma once

#include "shim/container.h"
#include "shim/process.h"
#include "shim/stats.h"
#include "ttrpc/server.h"

/* Answers everybody who waits for the end of a process that has ended. */
void answer_waiters(struct process *p);

void answer_pid_created(struct list *calls, const struct process *p); /* CreateTaskResponse */
void answer_pid_started(struct list *calls, const struct process *p); /* StartResponse */
void answer_state(struct ttrpc_call *call, const struct process *p);
void answer_empty(struct ttrpc_call *call);
void answer_deleted(struct list *calls, const struct exit_info *exit);
void answer_pids(struct ttrpc_call *call, const struct container *c, const pid_t *pids, size_t n);

/* StatsResponse; frees what the stats hold. */
void answer_stats(struct ttrpc_call *call, struct stats *stats);

/* The events of contract §4.2. */
void answer_create_event(const struct container *c);
void answer_start_event(const struct process *p);
void answer_exec_added_event(const struct process *p);
void answer_exit_event(const struct process *p);
void answer_delete_event(const struct container *c);
