#include "runtime/run.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <unistd.h>
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/fd.h"
#include "base/proc.h"
#include "base/str.h"
#include "cgroup/kill.h"
#include "groups/groups.h"
#include "oci/init_contract.h"
#include "runtime/console.h"
#include "runtime/load.h"
#include "runtime/run_child.h"
#include "store/record.h"

enum { END_USEC = 10000000 }; /* how long the rest of a cgroup may take to die */

struct run {
	const char *id, *ns;
	void (*note)(const char *text);
	char *bundle; /* absolute, without symbolic links */
	int bundle_fd;
	bool recorded; /* the record is ours to remove */
	bool made;     /* the cgroup is ours to empty and remove */
	struct loaded loaded;
	struct run_child as; /* what our children are told */
	struct proc child;
	struct timespec created;
	int control, signals;
	struct console console;
	bool ready;  /* init got as far as its gate */
	bool failed; /* ended by us: its status says nothing */
	struct err failure;
};

#define RUN_INIT                                                                                   \
	{                                                                                          \
		.bundle_fd = -EBADF, .loaded = LOADED_INIT, .child = PROC_INIT, .control = -EBADF, \
		.signals = -EBADF, .console = CONSOLE_INIT, .failure = ERR_INIT,                   \
	}

/* ---- the bundle, its record and its cgroup ---- */

