/* What a shim is asked at bad moments. */
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/fd.h"
#include "base/file.h"
#include "shim/flow.h"

static struct flow f;
static char fifo[96];

static void set_up(void)
{
	flow_init(&f);
	(void)snprintf(fifo, sizeof(fifo), "%s/out", f.dir);
	cr_assert_eq(mkfifo(fifo, 0700), 0);
}

static void tear_down(void)
{
	flow_done(&f);
}

#define FLOW .init = set_up, .fini = tear_down, .timeout = 60

static void end(const char *id)
{
	cr_assert_eq(flow_kill(&f, id, "", SIGKILL, true), 0);
	cr_assert_eq(flow_wait(&f, id, "", NULL), 0);
	cr_assert_eq(flow_delete(&f, id, "", NULL), 0);
}

/* Everything up to the end of the stream. */
static size_t read_all(int fd)
{
	size_t total = 0;
	char buf[8192];

	for (int i = 0; i < 1000; i++) {
		struct pollfd p = {.fd = fd, .events = POLLIN};
		ssize_t n;

		flow_turn(&f, 0);
		if (poll(&p, 1, 10) == 0)
			continue;
		n = read(fd, buf, sizeof(buf));
		if (n == 0)
			break;
		total += n > 0 ? (size_t)n : 0;
	}
	return total;
}

Test(shim_edges, refuses_a_cgroup_that_others_live_in_and_lets_them_live, FLOW)
{
	char more[128];
	uint32_t wait;

	(void)flow_run(&f, "c1", "sleep", NULL);
	wait = flow_send_wait(&f, "c1", "");
	(void)snprintf(more, sizeof(more), "\"cgroupsPath\":\"/%s/c1\"", f.ns);
	flow_bundle(&f, "c2", "sleep", more);
	cr_assert_eq(flow_create(&f, "c2", NULL, NULL), 6);
	flow_turn(&f, 200);
	cr_assert(!flow_answered(&f, wait), "the container that was there has been killed");
	end("c1");
}

Test(shim_edges, keeps_output_for_a_client_that_reads_late, FLOW)
{
	int out = open(fifo, O_RDONLY | O_NONBLOCK | O_CLOEXEC);

	(void)flow_run(&f, "c1", "out 120000", fifo);
	cr_assert_eq(flow_wait(&f, "c1", "", NULL), 0);
	flow_turn(&f, 2500);
	cr_assert_eq(read_all(out), 120000);
	fd_close(&out);
	cr_assert_eq(flow_delete(&f, "c1", "", NULL), 0);
}

Test(shim_edges, delivers_an_execs_output_before_its_delete_is_answered, FLOW)
{
	int out = open(fifo, O_RDONLY | O_NONBLOCK | O_CLOEXEC);

	(void)flow_run(&f, "c1", "sleep", NULL);
	cr_assert_eq(flow_exec(&f, "c1", "e", "out 120000", fifo, false), 0);
	cr_assert_eq(flow_start(&f, "c1", "e"), 0);
	cr_assert_eq(flow_wait(&f, "c1", "e", NULL), 0);
	{
		uint32_t gone = flow_send_delete(&f, "c1", "e");

		flow_turn(&f, 50);
		cr_assert_eq(read_all(out), 120000);
		cr_assert_eq(flow_code(&f, gone), 0);
	}
	fd_close(&out);
	end("c1");
}

Test(shim_edges, does_not_wait_for_who_holds_an_execs_output_silently, FLOW)
{
	int out = open(fifo, O_RDONLY | O_NONBLOCK | O_CLOEXEC);

	(void)flow_run(&f, "c1", "sleep", NULL);
	cr_assert_eq(flow_exec(&f, "c1", "e", "hold 10", fifo, false), 0);
	cr_assert_eq(flow_start(&f, "c1", "e"), 0);
	cr_assert_eq(flow_wait(&f, "c1", "e", NULL), 0);
	cr_assert_eq(flow_delete(&f, "c1", "e", NULL), 0);
	cr_assert_eq(read_all(out), 10);
	fd_close(&out);
	end("c1");
}

