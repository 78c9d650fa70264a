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
	[PROCESS_RUNNING] = {[LIFE_EXIT] = TO(EXITING)},
	[PROCESS_EXITING] = {[LIFE_ALONE] = TO(STOPPED)},
	[PROCESS_STOPPED] = {0},
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

/* One row a state, one column a call: no empty cell. */
static const unsigned char allowed[_PROCESS_STATE_MAX][_PROCESS_CALL_MAX] = {
	/*                     start  delete kill   exec   start an exec */
	[PROCESS_ADDED] = {OK, OK, WRONG, WRONG, WRONG},
	[PROCESS_CREATING] = {WRONG, OK, OK, WRONG, WRONG},
	[PROCESS_CREATED] = {OK, OK, OK, OK, WRONG},
	[PROCESS_STARTING] = {WRONG, WRONG, OK, WRONG, WRONG},
	[PROCESS_RUNNING] = {WRONG, WRONG, OK, OK, OK},
	[PROCESS_EXITING] = {WRONG, WRONG, GONE, WRONG, WRONG},
	[PROCESS_STOPPED] = {WRONG, OK, GONE, WRONG, WRONG},
};

int lifecycle_allows(
	enum process_state state, enum process_call call, const char *what, struct err *err)
{
	enum err_kind verdict = (enum err_kind)allowed[state][call];

	if (verdict == ERR_NONE)
		return 0;
	if (verdict == ERR_NOT_FOUND)
		return err_setf(
			err, verdict, ESRCH, "%s: process already finished: not found", what);
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
		/* Wait has not answered yet, and STOPPED must not be seen before it could */
		[PROCESS_EXITING] = 2,
		[PROCESS_STOPPED] = 3,
	};

	return wire[state];
}

const char *lifecycle_state_name(enum process_state state)
{
	return state_names[state];
}
