#include "shim/lifecycle.h"

#include <criterion/criterion.h>
#include <string.h>

/*
 * Written a second time, from the contract and not from the code: a row a state, a letter a call.
 *   . allowed   P failed precondition   N not found   E already exists   U unimplemented
 */
static const struct {
	enum process_state state;
	/* state create start delete, pids pause resume checkpoint, kill exec exec-start resize,
	 * closeio update wait stats connect */
	const char *calls;
	int wire;
} expected[] = {
	{PROCESS_ADDED, ".E.. .PPU PPP. .P...", 1},
	{PROCESS_CREATING, ".EP. .PPU .PP. .P...", 1},
	{PROCESS_CREATED, ".E.. .PPU ..P. .....", 1},
	{PROCESS_STARTING, ".EPP .PPU .PP. .....", 2},
	{PROCESS_RUNNING, ".EPP ..PU .... .....", 2},
	{PROCESS_PAUSING, ".EPP .P.U .PP. .....", 5},
	{PROCESS_PAUSED, ".EPP .P.U .PP. .....", 4},
	{PROCESS_EXITING, ".EPP .PPU NPP. .N...", 2},
	{PROCESS_STOPPED, ".EP. .PPU NPP. .N...", 3},
	{PROCESS_DELETED, "N.NN NNNN NNNN NNNN.", 0},
};

static const char *letters(const char *calls)
{
	static char out[_PROCESS_CALL_MAX + 1];
	size_t n = 0;

	for (; *calls; calls++) {
		if (*calls == ' ')
			continue;
		cr_assert_lt(n, sizeof(out) - 1);
		out[n++] = *calls;
	}
	cr_assert_eq(n, _PROCESS_CALL_MAX, "a cell is missing");
	out[n] = '\0';
	return out;
}

Test(shim_lifecycle, answers_every_call_in_every_state_as_the_contract_says)
{
	cr_assert_eq(ARRAY_LEN(expected), _PROCESS_STATE_MAX);
	for (size_t i = 0; i < ARRAY_LEN(expected); i++) {
		for (int call = 0; call < _PROCESS_CALL_MAX; call++) {
			struct err err = ERR_INIT;
			char want = letters(expected[i].calls)[call];
			int r = lifecycle_allows(
				expected[i].state, (enum process_call)call, "container c1", &err);

			cr_assert_eq(r == 0, want == '.', "state %zu call %d", i, call);
			if (want == 'P')
				cr_assert_eq(
					err.kind, ERR_PRECONDITION, "state %zu call %d", i, call);
			if (want == 'N')
				cr_assert_eq(err.kind, ERR_NOT_FOUND, "state %zu call %d", i, call);
			if (want == 'E')
				cr_assert_eq(err.kind, ERR_EXISTS, "state %zu call %d", i, call);
			if (want == 'U')
				cr_assert_eq(
					err.kind, ERR_UNIMPLEMENTED, "state %zu call %d", i, call);
			if (want != '.')
				cr_assert(strstr(err.text, "container c1"), "%s", err.text);
		}
		cr_assert_eq(lifecycle_wire_status(expected[i].state), expected[i].wire);
	}
}

Test(shim_lifecycle, leads_from_created_to_stopped_and_nowhere_else)
{
	static const struct {
		enum process_state from;
		enum process_event event;
		enum process_state to;
	} moves[] = {
		{PROCESS_ADDED, LIFE_SPAWN, PROCESS_CREATING},
		{PROCESS_ADDED, LIFE_NEVER, PROCESS_STOPPED},
		{PROCESS_CREATING, LIFE_READY, PROCESS_CREATED},
		{PROCESS_CREATING, LIFE_EXIT, PROCESS_EXITING},
		{PROCESS_CREATED, LIFE_RELEASE, PROCESS_STARTING},
		{PROCESS_CREATED, LIFE_EXIT, PROCESS_EXITING},
		{PROCESS_STARTING, LIFE_RUNS, PROCESS_RUNNING},
		{PROCESS_STARTING, LIFE_EXIT, PROCESS_EXITING},
		{PROCESS_RUNNING, LIFE_PAUSE, PROCESS_PAUSING},
		{PROCESS_RUNNING, LIFE_EXIT, PROCESS_EXITING},
		{PROCESS_PAUSING, LIFE_FROZEN, PROCESS_PAUSED},
		{PROCESS_PAUSING, LIFE_RESUME, PROCESS_RUNNING},
		{PROCESS_PAUSING, LIFE_EXIT, PROCESS_EXITING},
		{PROCESS_PAUSED, LIFE_RESUME, PROCESS_RUNNING},
		{PROCESS_PAUSED, LIFE_EXIT, PROCESS_EXITING},
		{PROCESS_EXITING, LIFE_ALONE, PROCESS_STOPPED},
	};
	size_t possible = 0;

	for (int from = 0; from < _PROCESS_STATE_MAX; from++) {
		for (int event = 0; event < _LIFE_MAX; event++) {
			enum process_state to;

			if (lifecycle_next(
				    (enum process_state)from, (enum process_event)event, &to) < 0)
				continue;
			cr_assert_lt(possible, ARRAY_LEN(moves));
			cr_assert_eq((int)moves[possible].from, from);
			possible++;
		}
	}
	cr_assert_eq(possible, ARRAY_LEN(moves));
	for (size_t i = 0; i < ARRAY_LEN(moves); i++) {
		enum process_state to;

		cr_assert_eq(lifecycle_next(moves[i].from, moves[i].event, &to), 0);
		cr_assert_eq(to, moves[i].to);
	}
}
