/*
 * The life of a process of a container (its first one, or an exec), as two tables: which state an
 * event leads to, and in which state a call is allowed. process.c asks here before it changes
 * anything; nothing else writes a state.
 */
#pragma once

#include "base/err.h"

/* What a process is in. The wire's Status (containerd.v1.types.Status) follows from it:
 * lifecycle_wire_status. */
#define PROCESS_STATES(X)       \
	X(ADDED, "added")       \
	X(CREATING, "creating") \
	X(CREATED, "created")   \
	X(STARTING, "starting") \
	X(RUNNING, "running")   \
	X(PAUSING, "pausing")   \
	X(PAUSED, "paused")     \
	X(EXITING, "exiting")   \
	X(STOPPED, "stopped")   \
	X(DELETED, "deleted")

enum process_state {
#define X(state, name) PROCESS_##state,
	PROCESS_STATES(X)
#undef X
		_PROCESS_STATE_MAX
};

/*
 * ADDED     an exec that is registered and has no process yet
 * CREATING  the child prepares itself (reaper-runtime init)
 * CREATED   the child waits at its gate
 * STARTING  the gate is open, the program is not yet known to run
 * RUNNING   the program runs
 * PAUSING   its cgroup is being frozen (the first process only; its execs are seen so, too:
 *           process_seen_state)
 * PAUSED    it is frozen
 * EXITING   the first process has ended, the rest of its container is being ended
 * STOPPED   ended; the exit status stays until Delete
 * DELETED   what an id is that nobody has; no process is ever in it
 */

enum process_event {
	LIFE_SPAWN,   /* the child was cloned */
	LIFE_READY,   /* INIT_READY arrived */
	LIFE_RELEASE, /* the gate was opened */
	LIFE_RUNS,    /* end of file on the control socket: exec happened */
	LIFE_PAUSE,   /* its cgroup was told to freeze */
	LIFE_FROZEN,  /* … and everything in it stands still */
	LIFE_RESUME,  /* it was thawed */
	LIFE_EXIT,    /* the child was reaped */
	LIFE_NEVER,   /* an exec could not be cloned */
	LIFE_ALONE,   /* nothing of the container is left besides what was reaped */
	_LIFE_MAX
};

/* The state after `event` in *ret_next. -EINVAL: the event cannot happen there, which is a mistake
 * of ours. */
int lifecycle_next(
	enum process_state state, enum process_event event, enum process_state *ret_next);

/*
 * The methods of the Task service that name a task (Shutdown does not). START counts for the
 * process that is started, EXEC_START in addition for the first process of its container.
 */
#define PROCESS_CALLS(X)                    \
	X(STATE, "be asked for its state")  \
	X(CREATE, "be created")             \
	X(START, "be started")              \
	X(DELETE, "be deleted")             \
	X(PIDS, "be asked for its pids")    \
	X(PAUSE, "be paused")               \
	X(RESUME, "be resumed")             \
	X(CHECKPOINT, "be checkpointed")    \
	X(KILL, "be killed")                \
	X(EXEC, "take an exec")             \
	X(EXEC_START, "start an exec")      \
	X(RESIZE, "be resized")             \
	X(CLOSE_IO, "have its stdin ended") \
	X(UPDATE, "be updated")             \
	X(WAIT, "be waited for")            \
	X(STATS, "be measured")             \
	X(CONNECT, "be connected to")

enum process_call {
#define X(call, name) CALL_##call,
	PROCESS_CALLS(X)
#undef X
		_PROCESS_CALL_MAX
};

/*
 * 0, or why the call cannot be made on a process in this state, in the codes that containerd's
 * clients expect (contract: Kill and Update of something that has ended are NOT_FOUND, a method
 * that a host process cannot have is UNIMPLEMENTED, what exists cannot be created, everything else
 * is FAILED_PRECONDITION). `what` names the process.
 */
int lifecycle_allows(
	enum process_state state, enum process_call call, const char *what, struct err *err);

/* containerd.v1.types.Status: 1 CREATED, 2 RUNNING, 3 STOPPED, 4 PAUSED, 5 PAUSING; 0 DELETED. */
int lifecycle_wire_status(enum process_state state);

const char *lifecycle_state_name(enum process_state state);
