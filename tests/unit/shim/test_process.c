#include "shim/process.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <unistd.h>
#include "base/fd.h"
#include "shim/container.h"
#include "shim/shim.h"

static int sleeper(void *arg)
{
	(void)arg;
	for (;;)
		(void)pause();
	return 0;
}

Test(shim_process, kills_a_child_whose_control_socket_cannot_be_watched)
{
	static struct shim shim;
	static struct container c;
	struct proc_spec spec = PROC_SPEC_INIT;
	struct proc child = PROC_INIT;
	struct process p;
	uint32_t status = 0;

	cr_assert_eq(event_loop_init(&shim.loop), 0);
	c.shim = &shim;
	c.id = (char *)"c1";
	cr_assert_eq(process_init(&p, &c, "e"), 0);
	spec.run = sleeper;
	cr_assert_eq(proc_spawn(&spec, &child, NULL), 0);
	/* a plain file is what epoll refuses */
	process_adopt_child(&p, &child, open("/proc/self/exe", O_RDONLY | O_CLOEXEC));
	cr_assert_eq(p.state, PROCESS_CREATING);
	cr_assert(p.failed);
	cr_assert_eq(proc_wait(&p.proc, &status), 0);
	cr_assert_eq(status, 128 + SIGKILL);
	process_done(&p);
	event_loop_done(&shim.loop);
}
