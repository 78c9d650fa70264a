/*
 * The life cycle, explored to its end: a container's first process and one exec of it, every call
 * of a client and every event of the kernel in every order that is possible, until nothing new is
 * seen.
 *
 * The model has what the tables of lifecycle.c do not: who may be when. An event is taken where its
 * cause exists (a child that is alive may end, a gate that is open may let exec happen), a call
 * where lifecycle_allows() lets it through. What must hold is checked in every state that is
 * reached.
 */
#include "shim/lifecycle.h"

#include <criterion/criterion.h>
#include <stdbool.h>
#include <string.h>

enum { WHOLE = _PROCESS_STATE_MAX * _PROCESS_STATE_MAX * 8 };

/* All that counts of a container with one exec. */
struct world {
	enum process_state init, exec;
	bool exec_alive; /* the exec's child is there */
	bool init_alive;
	bool frozen; /* the cgroup stands still: nothing in it takes a step, but kill -9 ends it */
};

static bool seen[WHOLE];
static struct world pending[WHOLE];
static size_t n_pending, n_seen, n_steps;
static bool reached[2][_PROCESS_STATE_MAX];

static size_t number_of(const struct world *w)
{
	size_t n = (size_t)w->init * _PROCESS_STATE_MAX + (size_t)w->exec;

	return n * 8 + (w->exec_alive ? 4 : 0) + (w->init_alive ? 2 : 0) + (w->frozen ? 1 : 0);
}

static bool allows(enum process_state state, enum process_call call)
{
	struct err err = ERR_INIT;

	return lifecycle_allows(state, call, "x", &err) == 0;
}

/* What must hold in every world. */
static void check(const struct world *w)
{
	const char *init = lifecycle_state_name(w->init), *exec = lifecycle_state_name(w->exec);

	/* a state says that the child is there, or that it is not */
	cr_assert_eq(w->init_alive,
		w->init != PROCESS_EXITING && w->init != PROCESS_STOPPED &&
			w->init != PROCESS_DELETED,
		"init is %s", init);
	cr_assert_eq(w->exec_alive,
		w->exec == PROCESS_CREATING || w->exec == PROCESS_CREATED ||
			w->exec == PROCESS_STARTING || w->exec == PROCESS_RUNNING,
		"exec is %s", exec);
	/* STOPPED is said only when nothing of the container is left */
	cr_assert(!(w->init == PROCESS_STOPPED && w->exec_alive), "exec is %s", exec);
	/* what is deleted has ended; no exec outlives its container's id with a process */
	cr_assert(!(w->init == PROCESS_DELETED && w->exec_alive), "exec is %s", exec);
	cr_assert_eq(w->frozen, w->init == PROCESS_PAUSED, "init is %s", init);
	/* whoever is alive can be ended: no state in which a kubelet is stuck */
	if (w->init_alive)
		cr_assert(allows(w->init, CALL_KILL), "init is %s", init);
	if (w->exec_alive)
		cr_assert(allows(w->exec, CALL_KILL), "exec is %s", exec);
	/* Delete of a process that runs a program is refused, of one that ended is not */
	if (w->init == PROCESS_RUNNING || w->init == PROCESS_PAUSED)
		cr_assert(!allows(w->init, CALL_DELETE), "init is %s", init);
	if (w->init == PROCESS_STOPPED)
		cr_assert(allows(w->init, CALL_DELETE));
	/* the answer on the wire never goes from STOPPED to something else: step() */
	cr_assert(allows(w->init, CALL_WAIT) || w->init == PROCESS_DELETED);
}

static void found(const struct world *w)
{
	size_t n = number_of(w);

	n_steps++;
	if (seen[n])
		return;
	check(w);
	seen[n] = true;
	n_seen++;
	reached[0][w->init] = reached[1][w->exec] = true;
	pending[n_pending++] = *w;
}

/* One process takes `event`; the tables must have a place for it. */
static void take(struct world w, bool of_exec, enum process_event event)
{
	enum process_state *state = of_exec ? &w.exec : &w.init, next;
	int before = lifecycle_wire_status(*state);

	cr_assert_eq(lifecycle_next(*state, event, &next), 0, "%s: event %d cannot happen",
		lifecycle_state_name(*state), (int)event);
	cr_assert(before != 3 || lifecycle_wire_status(next) == 3, "a stopped process lives again");
	*state = next;
	if (event == LIFE_SPAWN && of_exec)
		w.exec_alive = true;
	if (event == LIFE_EXIT && of_exec)
		w.exec_alive = false;
	if (event == LIFE_EXIT && !of_exec)
		w.init_alive = w.frozen = false; /* what is frozen is thawed to be ended */
	if (event == LIFE_FROZEN)
		w.frozen = true;
	if (event == LIFE_RESUME)
		w.frozen = false;
	found(&w);
}

