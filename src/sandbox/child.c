#include "sandbox/child.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#include "base/fd.h"
#include "base/file.h"
#include "base/title.h"
#include "oci/init_contract.h"

/* Runs after fork without exec in a copy of the shim: async-signal-safe calls only, no allocation,
 * no stdio, but for the start of a scope. */

static int write_file(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC), r = 0;

	if (fd < 0)
		return -errno;
	if (write(fd, text, strlen(text)) < 0)
		r = -errno;
	fd_close(&fd);
	return r;
}

/*
 * An empty read-only root of its own: the pod's containers may see this process (a shared pid
 * namespace), and nothing of the host must be reachable through its /proc/1/root. A private copy of
 * the host's mounts would also keep file systems busy that the host unmounts later; here all of
 * them are let go of.
 */
static int enter_empty_root(void)
{
	if (unshare(CLONE_NEWNS) < 0)
		return -errno;
	if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
		return -errno;
	if (mount("tmpfs", "/run", "tmpfs", MS_NOSUID | MS_NODEV | MS_NOEXEC | MS_RDONLY,
		    "size=4k,mode=555") < 0)
		return -errno;
	if (chdir("/run") < 0 || syscall(SYS_pivot_root, ".", ".") < 0)
		return -errno;
	if (umount2(".", MNT_DETACH) < 0 || chdir("/") < 0)
		return -errno;
	return 0;
}

static int report(const struct sandbox_child *c, struct err *err)
{
	(void)err_wrapf(err, "sandbox");
	(void)init_message_send(c->control, INIT_FAILED, err, -EBADF);
	return INIT_EXIT_FAILED;
}

static int fail(const struct sandbox_child *c, struct err *err, int r, const char *what)
{
	(void)err_sysf(err, -r, "%s", what);
	return report(c, err);
}

/* Lowering needs CAP_SYS_RESOURCE, which a containerd in a container may lack: a pod that can be
 * killed earlier still works. */
static int set_oom_score(const char *adj)
{
	int r = write_file("/proc/self/oom_score_adj", adj);

	return r == -EACCES || r == -EPERM ? 0 : r;
}

static int join_cgroup(const struct sandbox_child *c, struct err *err)
{
	if (c->scope)
		return systemd_join_scope(c->scope, c->cgroup, NULL, err);
	return cgroup_attach_self(c->cgroup, c->born_in_cgroup, err);
}

static int set_up(const struct sandbox_child *c, const char **ret_what)
{
	int r;

	*ret_what = "setting oom_score_adj";
	r = c->oom_score_adj ? set_oom_score(c->oom_score_adj) : 0;
	if (r < 0)
		return r;
	*ret_what = "joining a namespace";
	for (size_t i = 0; i < ARRAY_LEN(c->join_fds); i++) {
		if (c->join_fds[i] >= 0 && setns(c->join_fds[i], 0) < 0)
			return -errno;
	}
	*ret_what = "making its namespaces";
	if (c->unshare_flags && unshare((int)c->unshare_flags) < 0)
		return -errno;
	*ret_what = "setting the hostname";
	if (c->hostname && sethostname(c->hostname, strlen(c->hostname)) < 0)
		return -errno;
	*ret_what = "setting a sysctl";
	for (size_t i = 0; c->sysctl_paths && c->sysctl_paths[i]; i++) {
		r = write_file(c->sysctl_paths[i], c->sysctl_values[i]);
		if (r < 0)
			return r;
	}
	*ret_what = "entering an empty root";
	return enter_empty_root();
}

/* Waits at the gate as every first process does: until Start, or until the shim is gone. */
static int report_and_wait(const struct sandbox_child *c)
{
	char gate = 0;
	int r = init_message_send(c->control, INIT_READY, NULL, -EBADF);

	if (r < 0)
		return r;
	if (RETRY_EINTR(recv(c->control, &gate, 1, 0)) != 1 || gate != INIT_GATE_OPEN)
		return -EPIPE;
	return 0;
}

/* Ends on TERM and INT (KILL needs no help), reaps whatever a pid namespace leaves to its first
 * process. */
static void hold(void)
{
	sigset_t set;

	(void)sigemptyset(&set);
	(void)sigaddset(&set, SIGTERM);
	(void)sigaddset(&set, SIGINT);
	(void)sigaddset(&set, SIGCHLD);
	for (;;) {
		int sig = sigwaitinfo(&set, NULL);

		if (sig == SIGCHLD) {
			while (waitpid(-1, NULL, WNOHANG) > 0) {
				/* every one that has ended */
			}
		} else if (sig > 0) {
			_exit(128 + sig);
		}
	}
}

int sandbox_child_main(void *arg)
{
	struct sandbox_child *c = arg;
	static struct err err; /* 1 KiB that need not be on the small stack of a fork */
	const char *what = NULL;
	sigset_t set;
	int r;

	/* blocked from here on, so that process 1 of a pid namespace gets them at all */
	(void)sigfillset(&set);
	(void)sigprocmask(SIG_SETMASK, &set, NULL);
	(void)prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
	(void)prctl(PR_SET_NAME, "reaper-sandbox", 0, 0, 0);
	title_set(c->title);
	(void)setsid();
	r = join_cgroup(c, &err);
	if (r < 0)
		return report(c, &err);
	r = set_up(c, &what);
	if (r < 0)
		return fail(c, &err, r, what);
	/* the control socket only: no listener, no stream, no other pod's anything */
	if (dup3(c->control, INIT_FD_CONTROL, O_CLOEXEC) < 0 && errno != EINVAL)
		return INIT_EXIT_FAILED;
	c->control = INIT_FD_CONTROL;
	fd_close_from(INIT_FD_CONTROL + 1);
	r = report_and_wait(c);
	if (r < 0)
		return INIT_EXIT_FAILED;
	(void)close(c->control); /* end of file: the sandbox runs */
	hold();
	return 0;
}
