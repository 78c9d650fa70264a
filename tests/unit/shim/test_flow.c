/* The whole Task API, driven over the shim's socket. */
#include <criterion/criterion.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/fd.h"
#include "shim/flow.h"

static struct flow f;

static void set_up(void)
{
	flow_init(&f);
}

static void tear_down(void)
{
	flow_done(&f);
}

#define FLOW .init = set_up, .fini = tear_down, .timeout = 120

Test(shim_flow, runs_a_container_to_its_end, FLOW)
{
	uint32_t status = 0;

	(void)flow_run(&f, "c1", "exit 7", NULL);
	cr_assert_eq(flow_wait(&f, "c1", "", &status), 0);
	cr_assert_eq(status, 7);
	cr_assert_eq(flow_kill(&f, "c1", "", SIGKILL, true), 5);
	cr_assert_eq(flow_start(&f, "c1", ""), 9);
	status = 0;
	cr_assert_eq(flow_delete(&f, "c1", "", &status), 0);
	cr_assert_eq(status, 7);
	cr_assert_eq(flow_delete(&f, "c1", "", NULL), 5);
}

Test(shim_flow, says_at_create_what_cannot_be_run, FLOW)
{
	flow_bundle(&f, "c1", "missing", "");
	cr_assert_eq(flow_create(&f, "c1", NULL, NULL), 5);
	flow_bundle(&f, "c1", "silent", "");
	cr_assert_eq(flow_create(&f, "c1", NULL, NULL), 2);
	cr_assert_eq(flow_delete(&f, "c1", "", NULL), 5);
	cr_assert_eq(flow_event(&f, "/tasks/create", "c1", ""), -1);
}

Test(shim_flow, answers_sixty_four_waits_that_came_before_the_start, FLOW)
{
	uint32_t waits[64];

	flow_bundle(&f, "c1", "exit 9", "");
	cr_assert_eq(flow_create(&f, "c1", NULL, NULL), 0);
	for (size_t i = 0; i < 64; i++)
		waits[i] = flow_send_wait(&f, "c1", "");
	cr_assert_eq(flow_start(&f, "c1", ""), 0);
	for (size_t i = 0; i < 64; i++)
		cr_assert_eq(flow_code(&f, waits[i]), 0);
	cr_assert_eq(flow_delete(&f, "c1", "", NULL), 0);
}

Test(shim_flow, ends_a_created_container_by_kill_and_by_delete, FLOW)
{
	uint32_t status = 0;

	flow_bundle(&f, "c1", "sleep", "");
	cr_assert_eq(flow_create(&f, "c1", NULL, NULL), 0);
	cr_assert_eq(flow_kill(&f, "c1", "", SIGKILL, true), 0);
	cr_assert_eq(flow_wait(&f, "c1", "", &status), 0);
	cr_assert_eq(status, 137);
	cr_assert_eq(flow_delete(&f, "c1", "", NULL), 0);
	flow_bundle(&f, "c2", "sleep", "");
	cr_assert_eq(flow_create(&f, "c2", NULL, NULL), 0);
	cr_assert_eq(flow_delete(&f, "c2", "", NULL), 0);
	cr_assert_eq(flow_event(&f, "/tasks/start", "c2", ""), -1);
}

Test(shim_flow, publishes_events_in_order_however_fast_a_process_ends, FLOW)
{
	enum { EXECS = 12 };
	char id[16], exec[16];

	srand(1);
	for (int round = 0; round < 8; round++) {
		int create, start, end, gone;

		(void)snprintf(id, sizeof(id), "c%d", round + 1);
		(void)flow_run(&f, id, "sleep", NULL);
		for (int i = 0; i < EXECS; i++) {
			(void)snprintf(exec, sizeof(exec), "e%d", i);
			cr_assert_eq(flow_exec(&f, id, exec, rand() % 2 ? "exit 3" : "sleep", NULL,
					     false),
				0);
			(void)flow_send_start(&f, id, exec);
		}
		cr_assert_eq(flow_kill(&f, id, "", SIGKILL, rand() % 2), 0);
		cr_assert_eq(flow_wait(&f, id, "", NULL), 0);
		cr_assert_eq(flow_delete(&f, id, "", NULL), 0);
		flow_turn(&f, 0);
		while (flow_event(&f, "/tasks/delete", id, "") < 0)
			flow_turn(&f, 10);
		create = flow_event(&f, "/tasks/create", id, "");
		start = flow_event(&f, "/tasks/start", id, "");
		end = flow_event(&f, "/tasks/exit", id, "");
		gone = flow_event(&f, "/tasks/delete", id, "");
		cr_assert(0 <= create && create < start && start < end && end < gone);
		for (int i = 0; i < EXECS; i++) {
			int added, began, ended;

			(void)snprintf(exec, sizeof(exec), "e%d", i);
			added = flow_event(&f, "/tasks/exec-added", id, exec);
			began = flow_event(&f, "/tasks/exec-started", id, exec);
			ended = flow_event(&f, "/tasks/exit", id, exec);
			cr_assert_geq(added, 0);
			cr_assert_eq(began < 0, ended < 0);
			cr_assert(began < 0 || (added < began && began < ended && ended < end));
		}
	}
}

Test(shim_flow, keeps_no_descriptor_of_a_thousand_execs, FLOW)
{
	size_t before;

	(void)flow_run(&f, "c1", "sleep", NULL);
	before = flow_fds(&f);
	for (int i = 0; i < 1000; i++) {
		cr_assert_eq(
			flow_exec(&f, "c1", "e", i % 5 ? "exit 1" : "missing", NULL, false), 0);
		cr_assert_eq(flow_start(&f, "c1", "e"), i % 5 ? 0 : 5);
		cr_assert_eq(flow_wait(&f, "c1", "e", NULL), 0);
		cr_assert_eq(flow_delete(&f, "c1", "e", NULL), 0);
		f.n_events = 0;
		while (f.n_replies > 0)
			free(f.replies[--f.n_replies].payload);
	}
	cr_assert_leq(flow_fds(&f), before + 1); /* the connection for events */
	cr_assert_eq(flow_kill(&f, "c1", "", SIGKILL, false), 0);
	cr_assert_eq(flow_wait(&f, "c1", "", NULL), 0);
	cr_assert_eq(flow_delete(&f, "c1", "", NULL), 0);
}

Test(shim_flow, ends_what_the_first_process_left_behind, FLOW)
{
	(void)flow_run(&f, "c1", "stray 0", NULL);
	cr_assert_eq(flow_wait(&f, "c1", "", NULL), 0);
	cr_assert_eq(flow_delete(&f, "c1", "", NULL), 0);
}