/* What the kernel, or the child itself, may do at any time. */
static void events(const struct world *w)
{
	if (w->init_alive) {
		take(*w, false, LIFE_EXIT);
		if (w->init == PROCESS_CREATING)
			take(*w, false, LIFE_READY);
		if (w->init == PROCESS_STARTING)
			take(*w, false, LIFE_RUNS);
		if (w->init == PROCESS_PAUSING)
			take(*w, false, LIFE_FROZEN);
	}
	if (w->exec_alive) {
		take(*w, true, LIFE_EXIT);
		if (w->exec == PROCESS_CREATING && !w->frozen)
			take(*w, true, LIFE_READY);
		if (w->exec == PROCESS_STARTING && !w->frozen)
			take(*w, true, LIFE_RUNS);
	}
	/* an exec is the one process of its own: nothing else is waited for */
	if (w->exec == PROCESS_EXITING)
		take(*w, true, LIFE_ALONE);
	/* of the container nothing is left */
	if (w->init == PROCESS_EXITING && !w->exec_alive && w->exec != PROCESS_EXITING)
		take(*w, false, LIFE_ALONE);
}

/* What a client may ask for; a call that is refused changes nothing. */
static void calls(const struct world *w)
{
	struct world next = *w;

	if (w->init == PROCESS_CREATED && allows(w->init, CALL_START))
		take(*w, false, LIFE_RELEASE);
	if (allows(w->init, CALL_PAUSE))
		take(*w, false, LIFE_PAUSE);
	if (allows(w->init, CALL_RESUME))
		take(*w, false, LIFE_RESUME);
	/* the exec's id is free */
	if (w->exec == PROCESS_DELETED && allows(w->init, CALL_EXEC)) {
		next.exec = PROCESS_ADDED;
		found(&next);
		next = *w;
	}
	if (w->exec == PROCESS_ADDED && allows(w->exec, CALL_START) &&
		allows(w->init, CALL_EXEC_START)) {
		take(*w, true, LIFE_SPAWN);
		take(*w, true, LIFE_NEVER); /* no memory, no pids left */
	}
	if (w->exec == PROCESS_CREATED)
		take(*w, true, LIFE_RELEASE);
	if (!w->exec_alive && w->exec != PROCESS_DELETED && allows(w->exec, CALL_DELETE)) {
		next.exec = PROCESS_DELETED;
		found(&next);
		next = *w;
	}
	if (w->init == PROCESS_STOPPED && allows(w->init, CALL_DELETE)) {
		next.init = next.exec = PROCESS_DELETED;
		found(&next);
	}
}

/* Whether from `w` the end can still be reached by the kernel alone and Delete: nobody is stuck. */
static bool can_end(struct world w)
{
	enum process_state next;

	if (w.exec_alive)
		cr_assert_eq(lifecycle_next(w.exec, LIFE_EXIT, &next), 0);
	if (w.init_alive)
		cr_assert_eq(lifecycle_next(w.init, LIFE_EXIT, &w.init), 0);
	if (w.init == PROCESS_EXITING)
		cr_assert_eq(lifecycle_next(w.init, LIFE_ALONE, &w.init), 0);
	return w.init == PROCESS_DELETED ||
	       (w.init == PROCESS_STOPPED && allows(w.init, CALL_DELETE));
}

Test(shim_lifecycle_model, no_order_of_calls_and_events_leads_to_a_state_that_must_not_be)
{
	static const struct world begin = {
		.init = PROCESS_CREATING, .exec = PROCESS_DELETED, .init_alive = true};

	found(&begin);
	while (n_pending > 0) {
		struct world w = pending[--n_pending];

		cr_assert(can_end(w), "stuck: init is %s", lifecycle_state_name(w.init));
		events(&w);
		calls(&w);
	}
	/* the model is not empty: every state that each of the two may be in was reached */
	for (int state = 0; state < _PROCESS_STATE_MAX; state++) {
		bool only_exec = state == PROCESS_ADDED;
		bool only_init = state == PROCESS_PAUSING || state == PROCESS_PAUSED;

		cr_assert_eq(reached[0][state], !only_exec, "init: %s",
			lifecycle_state_name((enum process_state)state));
		cr_assert_eq(reached[1][state], !only_init, "exec: %s",
			lifecycle_state_name((enum process_state)state));
	}
	cr_log_info("%zu worlds, %zu steps", n_seen, n_steps);
	cr_assert_gt(n_seen, 30);
}
