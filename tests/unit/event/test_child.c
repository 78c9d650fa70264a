#include "event/child.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

struct watched {
	struct event_child child;
	struct proc proc;
	int calls, error;
	uint32_t status;
};

static void ended(struct event_child *c, int error, uint32_t status)
{
	struct watched *w = container_of(c, struct watched, child);

	w->calls++;
	w->error = error;
	w->status = status;
}

static int exit_with(void *arg)
{
	return *(int *)arg;
}

static int wait_for_a_signal(void *arg)
{
	(void)arg;
	return pause();
}

static void start(struct watched *w, int (*run)(void *arg), void *arg)
{
	struct proc_spec spec = PROC_SPEC_INIT;
	struct err err = ERR_INIT;

	*w = (struct watched) {.child = EVENT_CHILD_INIT, .proc = PROC_INIT};
	spec.run = run;
	spec.run_arg = arg;
	cr_assert_eq(proc_spawn(&spec, &w->proc, &err), 0, "%s", err.text);
}

Test(event_child, reports_the_exit_code_once)
{
	struct event_loop loop;
	struct watched w;
	int code = 42;

	cr_assert_eq(event_loop_init(&loop), 0);
	start(&w, exit_with, &code);
	cr_assert_eq(event_child_watch(&w.child, &loop, &w.proc, ended), 0);
	while (!w.calls)
		(void)event_loop_once(&loop, true);
	cr_assert_eq(w.error, 0);
	cr_assert_eq(w.status, 42);
	cr_assert_eq(event_loop_once(&loop, false), 0);
	cr_assert_eq(w.calls, 1);
	proc_done(&w.proc);
	event_loop_done(&loop);
}

Test(event_child, reports_death_by_a_signal_as_a_shell_does)
{
	struct event_loop loop;
	struct watched w;

	cr_assert_eq(event_loop_init(&loop), 0);
	start(&w, wait_for_a_signal, NULL);
	cr_assert_eq(event_child_watch(&w.child, &loop, &w.proc, ended), 0);
	cr_assert_eq(event_loop_once(&loop, false), 0);
	cr_assert_eq(proc_signal(&w.proc, SIGKILL), 0);
	while (!w.calls)
		(void)event_loop_once(&loop, true);
	cr_assert_eq(w.status, 128 + SIGKILL);
	proc_done(&w.proc);
	event_loop_done(&loop);
}

Test(event_child, says_so_when_somebody_else_reaped_the_child)
{
	struct event_loop loop;
	struct watched w;
	uint32_t status;
	int code = 3;

	cr_assert_eq(event_loop_init(&loop), 0);
	start(&w, exit_with, &code);
	cr_assert_eq(proc_wait(&w.proc, &status), 0);
	cr_assert_eq(event_child_watch(&w.child, &loop, &w.proc, ended), 0);
	(void)event_loop_once(&loop, true);
	cr_assert_eq(w.calls, 1);
	cr_assert_eq(w.error, -ECHILD);
	proc_done(&w.proc);
	event_loop_done(&loop);
}

Test(event_child, can_be_forgotten)
{
	struct event_loop loop;
	struct watched w;
	uint32_t status;
	int code = 3;

	cr_assert_eq(event_loop_init(&loop), 0);
	start(&w, exit_with, &code);
	cr_assert_eq(event_child_watch(&w.child, &loop, &w.proc, ended), 0);
	event_child_forget(&w.child);
	event_child_forget(&w.child);
	event_child_forget(NULL);
	cr_assert_eq(proc_wait(&w.proc, &status), 0);
	cr_assert_eq(event_loop_once(&loop, false), 0);
	cr_assert_eq(w.calls, 0);
	proc_done(&w.proc);
	event_loop_done(&loop);
}

/* A debugger that says when it has attached and lets go when told. */
static int debugger(pid_t pid, int sock)
{
	char c;

	if (ptrace(PTRACE_SEIZE, pid, NULL, NULL) < 0)
		return 1;
	if (write(sock, "a", 1) != 1 || read(sock, &c, 1) != 1)
		return 1;
	return waitpid(pid, NULL, __WALL) == pid ? 0 : 1;
}

Test(event_child, waits_without_spinning_for_a_debugger_to_let_go)
{
	struct event_loop loop;
	struct watched w;
	int pair[2], rounds;
	pid_t tracer;
	char c;

	cr_assert_eq(event_loop_init(&loop), 0);
	cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	start(&w, wait_for_a_signal, NULL);
	tracer = fork();
	if (tracer == 0)
		_exit(debugger(w.proc.pid, pair[1]));
	close(pair[1]);
	if (read(pair[0], &c, 1) != 1)
		cr_skip_test("ptrace is not allowed here");
	cr_assert_eq(event_child_watch(&w.child, &loop, &w.proc, ended), 0);
	cr_assert_eq(proc_signal(&w.proc, SIGKILL), 0);
	cr_assert_eq(event_loop_once(&loop, true), 1);
	for (rounds = 0; rounds < 3; rounds++)
		cr_assert_eq(event_loop_once(&loop, false), 0, "no event while it is held");
	cr_assert_eq(w.calls, 0);
	cr_assert_eq(write(pair[0], "x", 1), 1);
	while (!w.calls)
		(void)event_loop_once(&loop, true);
	cr_assert_eq(w.status, 128 + SIGKILL);
	cr_assert_eq(waitpid(tracer, NULL, 0), tracer);
	close(pair[0]);
	proc_done(&w.proc);
	event_loop_done(&loop);
}
