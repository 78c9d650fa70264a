#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>
#include "base/cleanup.h"
#include "base/fd.h"
#include "base/file.h"
#include "base/num.h"
#include "base/proc.h"
#include "base/str.h"
#include "cgroup/cgroup.h"
#include "oci/annotations.h"
#include "shim/actions.h"
#include "shim/bootstrap.h"
#include "shim/reserve.h"
#include "shim/shim.h"
#include "shim/socket.h"

enum { DAEMON_FD_STARTER = 3, DAEMON_FD_LISTENER = 4, DAEMON_FD_LOG = 5 };

/* containerd's own score and one more, as its Go shims do: the OOM killer takes a shim before
 * containerd, not a workload's life with it. */
static void adjust_oom_score(void)
{
	_cleanup_free_ char *text = NULL;
	char adjusted[16];
	int64_t score;

	if (file_read_at(AT_FDCWD, "/proc/self/oom_score_adj", 64, &text, NULL, NULL) < 0)
		return;
	text[strcspn(text, "\n")] = '\0';
	if (num_parse_i64(text, -1000, 999, &score) < 0)
		return;
	(void)snprintf(adjusted, sizeof(adjusted), "%lld", (long long)score + 1);
	(void)file_put_at(AT_FDCWD, "/proc/self/oom_score_adj", adjusted, NULL);
}

/* The socket is there before `start` is told that the daemon is. Whoever is killed, it has an
 * owner: the daemon notices when its `start` ends without a word, and takes it away. */
static int daemon_bind(void *arg, struct err *err)
{
	const struct shim_params *params = arg;
	int fd = socket_bind(params->socket_path), copy;

	if (fd < 0)
		return err_sysf(err, -fd, "binding %s", params->socket_path);
	copy = dup3(fd, DAEMON_FD_LISTENER, O_CLOEXEC);
	return copy < 0 ? err_sysf(err, errno, "the listener's number") : 0;
}

/* The daemon, in a fork of `start` that holds nothing of it: neither its stdout, which containerd
 * reads to the end, nor its bundle. */
static int daemon_main(void *arg)
{
	struct shim_params *params = arg;

	params->starter = DAEMON_FD_STARTER;
	params->listener = DAEMON_FD_LISTENER;
	(void)syscall(
		SYS_close_range, params->log_fd >= 0 ? DAEMON_FD_LOG + 1 : DAEMON_FD_LOG, ~0U, 0U);
	if (params->log_fd >= 0)
		params->log_fd = DAEMON_FD_LOG;
	/* arranged for a program to inherit; none of ours may */
	if (fd_cloexec_from(3) < 0 || chdir("/") < 0)
		return 1;
	(void)prctl(PR_SET_NAME, "shim-reaper-v2", 0, 0, 0);
	adjust_oom_score();
	proc_let_others_run_first();
	return shim_serve(params);
}

static int spawn_daemon(const struct shim_options *opts, const struct bootstrap *boot,
	const char *path, int starter, struct proc *ret_proc, struct err *err)
{
	/* containerd holds the other end open for as long as the bundle is there; both ways, so
	 * that it never breaks */
	_cleanup_close_ int log_fd = open("log", O_RDWR | O_NONBLOCK | O_CLOEXEC | O_NOCTTY);
	struct shim_params params = {
		.ns = opts->ns,
		.id = opts->id,
		.socket_path = path,
		.ttrpc_address =
			boot->ttrpc_address ? boot->ttrpc_address : getenv("TTRPC_ADDRESS"),
		.log_fd = log_fd,
		.debug = opts->debug || boot->debug,
	};
	struct proc_spec spec = PROC_SPEC_INIT;

	spec.run = daemon_main;
	spec.prepare = daemon_bind;
	spec.run_arg = &params;
	spec.new_session = true;
	for (int fd = 0; fd < 3; fd++)
		spec.fds[fd] = -1;
	spec.fds[DAEMON_FD_STARTER] = starter;
	spec.fds[DAEMON_FD_LISTENER] = -1; /* daemon_bind's */
	spec.fds[DAEMON_FD_LOG] = log_fd;
	spec.n_fds = log_fd >= 0 ? DAEMON_FD_LOG + 1 : DAEMON_FD_LISTENER + 1;
	return proc_spawn(&spec, ret_proc, err);
}

static int read_input(struct bootstrap *boot, const struct shim_options *opts, struct err *err)
{
	_cleanup_free_ char *data = NULL;
	size_t len = 0;
	int r;

	if (!isatty(STDIN_FILENO)) {
		r = file_read_fd(
			STDIN_FILENO, "standard input", BOOTSTRAP_INPUT_MAX, &data, &len, err);
		if (r < 0)
			return r;
	}
	r = bootstrap_parse(boot, (const uint8_t *)data, len, opts->ns, opts->id);
	return r < 0 ? err_sysf(err, -r, "standard input") : 0;
}

