#include "shim/lifecycle.h"

#include <errno.h>

static const char *const state_names[_PROCESS_STATE_MAX] = {
#define X(state, name) [PROCESS_##state] = (name),
	PROCESS_STATES(X)
#undef X
};

static const char *const call_names[_PROCESS_CALL_MAX] = {
#define X(call, name) [CALL_##call] = (name),
	PROCESS_CALLS(X)
#undef X
};

#define TO(state) (PROCESS_##state + 1) /* 0 stays "cannot happen" */

static const unsigned char transitions[_PROCESS_STATE_MAX][_LIFE_MAX] = {
	[PROCESS_ADDED] = {[LIFE_SPAWN] = TO(CREATING), [LIFE_NEVER] = TO(STOPPED)},
	[PROCESS_CREATING] = {[LIFE_READY] = TO(CREATED), [LIFE_EXIT] = TO(EXITING)},
	[PROCESS_CREATED] = {[LIFE_RELEASE] = TO(STARTING), [LIFE_EXIT] = TO(EXITING)},
	[PROCESS_STARTING] = {[LIFE_RUNS] = TO(RUNNING), [LIFE_EXIT] = TO(EXITING)},
	[PROCESS_RUNNING] = {[LIFE_EXIT] = TO(EXITING), [LIFE_PAUSE] = TO(PAUSING)},
	[PROCESS_PAUSING] = {[LIFE_EXIT] = TO(EXITING),
		[LIFE_FROZEN] = TO(PAUSED),
		[LIFE_RESUME] = TO(RUNNING)},
	[PROCESS_PAUSED] = {[LIFE_EXIT] = TO(EXITING), [LIFE_RESUME] = TO(RUNNING)},
	[PROCESS_EXITING] = {[LIFE_ALONE] = TO(STOPPED)},
	[PROCESS_STOPPED] = {0},
	[PROCESS_DELETED] = {0},
};

int lifecycle_next(enum process_state state, enum process_event event, enum process_state *ret_next)
{
	unsigned char to = transitions[state][event];

	if (to == 0)
		return -EINVAL;
	*ret_next = (enum process_state)(to - 1);
	return 0;
}

#define OK    ERR_NONE
#define WRONG ERR_PRECONDITION
#define GONE  ERR_NOT_FOUND
#define TWICE ERR_EXISTS
#define NEVER ERR_UNIMPLEMENTED

/*
 * One row a state, one column a method, in the order of PROCESS_CALLS: no empty cell.
 * ADDED is only ever an exec's, PAUSING and PAUSED only the first process's own.
 */
/* clang-format off */
static const unsigned char allowed[_PROCESS_STATE_MAX][_PROCESS_CALL_MAX] = {
	/*                     state create start  delete pids  pause  resume ckpt   kill   exec   e.strt resize closeio update wait stats conn */
	[PROCESS_ADDED]    = { OK,   TWICE, OK,    OK,    OK,   WRONG, WRONG, NEVER, WRONG, WRONG, WRONG, OK,    OK,     WRONG, OK,  OK,   OK },
	[PROCESS_CREATING] = { OK,   TWICE, WRONG, OK,    OK,   WRONG, WRONG, NEVER, OK,    WRONG, WRONG, OK,    OK,     WRONG, OK,  OK,   OK },
	[PROCESS_CREATED]  = { OK,   TWICE, OK,    OK,    OK,   WRONG, WRONG, NEVER, OK,    OK,    WRONG, OK,    OK,     OK,    OK,  OK,   OK },
	[PROCESS_STARTING] = { OK,   TWICE, WRONG, WRONG, OK,   WRONG, WRONG, NEVER, OK,    WRONG, WRONG, OK,    OK,     OK,    OK,  OK,   OK },
	[PROCESS_RUNNING]  = { OK,   TWICE, WRONG, WRONG, OK,   OK,    WRONG, NEVER, OK,    OK,    OK,    OK,    OK,     OK,    OK,  OK,   OK },
	[PROCESS_PAUSING]  = { OK,   TWICE, WRONG, WRONG, OK,   WRONG, OK,    NEVER, OK,    WRONG, WRONG, OK,    OK,     OK,    OK,  OK,   OK },
	[PROCESS_PAUSED]   = { OK,   TWICE, WRONG, WRONG, OK,   WRONG, OK,    NEVER, OK,    WRONG, WRONG, OK,    OK,     OK,    OK,  OK,   OK },
	[PROCESS_EXITING]  = { OK,   TWICE, WRONG, WRONG, OK,   WRONG, WRONG, NEVER, GONE,  WRONG, WRONG, OK,    OK,     GONE,  OK,  OK,   OK },
	[PROCESS_STOPPED]  = { OK,   TWICE, WRONG, OK,    OK,   WRONG, WRONG, NEVER, GONE,  WRONG, WRONG, OK,    OK,     GONE,  OK,  OK,   OK },
	[PROCESS_DELETED]  = { GONE, OK,    GONE,  GONE,  GONE, GONE,  GONE,  GONE,  GONE,  GONE,  GONE,  GONE,  GONE,   GONE,  GONE, GONE, OK },
};
/* clang-format on */

int lifecycle_allows(
	enum process_state state, enum process_call call, const char *what, struct err *err)
{
	enum err_kind verdict = (enum err_kind)allowed[state][call];

	if (verdict == ERR_NONE)
		return 0;
	if (verdict == ERR_NOT_FOUND && state == PROCESS_DELETED)
		return err_setf(err, verdict, ESRCH, "%s: not found", what);
	if (verdict == ERR_NOT_FOUND)
		return err_setf(
			err, verdict, ESRCH, "%s: process already finished: not found", what);
	if (verdict == ERR_EXISTS)
		return err_setf(err, verdict, EEXIST, "%s: already exists", what);
	if (verdict == ERR_UNIMPLEMENTED)
		return err_setf(err, verdict, ENOSYS, "%s: a process of the host cannot %s", what,
			call_names[call]);
	return err_setf(err, verdict, EBUSY, "%s: cannot %s while it is %s: failed precondition",
		what, call_names[call], state_names[state]);
}

int lifecycle_wire_status(enum process_state state)
{
	static const unsigned char wire[_PROCESS_STATE_MAX] = {
		[PROCESS_ADDED] = 1,
		[PROCESS_CREATING] = 1,
		[PROCESS_CREATED] = 1,
		/* the program may run already; what is known for certain is that it was released */
		[PROCESS_STARTING] = 2,
		[PROCESS_RUNNING] = 2,
		[PROCESS_PAUSING] = 5,
		[PROCESS_PAUSED] = 4,
		/* Wait has not answered yet, and STOPPED must not be seen before it could */
		[PROCESS_EXITING] = 2,
		[PROCESS_STOPPED] = 3,
		[PROCESS_DELETED] = 0,
	};

	return wire[state];
}

const char *lifecycle_state_name(enum process_state state)
{
	return state_names[state];
}