Test(shim_edges, hands_a_signal_for_all_to_the_first_process_once, FLOW)
{
	uint32_t status = 0;

	(void)flow_run(&f, "c1", "count", NULL);
	cr_assert_eq(flow_kill(&f, "c1", "", (uint32_t)SIGRTMIN, true), 0);
	flow_turn(&f, 100);
	cr_assert_eq(flow_kill(&f, "c1", "", SIGTERM, false), 0);
	cr_assert_eq(flow_wait(&f, "c1", "", &status), 0);
	cr_assert_eq(status, 1, "%u signals arrived", status);
	cr_assert_eq(flow_delete(&f, "c1", "", NULL), 0);
}

Test(shim_edges, remembers_the_size_of_a_terminal_that_is_not_there_yet, FLOW)
{
	Task__ResizePtyRequest request = TASK__RESIZE_PTY_REQUEST__INIT;
	int out = open(fifo, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	uint32_t status = 0;

	(void)flow_run(&f, "c1", "sleep", NULL);
	cr_assert_eq(flow_exec(&f, "c1", "e", "size", fifo, true), 0);
	request.id = (char *)"c1";
	request.exec_id = (char *)"e";
	request.width = 77;
	request.height = 24;
	cr_assert_eq(flow_code(&f, flow_send(&f, "ResizePty", &request.base)), 0);
	cr_assert_eq(flow_start(&f, "c1", "e"), 0);
	cr_assert_eq(flow_wait(&f, "c1", "e", &status), 0);
	cr_assert_eq(status, 77);
	cr_assert_eq(flow_delete(&f, "c1", "e", NULL), 0);
	fd_close(&out);
	end("c1");
}

Test(shim_edges, takes_no_container_once_it_leaves, FLOW)
{
	Task__ShutdownRequest request = TASK__SHUTDOWN_REQUEST__INIT;

	f.deaf = true; /* events wait, and the shim with them */
	(void)flow_run(&f, "c1", "exit 0", NULL);
	cr_assert_eq(flow_wait(&f, "c1", "", NULL), 0);
	cr_assert_eq(flow_delete(&f, "c1", "", NULL), 0);
	cr_assert_eq(flow_code(&f, flow_send(&f, "Shutdown", &request.base)), 0);
	flow_bundle(&f, "c2", "sleep", "");
	cr_assert_eq(flow_create(&f, "c2", NULL, NULL), 14);
}

Test(shim_edges, ends_a_create_in_progress_by_delete, FLOW)
{
	uint32_t create, gone;

	flow_bundle(&f, "c1", "never", "");
	create = flow_send_create(&f, "c1", NULL);
	flow_turn(&f, 50);
	gone = flow_send_delete(&f, "c1", "");
	cr_assert_eq(flow_code(&f, gone), 0);
	cr_assert_neq(flow_code(&f, create), 0);
}

Test(shim_edges, says_precondition_to_an_exec_whose_container_has_just_ended, FLOW)
{
	uint32_t pid = flow_run(&f, "c1", "sleep", NULL), start;

	cr_assert_eq(flow_exec(&f, "c1", "e", "exit 0", NULL, false), 0);
	cr_assert_eq(kill(f.shim, SIGSTOP), 0);
	start = flow_send_start(&f, "c1", "e");
	cr_assert_eq(kill((pid_t)pid, SIGKILL), 0);
	flow_turn(&f, 50);
	cr_assert_eq(kill(f.shim, SIGCONT), 0);
	cr_assert_eq(flow_code(&f, start), 9);
	cr_assert_eq(flow_wait(&f, "c1", "e", NULL), 0);
	cr_assert_eq(flow_wait(&f, "c1", "", NULL), 0);
	cr_assert_eq(flow_delete(&f, "c1", "", NULL), 0);
}

Test(shim_edges, does_not_say_started_of_what_died_at_its_gate, FLOW)
{
	uint32_t pid = 0, start;

	flow_bundle(&f, "c1", "sleep", "");
	cr_assert_eq(flow_create(&f, "c1", NULL, &pid), 0);
	cr_assert_eq(kill(f.shim, SIGSTOP), 0);
	start = flow_send_start(&f, "c1", "");
	cr_assert_eq(kill((pid_t)pid, SIGKILL), 0);
	flow_turn(&f, 50);
	cr_assert_eq(kill(f.shim, SIGCONT), 0);
	cr_assert_neq(flow_code(&f, start), 0);
	cr_assert_eq(flow_wait(&f, "c1", "", NULL), 0);
	cr_assert_eq(flow_delete(&f, "c1", "", NULL), 0);
	cr_assert_eq(flow_event(&f, "/tasks/start", "c1", ""), -1);
}

Test(shim_edges, answers_two_deletes_at_once, FLOW)
{
	uint32_t a, b;

	(void)flow_run(&f, "c1", "exit 0", NULL);
	cr_assert_eq(flow_wait(&f, "c1", "", NULL), 0);
	cr_assert_eq(kill(f.shim, SIGSTOP), 0); /* it finds both at once */
	a = flow_send_delete(&f, "c1", "");
	b = flow_send_delete(&f, "c1", "");
	cr_assert_eq(kill(f.shim, SIGCONT), 0);
	cr_assert_eq(flow_code(&f, a), 0);
	cr_assert_eq(flow_code(&f, b), 0);
	cr_assert_eq(flow_delete(&f, "c1", "", NULL), 5);
}

static bool put(const char *path, const char *text)
{
	return file_put_at(AT_FDCWD, path, text, NULL) == 0;
}

Test(shim_edges, is_not_held_up_by_a_frozen_container, FLOW)
{
	Task__ConnectRequest request = TASK__CONNECT_REQUEST__INIT;
	char path[128];
	int32_t code;

	(void)flow_run(&f, "c1", "sleep", NULL);
	(void)snprintf(path, sizeof(path), "/sys/fs/cgroup/unified/%s/c1/cgroup.freeze", f.ns);
	if (access(path, W_OK) < 0)
		(void)snprintf(path, sizeof(path), "/sys/fs/cgroup/%s/c1/cgroup.freeze", f.ns);
	if (!put(path, "1")) {
		end("c1");
		cr_skip_test("no cgroup2 here");
	}
	cr_assert_eq(flow_exec(&f, "c1", "e", "exit 0", NULL, false), 0);
	(void)flow_send_start(&f, "c1", "e");
	request.id = (char *)"c1";
	code = flow_code(&f, flow_send(&f, "Connect", &request.base));
	cr_assert(put(path, "0"));
	cr_assert_eq(code, 0);
	end("c1");
}

Test(shim_edges, reports_an_end_although_something_cannot_be_killed, FLOW)
{
	char path[128], pids[64];
	uint32_t pid, wait, gone;
	bool waited, answered;

	pid = flow_run(&f, "c1", "pair", NULL);
	/* its cgroup's parent is frozen, which no kill gets past; the first process is outside */
	(void)snprintf(pids, sizeof(pids), "%u", pid);
	(void)snprintf(path, sizeof(path), "/sys/fs/cgroup/freezer/%s/freezer.state", f.ns);
	flow_turn(&f, 100);
	if (!put("/sys/fs/cgroup/freezer/cgroup.procs", pids) || !put(path, "FROZEN")) {
		end("c1");
		cr_skip_test("no v1 freezer here");
	}
	wait = flow_send_wait(&f, "c1", "");
	cr_assert_eq(kill((pid_t)pid, SIGKILL), 0);
	for (int i = 0; i < 60 && !flow_answered(&f, wait); i++)
		flow_turn(&f, 100);
	waited = flow_answered(&f, wait);
	gone = flow_send_delete(&f, "c1", "");
	for (int i = 0; i < 90 && !flow_answered(&f, gone); i++)
		flow_turn(&f, 100);
	answered = flow_answered(&f, gone);
	cr_assert(put(path, "THAWED"));
	cr_assert(waited, "the exit was never reported");
	cr_assert(answered, "Delete was never answered");
	cr_assert_neq(flow_code(&f, gone), 0);
	cr_assert_eq(flow_delete(&f, "c1", "", NULL), 0);
}

Test(shim_edges, refuses_stdio_paths_that_no_file_can_have, FLOW)
{
	char path[4096 + 64];

	memset(path, 'x', sizeof(path) - 1);
	path[0] = '/';
	path[sizeof(path) - 1] = '\0';
	(void)flow_run(&f, "c1", "sleep", NULL);
	cr_assert_neq(flow_exec(&f, "c1", "e", "exit 0", path, false), 0);
	cr_assert_eq(flow_start(&f, "c1", "e"), 5);
	end("c1");
}
