/*
 * One process of a container: its first one, or an exec. It owns the child, the control socket to
 * `reaper-runtime init`, the streams, and the calls that wait for it. What it means for the
 * container is container.c's.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <time.h>
#include "base/err.h"
#include "base/list.h"
#include "base/proc.h"
#include "event/loop.h"
#include "event/timer.h"
#include "shim/lifecycle.h"
#include "stream/stdio.h"
#include "stream/unread.h"

struct container;

struct process {
	struct container *container;
	struct list node; /* among the container's execs; unlinked for the first process */
	char *exec_id;    /* NULL: the container's first process */
	enum process_state state;

	struct proc proc; /* while it lives */
	uint32_t pid;     /* also afterwards: State and Delete report it */
	int control;
	struct event_source control_source;
	bool prepared; /* init sent INIT_READY */
	bool failed;   /* init sent INIT_FAILED; `failure` says why */
	struct err failure;

	char *stdin_path, *stdout_path, *stderr_path; /* as given: State echoes them */
	bool terminal;
	char *spec_json; /* exec only: the OCI process object, until Start */
	struct stdio io;
	struct unread unread; /* of its FIFOs, when it has ended */
	bool heard;           /* its client has read them, or has had its time */

	struct list starters; /* the Create or Start call that waits */
	struct list waiters;  /* Wait calls */
	struct list deleters; /* exec only: Delete calls that wait for its output to be delivered */
	bool deleting;

	bool started; /* its start event is out */
	uint32_t exit_status;
	struct timespec exited_at;
};

/* An empty process of `c`. `exec_id` NULL: the first. -ENOMEM leaves something that process_done
 * accepts. */
int process_init(struct process *p, struct container *c, const char *exec_id);

/* Releases everything; calls that wait are answered with ERR_NOT_FOUND. The child must have been
 * reaped. Twice is allowed. */
void process_done(struct process *p);

/* "container ID" or "exec EXEC of ID", for errors and the log, in `buf`. */
const char *process_name(const struct process *p, char *buf, size_t size);

/* Keeps copies of the paths, for State and for the Start of an exec. -ENAMETOOLONG, -ENOMEM. */
int process_keep_paths(struct process *p, const struct stdio_paths *paths);

/* Keeps the paths (of the first process) and opens the streams; child_fds as stdio_open. */
int process_open_stdio(
	struct process *p, const struct stdio_paths *paths, int child_fds[3], struct err *err);

/* The child exists: watches its control socket (taken always). State CREATING. A child that cannot
 * be watched is killed, and its end says why. */
void process_adopt_child(struct process *p, const struct proc *child, int control_take);

/* It has reported that it is ready, and all that had to be done before: CREATING to CREATED, as
 * soon as its logger, if it has one, says the same. */
void process_ready(struct process *p);

/* What was done for it has failed: its child is killed, and its end says why. */
void process_fail(struct process *p, const struct err *why);

/* It has ended: whether the client has read what it wrote, so that its end can be told. False:
 * container_process_heard() follows. */
bool process_heard(struct process *p);

/* Opens the gate: CREATED to STARTING. */
void process_release(struct process *p);

/* The same for the step before: what it has waited for is done. */
void process_go_on(struct process *p);

/*
 * The child was reaped with this status. What it still had to say is read first, so that a program
 * that was quick has been seen to run. Goes to EXITING; the container goes on from there.
 */
void process_reaped(struct process *p, uint32_t status);

/* EXITING to STOPPED: publishes the exit, puts it into the history, answers everyone who waits.
 * `publish`: false for a start that failed. */
void process_stopped(struct process *p, bool publish);

/*
 * An exec whose Start failed before there was a child: STOPPED, with the exit status of its reason,
 * so that whoever waits for it is answered and Delete works.
 */
void process_never_ran(struct process *p, const struct err *why);

/* Whether its end is there already, although it was not reaped yet. */
bool process_has_ended(const struct process *p);

/* Whether there is a child that has not been reaped. */
bool process_alive(const struct process *p);

/* The state as the world sees it: an exec of a paused container is paused, too. */
enum process_state process_seen_state(const struct process *p);

/* Moves the state; a move the table does not have is a mistake of ours and ends the shim. */
void process_event(struct process *p, enum process_event event);