static int open_bundle(struct run *run, const struct run_args *args, struct err *err)
{
	run->bundle = realpath(args->bundle, NULL);
	if (!run->bundle)
		return err_sysf(err, errno, "bundle %s", args->bundle);
	run->id = args->id ? args->id : strrchr(run->bundle, '/') + 1;
	run->ns = args->ns ? args->ns : RUN_NAMESPACE;
	if (!str_is_identifier(run->id))
		return err_setf(err, ERR_INVALID, EINVAL,
			"bundle %s: its name is no identifier, give one with --id", run->bundle);
	run->bundle_fd = open(run->bundle, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (run->bundle_fd < 0)
		return err_sysf(err, errno, "bundle %s", run->bundle);
	run->as = (struct run_child) {
		.bundle = run->bundle, .id = run->id, .ns = run->ns, .pidns_fd = -EBADF};
	if (flock(run->bundle_fd, LOCK_EX | LOCK_NB) < 0) {
		if (errno != EWOULDBLOCK)
			return err_sysf(err, errno, "bundle %s: flock", run->bundle);
		return err_setf(err, ERR_EXISTS, EEXIST,
			"bundle %s: another reaper-runtime run is at work with it", run->bundle);
	}
	if (faccessat(run->bundle_fd, "address", F_OK, 0) == 0 ||
		faccessat(run->bundle_fd, "bootstrap.json", F_OK, 0) == 0)
		return err_setf(err, ERR_EXISTS, EEXIST,
			"bundle %s: belongs to containerd and is served by a shim", run->bundle);
	return 0;
}

/* A run that was killed cannot clean up; the next one of the same bundle does. */
static int end_former(const struct run *run, struct err *err)
{
	_cleanup_(store_record_done) struct store_record record = STORE_RECORD_INIT;
	_cleanup_(cgroup_done) struct cgroup cgroup = CGROUP_INIT;
	_cleanup_(proc_done) struct proc init = PROC_INIT;
	int r = store_record_read(run->bundle_fd, &record, err);

	if (r == -ENOENT)
		return 0;
	if (r < 0)
		return r;
	if (!record.exited && record.init_pid > 0 &&
		proc_open(record.init_pid, record.init_start_ticks, &init, NULL) == 0)
		(void)proc_signal(&init, SIGKILL);
	r = cgroup_from_strv(record.cgroups, &cgroup, err);
	if (r == 0)
		r = cgroup_kill_and_remove(&cgroup, clock_boot_usec() + END_USEC, err);
	if (r < 0)
		return err_wrapf(err, "bundle %s: what an earlier run left", run->bundle);
	return 0;
}

static int write_record(struct run *run, struct err *err)
{
	_cleanup_strv_ char **dirs = NULL;
	struct store_record record = STORE_RECORD_INIT;
	int r = cgroup_to_strv(&run->loaded.cgroup, &dirs);

	if (r < 0)
		return err_sysf(err, -r, "record");
	record.id = (char *)run->id; /* borrowed for the call */
	record.ns = (char *)run->ns;
	record.group = (char *)run->id;
	record.view = run->loaded.group.key;
	record.runtime_version = (char *)REAPER_VERSION;
	record.init_pid = run->child.pid;
	record.init_start_ticks = run->child.start_ticks;
	record.cgroups = dirs;
	record.created = run->created;
	run->recorded = true;
	return store_record_write(run->bundle_fd, &record, err);
}

static int make_cgroup(struct run *run, struct err *err)
{
	_cleanup_(cgroup_path_done) struct cgroup_path path = CGROUP_PATH_INIT;
	_cleanup_strv_ char **notes = NULL;
	struct cgroup *cgroup = &run->loaded.cgroup;
	int r = cgroup_path_parse(run->loaded.spec.cgroups_path, run->ns, run->id, &path, err);

	if (r < 0)
		return err_wrapf(err, "linux.cgroupsPath");
	r = cgroup_plan(&run->loaded.cgroup_host, &path, cgroup, err);
	if (r == 0)
		r = cgroup_is_empty(cgroup, err);
	if (r == 0)
		return err_setf(err, ERR_EXISTS, EEXIST,
			"linux.cgroupsPath %s: processes are in it already", path.path);
	if (r < 0)
		return r;
	/* on disk before it exists: see end_former */
	r = write_record(run, err);
	if (r == 0)
		r = cgroup_create(cgroup, &notes, err);
	if (r < 0)
		return err_wrapf(err, "cgroup");
	run->made = true;
	for (size_t i = 0; notes && notes[i]; i++) {
		struct err text = ERR_INIT;

		(void)err_setf(&text, ERR_NONE, ENOTSUP,
			"cgroup: controller %s cannot be used here, continuing without it",
			notes[i]);
		run->note(text.text);
	}
	return 0;
}

/* ---- the child ---- */

/* Signals wait in a descriptor from here on; the child has them at their defaults. */
static int hold_signals(struct run *run, struct err *err)
{
	sigset_t set;

	(void)sigfillset(&set);
	/* job control of the caller's shell stays with this process; broken pipes are answers */
	(void)sigdelset(&set, SIGTSTP);
	(void)sigdelset(&set, SIGTTIN);
	(void)sigdelset(&set, SIGTTOU);
	if (sigprocmask(SIG_SETMASK, &set, NULL) < 0)
		return err_sysf(err, errno, "sigprocmask");
	run->signals = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	return run->signals < 0 ? err_sysf(err, errno, "signalfd") : 0;
}

static int open_pidns(struct run *run, int *ret_fd, struct err *err)
{
	const struct oci_namespace *ns = oci_spec_namespace(&run->loaded.spec, OCI_NS_PID);

	if (!ns || (run->loaded.settings.host_namespaces & HOST_NS_PID))
		return 0;
	run->as.new_pidns = !ns->path;
	if (!ns->path)
		return 0;
	*ret_fd = open(ns->path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	return *ret_fd < 0 ? err_sysf(err, errno, "pid namespace %s", ns->path) : 0;
}

static int spawn(struct run *run, struct err *err)
{
	static const int own[] = {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO};
	_cleanup_close_ int pidns = -EBADF;
	int r = open_pidns(run, &pidns, err);

	if (r < 0)
		return r;
	run->as.pidns_fd = pidns;
	run->as.stdio = run->loaded.spec.process.terminal ? NULL : own;
	r = run_child_init(&run->as, &run->child, &run->control, err);
	return r < 0 ? r : write_record(run, err);
}

/* Those of a stage that the spec has any for; how it fails is how the start fails. */
static int run_stage(struct run *run, const char *stage, pid_t pid, struct err *err)
{
	return run_child_hooks(&run->as, stage, pid, run->signals, run->note, err);
}

static bool has_hooks(const struct run *run, enum oci_hook_point point)
{
	return run->loaded.spec.hooks[point].n > 0;
}

static void give_up(struct run *run)
{
	run->failed = true;
	(void)proc_signal(&run->child, SIGKILL); /* ended by itself: as good */
}

/* ---- until its end ---- */

/* A byte that init waits for; one that has died meanwhile says so by its end. */
static void send_byte(struct run *run, char byte)
{
	(void)fd_send(run->control, &byte, 1, -EBADF);
}

static void on_message(struct run *run, const struct init_message *msg, int *fd)
{
	struct err *failure = &run->failure;

	switch (msg->version == INIT_CONTRACT_VERSION ? msg->type : 0) {
	case INIT_CONSOLE:
		if (console_open(&run->console, TAKE_FD(*fd), failure) < 0)
			give_up(run);
		return;
	case INIT_PREPARED:
		if (run_stage(run, HOOK_STAGE_CREATE, run->child.pid, failure) < 0)
			give_up(run);
		else
			send_byte(run, INIT_GO_ON);
		return;
	case INIT_READY:
		run->ready = true;
		send_byte(run, INIT_GATE_OPEN);
		return;
	case INIT_FAILED:
		run->failure = msg->err;
		return;
	case INIT_NOTE:
		run->note(msg->err.text);
		return;
	case INIT_LISTENER: /* its seccomp filter asks an agent, and waits for one */
		(void)err_setf(failure, ERR_UNIMPLEMENTED, ENOSYS,
			"linux.seccomp: SCMP_ACT_NOTIFY: the agent at listenerPath is told by the "
			"shim, not by run");
		give_up(run);
		return;
	default:
		(void)err_setf(failure, ERR_INTERNAL, EBADMSG, "unknown message from init");
		give_up(run);
	}
}

static bool has_failed(const struct run *run)
{
	return run->failure.kind != ERR_NONE || run->failure.errnum != 0;
}

/* End of file: the program runs, or there will be none. */
static void on_control_end(struct run *run)
{
	fd_close(&run->control);
	if (!run->ready || has_failed(run) || !has_hooks(run, OCI_HOOK_POSTSTART))
		return;
	if (run_stage(run, HOOK_STAGE_POSTSTART, run->child.pid, &run->failure) < 0)
		give_up(run);
}

static void read_control(struct run *run)
{
	while (run->control >= 0) {
		struct init_message msg;
		int fd = -EBADF;
		ssize_t n = fd_recv(run->control, &msg, sizeof(msg), &fd);

		if (n == (ssize_t)sizeof(msg)) {
			msg.err.text[sizeof(msg.err.text) - 1] = '\0';
			on_message(run, &msg, &fd);
		}
		fd_close(&fd);
		if (n == -EAGAIN)
			return;
		if (n != (ssize_t)sizeof(msg))
			on_control_end(run);
	}
}

static void forward_signals(struct run *run)
{
	struct signalfd_siginfo info;

	while (read(run->signals, &info, sizeof(info)) == (ssize_t)sizeof(info)) {
		if (info.ssi_signo == SIGCHLD || info.ssi_signo == SIGPIPE)
			continue;
		if (info.ssi_signo == SIGWINCH && run->console.raw)
			console_resize(&run->console);
		else
			(void)proc_signal(&run->child, (int)info.ssi_signo); /* ended: as good */
	}
}

/* 1 when the child has ended. */
static int wait_a_turn(struct run *run, uint32_t *ret_status, struct err *err)
{
	struct pollfd polls[3 + CONSOLE_POLLS] = {
		{.fd = run->child.pidfd, .events = POLLIN},
		{.fd = run->control, .events = POLLIN},
		{.fd = run->signals, .events = POLLIN},
	};
	int r;

	console_polls(&run->console, polls + 3);
	if (poll(polls, ARRAY_LEN(polls), -1) < 0)
		return errno == EINTR ? 0 : err_sysf(err, errno, "poll");
	if (polls[2].revents)
		forward_signals(run);
	console_move(&run->console, polls + 3);
	if (polls[1].revents || polls[0].revents)
		read_control(run);
	if (!polls[0].revents)
		return 0;
	r = proc_reap(&run->child, ret_status);
	return r < 0 ? err_sysf(err, -r, "reaping the workload") : r;
}

static int sweep(const struct run *run, struct err *err)
{
	const struct loaded *l = &run->loaded;
	_cleanup_strv_ char **sources = NULL;

	if (groups_swept_volumes(&l->spec, &l->settings, &l->group, &sources) < 0)
		return err_sysf(err, ENOMEM, "volumes");
	return groups_sweep(&l->layout, l->group.key, sources, err);
}

/* Whether somebody wants `run` itself to end. */
static bool is_asked_to_end(struct run *run)
{
	struct signalfd_siginfo info;
	bool asked = false;

	while (read(run->signals, &info, sizeof(info)) == (ssize_t)sizeof(info))
		asked = asked || info.ssi_signo == SIGTERM || info.ssi_signo == SIGINT ||
			info.ssi_signo == SIGHUP || info.ssi_signo == SIGQUIT;
	return asked;
}

/* False: the time is over, or nobody wants to wait any more. */
static bool wait_for_end(struct run *run, const struct proc *p, uint64_t deadline)
{
	struct pollfd polls[] = {
		{.fd = p->pidfd, .events = POLLIN}, {.fd = run->signals, .events = POLLIN}};

	while (!polls[0].revents) {
		uint64_t now = clock_boot_usec();

		if (now >= deadline ||
			(poll(polls, ARRAY_LEN(polls), (int)((deadline - now) / 1000U) + 1) < 0 &&
				errno != EINTR))
			return false;
		if (polls[1].revents && is_asked_to_end(run))
			return false;
	}
	return true;
}

/* REAPER_EXIT_GRACE: SIGTERM and some time for those that have outlived the workload. */
static void ask_nicely(struct run *run)
{
	uint64_t deadline = clock_boot_usec() + run->loaded.settings.exit_grace_ms * 1000U;
	_cleanup_free_ pid_t *pids = NULL;
	struct proc *asked = NULL;
	size_t n = 0;

	if (run->loaded.settings.exit_grace_ms == 0 ||
		cgroup_pids(&run->loaded.cgroup, &pids, &n, NULL) < 0)
		return;
	asked = calloc(n + 1, sizeof(*asked));
	for (size_t i = 0; asked && i < n; i++) {
		asked[i] = (struct proc) {.pid = pids[i], .pidfd = pidfd_open(pids[i], 0)};
		(void)proc_signal(&asked[i], SIGTERM); /* gone: as good */
	}
	for (size_t i = 0; asked && i < n; i++) {
		if (asked[i].pidfd >= 0 && !wait_for_end(run, &asked[i], deadline))
			break; /* clean_up() kills */
	}
	(void)cgroup_members_free(asked, asked ? n : 0);
}

/* What must not stay: everybody else in the cgroup, the cgroup, the record. */
static int clean_up(struct run *run, struct err *err)
{
	uint32_t status;
	int r = 0;

	if (run->child.pidfd >= 0 && proc_signal(&run->child, SIGKILL) == 0)
		(void)proc_wait(&run->child, &status);
	proc_done(&run->child);
	if (run->made)
		r = cgroup_kill_and_remove(&run->loaded.cgroup, clock_boot_usec() + END_USEC, err);
	if (run->recorded)
		(void)unlinkat(run->bundle_fd, IDENTITY_FILE, 0);
	if (r == 0 && run->loaded.group.key)
		r = sweep(run, err);
	if (r == 0 && run->loaded.group.key && store_group_is_of_pod(run->loaded.group.key)) {
		r = groups_remove(&run->loaded.layout, run->loaded.group.key, err);
		r = r > 0 ? 0 : r;
	}
	if (run->recorded && r == 0 && unlinkat(run->bundle_fd, STORE_RECORD_NAME, 0) < 0 &&
		errno != ENOENT)
		r = err_sysf(err, errno, "%s/%s", run->bundle, STORE_RECORD_NAME);
	return r;
}

static void run_done(struct run *run)
{
	console_done(&run->console);
	fd_close(&run->control);
	fd_close(&run->signals);
	loaded_done(&run->loaded);
	fd_close(&run->bundle_fd);
	free(run->bundle);
	run->bundle = NULL;
}

static int prepare(struct run *run, const struct run_args *args, char *const *env, struct err *err)
{
	int r = open_bundle(run, args, err);

	if (r == 0)
		r = load_bundle(&run->loaded, run->bundle, run->ns, run->id, env, err);
	for (size_t i = 0;
		r == 0 && run->loaded.settings.warnings && run->loaded.settings.warnings[i]; i++)
		run->note(run->loaded.settings.warnings[i]);
	if (r == 0)
		r = end_former(run, err);
	if (r == 0)
		r = hold_signals(run, err);
	if (r == 0)
		r = make_cgroup(run, err);
	return r;
}

int runtime_run(const struct run_args *args, char *const *env, void (*note)(const char *text),
	int *ret_status, struct err *err)
{
	_cleanup_(run_done) struct run run = RUN_INIT;
	struct err trouble = ERR_INIT;
	uint32_t status = INIT_EXIT_FAILED;
	int r;

	run.note = note;
	run.created = clock_wall();
	*ret_status = INIT_EXIT_FAILED;
	/* its descriptors are the host's: nobody's to look at, as init's */
	if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0)
		return err_sysf(err, errno, "PR_SET_DUMPABLE");
	r = prepare(&run, args, env, err);
	if (r == 0)
		r = spawn(&run, err);
	while (r == 0)
		r = wait_a_turn(&run, &status, err);
	if (r > 0)
		ask_nicely(&run);
	if (clean_up(&run, &trouble) < 0)
		note(trouble.text);
	console_finish(&run.console);
	if (run.recorded && has_hooks(&run, OCI_HOOK_POSTSTOP) &&
		run_stage(&run, HOOK_STAGE_POSTSTOP, 0, &trouble) < 0)
		note(trouble.text);
	if (r < 0)
		return r;
	*ret_status = run.failed ? INIT_EXIT_FAILED : (int)status;
	if (!has_failed(&run))
		return 0;
	*err = run.failure;
	return -(run.failure.errnum ? run.failure.errnum : EIO);
}
