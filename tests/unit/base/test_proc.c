#include "base/proc.h"

#include <criterion/criterion.h>
#include <signal.h>
#include <unistd.h>

static int wait_for_a_signal(void *arg)
{
	(void)arg;
	return pause();
}

Test(base_proc, returns_while_a_child_that_runs_a_function_is_still_running, .timeout = 30)
{
	struct proc_spec spec = PROC_SPEC_INIT;
	struct proc p = PROC_INIT;
	struct err err = ERR_INIT;
	uint32_t status;

	spec.run = wait_for_a_signal;
	cr_assert_eq(proc_spawn(&spec, &p, &err), 0, "%s", err.text);
	cr_assert_eq(proc_reap(&p, &status), 0);
	cr_assert_eq(proc_signal(&p, SIGKILL), 0);
	cr_assert_eq(proc_wait(&p, &status), 0);
	cr_assert_eq(status, 128 + SIGKILL);
	proc_done(&p);
}
