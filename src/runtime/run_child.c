#include "runtime/run_child.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <unistd.h>
#include "base/cleanup.h"
#include "base/fd.h"
#include "oci/init_contract.h"

/* `spec` has everything but the program and the control socket. */
static int spawn_self(
	struct proc_spec *spec, struct proc *ret_proc, int *ret_control, struct err *err)
{
	_cleanup_close_ int ours = -EBADF, theirs = -EBADF;
	_cleanup_close_ int program = open("/proc/self/exe", O_PATH | O_CLOEXEC);
	int pair[2], r;

	if (program < 0)
		return err_sysf(err, errno, "/proc/self/exe");
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		return err_sysf(err, errno, "socketpair");
	ours = pair[0];
	theirs = pair[1];
	r = fd_set_nonblock(ours);
	if (r < 0)
		return err_sysf(err, -r, "control socket");
	spec->exec_fd = program;
	spec->env = environ;
	spec->fds[INIT_FD_CONTROL] = theirs;
	spec->n_fds = INIT_FD_CONTROL + 1;
	r = proc_spawn(spec, ret_proc, err);
	if (r < 0)
		return r;
	*ret_control = TAKE_FD(ours);
	return 0;
}

int run_child_init(
	const struct run_child *child, struct proc *ret_proc, int *ret_control, struct err *err)
{
	const char *argv[] = {"reaper-runtime", "init", "--bundle", child->bundle, "--id",
		child->id, "--namespace", child->ns, NULL};
	struct proc_spec spec = PROC_SPEC_INIT;

	spec.argv = (char *const *)argv;
	spec.clone_flags = child->new_pidns ? CLONE_NEWPID : 0;
	spec.pidns_fd = child->pidns_fd;
	for (int fd = 0; fd < 3; fd++)
		spec.fds[fd] = child->stdio ? child->stdio[fd] : -1;
	return spawn_self(&spec, ret_proc, ret_control, err);
}

static bool asked_to_end(int signals)
{
	struct signalfd_siginfo info;
	bool asked = false;

	while (read(signals, &info, sizeof(info)) == (ssize_t)sizeof(info)) {
		unsigned sig = info.ssi_signo;

		asked |= sig == SIGINT || sig == SIGTERM || sig == SIGHUP || sig == SIGQUIT;
	}
	return asked;
}

/* 1: there may be more to come. */
static int read_report(int control, void (*note)(const char *text), struct err *err)
{
	struct init_message msg;
	int fd = -EBADF;
	ssize_t n = fd_recv(control, &msg, sizeof(msg), &fd);

	fd_close(&fd);
	if (n == -EAGAIN)
		return 1;
	if (n != (ssize_t)sizeof(msg) || msg.version != INIT_CONTRACT_VERSION)
		return err_setf(
			err, ERR_INTERNAL, EIO, "the runner of the hooks ended and said nothing");
	msg.err.text[sizeof(msg.err.text) - 1] = '\0';
	if (msg.type == INIT_READY)
		return 0;
	if (msg.type == INIT_NOTE) {
		note(msg.err.text);
		return 1;
	}
	*err = msg.err;
	return err->errnum > 0 ? -err->errnum : -EIO;
}

int run_child_hooks(const struct run_child *child, const char *stage, pid_t pid, int signals,
	void (*note)(const char *text), struct err *err)
{
	_cleanup_close_ int control = -EBADF;
	char number[16];
	const char *argv[] = {"reaper-runtime", "hooks", "--bundle", child->bundle, "--id",
		child->id, "--namespace", child->ns, "--stage", stage, pid > 0 ? "--pid" : NULL,
		number, NULL};
	struct proc_spec spec = PROC_SPEC_INIT;
	struct proc runner = PROC_INIT;
	uint32_t status;
	int r;

	(void)snprintf(number, sizeof(number), "%d", (int)pid);
	spec.argv = (char *const *)argv;
	for (int fd = 0; fd < 3; fd++)
		spec.fds[fd] = -1;
	r = spawn_self(&spec, &runner, &control, err);
	if (r < 0)
		return r;
	do {
		struct pollfd polls[] = {
			{.fd = control, .events = POLLIN}, {.fd = signals, .events = POLLIN}};

		if (poll(polls, 2, -1) < 0 && errno != EINTR)
			r = err_sysf(err, errno, "poll");
		else if (polls[1].revents && asked_to_end(signals))
			r = err_setf(err, ERR_CANCELED, ECANCELED, "hooks: ended by a signal");
		else if (polls[0].revents)
			r = read_report(control, note, err);
		else
			r = 1;
	} while (r == 1);
	fd_close(&control); /* it kills what still runs, and ends */
	(void)proc_wait(&runner, &status);
	proc_done(&runner);
	return r;
}