static int group_socket(const struct shim_options *opts, const struct bootstrap *boot,
	char **ret_path, struct err *err)
{
	_cleanup_(oci_annotations_done) struct oci_annotations annotations = {0};
	const char *group;
	int r = oci_annotations_load(".", &annotations, err);

	if (r < 0 && r != -ENOENT) /* a sandbox of the Sandbox API has no config.json: it is its own
				      group */
		return r;
	r = oci_group_key(&annotations, opts->id, &group, err);
	if (r < 0)
		return r;
	return socket_path(boot->socket_dir, opts->address ? opts->address : "", opts->ns, group,
		ret_path, err);
}

/* SCHED_CORE: the daemon and its workloads get a core scheduling cookie of their own (containerd's
 * sched_core). */
static int join_core_scheduling(struct err *err)
{
	enum { SCHED_CORE_CREATE = 1, SCOPE_PROCESS_GROUP = 2 };

	if (str_empty(getenv("SCHED_CORE")))
		return 0;
	if (prctl(PR_SCHED_CORE, SCHED_CORE_CREATE, 0, SCOPE_PROCESS_GROUP, 0) < 0)
		return err_sysf(
			err, errno, "core scheduling (sched_core in containerd's config.toml)");
	return 0;
}

/* ShimCgroup: the daemon is moved before anybody has its address. Its workloads have their own. */
static int join_shim_cgroup(const char *path, const struct proc *daemon, struct err *err)
{
	_cleanup_(cgroup_host_done) struct cgroup_host host = CGROUP_HOST_INIT;
	int r = cgroup_host_detect(&host, err);

	if (r == 0)
		r = cgroup_put(&host, path, daemon->pid, err);
	return r < 0 ? err_wrapf(err, "ShimCgroup in the runtime's options") : 0;
}

/* Answers, and leaves the address where containerd looks after a restart. */
static int tell_containerd(const struct bootstrap *boot, const char *path, struct err *err)
{
	_cleanup_free_ char *address = NULL;
	_cleanup_free_ uint8_t *answer = NULL;
	size_t len = 0;
	int r;

	if (str_printf(&address, "unix://%s", path) < 0)
		return err_sysf(err, ENOMEM, "address");
	/* 1.6 and 1.7 find the shim by this file after a restart, and destroy a healthy container
	 * without it */
	r = file_replace_at(AT_FDCWD, "address", address, strlen(address), 0600, err);
	if (r < 0)
		return r;
	if (bootstrap_answer(boot, path, &answer, &len) < 0)
		return err_sysf(err, ENOMEM, "answer");
	r = file_write_all(STDOUT_FILENO, answer, len);
	return r < 0 ? err_sysf(err, -r, "standard output") : 0;
}

/* A new shim for the pod; the path is claimed. *ret_starter is our end of what it watches. */
static int start_shim(const struct shim_options *opts, const struct bootstrap *boot,
	const char *path, int *ret_starter, struct err *err)
{
	_cleanup_close_ int ours = -EBADF, theirs = -EBADF;
	_cleanup_(proc_done) struct proc daemon = PROC_INIT;
	int pair[2], r;

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
		return err_sysf(err, errno, "socketpair");
	ours = pair[0];
	theirs = pair[1];
	r = spawn_daemon(opts, boot, path, theirs, &daemon, err);
	if (r == 0 && boot->shim_cgroup)
		r = join_shim_cgroup(boot->shim_cgroup, &daemon, err);
	if (r == 0)
		r = tell_containerd(boot, path, err);
	if (r < 0) { /* containerd will not call `delete`: take it back */
		(void)unlink(path);
		(void)proc_signal(&daemon, SIGKILL);
		return r;
	}
	*ret_starter = TAKE_FD(ours);
	return 0;
}

/* One of the two is open afterwards: our end of what a new shim watches, or the connection to the
 * one that is there. */
static int start(const struct shim_options *opts, int *ret_starter, int *ret_peer, struct err *err)
{
	_cleanup_(bootstrap_done) struct bootstrap boot = {0};
	_cleanup_(socket_claim_done) struct socket_claim claim = SOCKET_CLAIM_INIT;
	_cleanup_free_ char *path = NULL;
	int r;

	r = read_input(&boot, opts, err);
	if (r == 0)
		r = group_socket(opts, &boot, &path, err);
	if (r == 0)
		r = join_core_scheduling(err);
	if (r == 0)
		r = socket_claim(path, opts->ns, opts->id, &claim, err);
	if (r < 0)
		return r;
	if (claim.peer < 0)
		return start_shim(opts, &boot, path, ret_starter, err);
	r = tell_containerd(&boot, path, err);
	if (r == 0)
		*ret_peer = TAKE_FD(claim.peer);
	return r;
}

int action_start(const struct shim_options *opts)
{
	int starter = -EBADF, peer = -EBADF;
	struct err err = ERR_INIT;

	if (start(opts, &starter, &peer, &err) < 0) {
		(void)fprintf(stderr, "containerd-shim-reaper-v2: start: %s\n", err.text);
		return 1;
	}
	/* the last thing that is done: whoever is killed before it has answered nobody. One that
	 * has ended already cannot be told. */
	if (starter >= 0)
		(void)send(starter, "", 1, MSG_NOSIGNAL);
	else
		reserve_keep(peer, opts->id);
	return 0; /* the exit closes it */
}
