#include "base/proc.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
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

/* Makes clone3 answer ENOSYS for this process, as the profiles of older container engines do. */
static int hide_clone3(void)
{
	struct sock_filter filter[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_clone3, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | ENOSYS),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog program = {.len = 4, .filter = filter};

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return -errno;
	return prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) < 0 ? -errno : 0;
}

static int spawn_true_without_clone3(void)
{
	struct proc_spec spec = PROC_SPEC_INIT;
	struct proc p = PROC_INIT;
	uint32_t status = 99;
	char *argv[] = {(char *)"true", NULL};

	if (hide_clone3() < 0 || syscall(SYS_clone3, NULL, 0) != -1 || errno != ENOSYS)
		return 1;
	spec.exec_path = "/bin/true";
	spec.argv = argv;
	spec.env = environ;
	if (proc_spawn(&spec, &p, NULL) < 0 || proc_wait(&p, &status) < 0 || status != 0)
		return 2;
	proc_done(&p);
	/* a birth in a cgroup is what the old call cannot do, and says so */
	spec.cgroup_fd = 0;
	return proc_spawn(&spec, &p, NULL) == -EOPNOTSUPP ? 0 : 3;
}

Test(base_proc, makes_children_where_clone3_is_hidden, .timeout = 30)
{
	int status;
	pid_t pid = fork();

	if (pid == 0)
		_exit(spawn_true_without_clone3());
	cr_assert_eq(waitpid(pid, &status, 0), pid);
	cr_assert(WIFEXITED(status));
	cr_assert_eq(WEXITSTATUS(status), 0, "step %d", WEXITSTATUS(status));
}
