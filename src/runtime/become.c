#include "runtime/become.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <limits.h>
#include <linux/capability.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <sys/fsuid.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <unistd.h>
#include "base/cleanup.h"
#include "base/fd.h"
#include "base/file.h"
#include "base/num.h"
#include "base/str.h"
#include "confine/landlock.h"
#include "confine/lsm.h"
#include "confine/sched.h"
#include "runtime/command.h"
#include "runtime/init_state.h"
#include "runtime/namespaces.h"

/* ---- still root ---- */

/* Looks at files as the workload's user will, without losing the way back. */
static int as_user(const struct init *in, struct err *err)
{
	const struct confine_creds *c = &in->plan.creds;

	if (setgroups(c->n_groups, c->groups) < 0)
		return err_sysf(err, errno, "supplementary groups");
	(void)setfsgid(c->gid);
	(void)setfsuid(c->uid);
	return 0;
}

static void as_root(void)
{
	(void)setfsuid(0);
	(void)setfsgid(0);
}

/*
 * Not through the magic links of /proc: /proc/self/fd/N is a directory of the host as long as this
 * process holds one, and the workload would start outside of its view (CVE-2024-21626).
 */
static int enter_directory(const char *path)
{
	struct open_how how = {
		.flags = O_PATH | O_DIRECTORY | O_CLOEXEC, .resolve = RESOLVE_NO_MAGICLINKS};
	_cleanup_close_ int fd = (int)syscall(SYS_openat2, AT_FDCWD, path, &how, sizeof(how));

	return fd < 0 || fchdir(fd) < 0 ? -errno : 0;
}

static int step_cwd(struct init *in, struct err *err)
{
	const char *cwd = in->plan.cwd;
	int r = enter_directory(cwd);

	if (r == -EACCES) { /* root_squash: only the user may enter */
		r = as_user(in, err);
		if (r < 0)
			return r;
		r = enter_directory(cwd);
		if (r == -EACCES) {
			(void)command_denied(cwd, err);
			as_root();
			return err_wrapf(err, "working directory");
		}
		as_root();
	}
	if (r == -ELOOP)
		return err_setf(err, ERR_INVALID, ELOOP,
			"working directory %s: a loop of symbolic links, or a magic link of /proc",
			cwd);
	return r < 0 ? err_sysf(err, -r, "working directory %s", cwd) : 0;
}

static int step_session(struct init *in UNUSED, struct err *err)
{
	/* the child may lead a session already: nothing to do then */
	if (getsid(0) == getpid() || setsid() >= 0)
		return 0;
	return err_sysf(err, errno, "setsid");
}

static int step_keys(struct init *in UNUSED, struct err *err)
{
	return confine_new_keyring(err);
}

static bool is_null(int fd)
{
	struct stat st;

	return fstat(fd, &st) == 0 && S_ISCHR(st.st_mode) && st.st_rdev == makedev(1, 3);
}

static int open_null(struct err *err)
{
	/* O_NONBLOCK: the path is the view's, and might be a FIFO */
	_cleanup_close_ int null = open("/dev/null", O_RDWR | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);

	if (null < 0)
		return err_sysf(err, errno, "/dev/null of the view");
	if (!is_null(null))
		return err_setf(
			err, ERR_PRECONDITION, ENODEV, "/dev/null of the view is another file");
	/* workloads expect streams that block: ansible refuses others */
	if (fcntl(null, F_SETFL, 0) < 0)
		return err_sysf(err, errno, "/dev/null of the view");
	return TAKE_FD(null);
}

/*
 * The shim's /dev/null is a file of the host's /dev: through /proc/self/fd/0 the workload could
 * change its mode and owner. The one of the view takes its place (runc: reOpenDevNull).
 */
static int step_null(struct init *in UNUSED, struct err *err)
{
	_cleanup_close_ int null = -EBADF;

	for (int fd = 0; fd < 3; fd++) {
		if (!is_null(fd))
			continue;
		if (null < 0)
			null = open_null(err);
		if (null < 0)
			return null;
		if (dup2(null, fd) < 0)
			return err_sysf(err, errno, "/dev/null as descriptor %d", fd);
	}
	return 0;
}

static int step_terminal(struct init *in, struct err *err)
{
	const struct plan *p = &in->plan;
	int r;

	if (!p->terminal)
		return 0;
	r = terminal_open(p->creds.uid, p->console_width, p->console_height, !in->args->exec_id,
		in->proc_fd, &in->terminal, err);
	if (r == 0)
		r = terminal_take(&in->terminal, err);
	if (r < 0)
		return r;
	r = init_send(in, INIT_CONSOLE, NULL, in->terminal.master);
	if (r < 0)
		return err_sysf(err, -r, "handing the terminal over");
	terminal_done(&in->terminal);
	return 0;
}

/* /dev/stdout leads to the pipe's file, which the user can open again only if it is his. */
static int step_streams(struct init *in, struct err *err)
{
	for (int fd = 0; fd < 3 && !in->plan.terminal; fd++) {
		struct stat st;

		if (fstat(fd, &st) < 0 || !S_ISFIFO(st.st_mode) || st.st_uid == in->plan.creds.uid)
			continue;
		/* a FIFO on a file system that knows no owners is as good as it gets */
		if (fchown(fd, in->plan.creds.uid, st.st_gid) < 0 && errno != EPERM &&
			errno != EINVAL && errno != EROFS)
			return err_sysf(err, errno, "owner of descriptor %d", fd);
	}
	return 0;
}

/* Half of kernel.threads-max: what the kernel gave to pid 1. 0: not known. */
static uint64_t usual_processes(int proc_fd)
{
	_cleanup_free_ char *text = NULL;
	uint64_t threads = 0;

	if (file_read_at(proc_fd, "sys/kernel/threads-max", 64, &text, NULL, NULL) < 0)
		return 0;
	text[strcspn(text, "\n")] = '\0';
	return num_parse_u64(text, UINT32_MAX, &threads) < 0 ? 0 : threads / 2;
}

static int step_rlimits(struct init *in, struct err *err)
{
	const struct plan *p = &in->plan;
	int r = confine_rlimits_reset(p->rlimits, p->n_rlimits, usual_processes(in->proc_fd), err);

	return r < 0 ? r : confine_rlimits_apply(p->rlimits, p->n_rlimits, err);
}

static int step_scheduling(struct init *in, struct err *err)
{
	const struct plan *p = &in->plan;
	bool kept;
	int r = confine_cpus_apply(p->has_cpus_final ? &p->cpus_final : NULL, err);

	if (r < 0)
		return err_wrapf(err, "process.execCPUAffinity.final");
	r = confine_sched_apply(&p->sched, &kept, err);
	if (r == 0 && kept)
		init_note(in, "scheduling: what containerd's service has cannot be reset here, "
			      "keeping it");
	return r;
}

static int step_oom(struct init *in, struct err *err)
{
	bool refused; /* without CAP_SYS_RESOURCE it cannot be lowered: the nearest value stays */
	int r = confine_oom_score_adj(in->proc_fd, in->plan.oom_score_adj, &refused, err);

	if (r == 0 && refused)
		init_note(in,
			"process.oomScoreAdj: %d is lower than this node lets anybody go, keeping "
			"what it has",
			in->plan.oom_score_adj);
	return r;
}

static int step_labels(struct init *in, struct err *err)
{
	int r = 0;

	if (in->plan.apparmor)
		r = confine_apparmor_on_exec(in->proc_fd, in->plan.apparmor, err);
	if (r == 0 && in->plan.selinux)
		r = confine_selinux_on_exec(in->proc_fd, in->plan.selinux, err);
	return r;
}

/* The view's passwd, NULL if there is none. Another workload of the group may have put anything in
 * its place, a FIFO too. */
static char *read_passwd(void)
{
	_cleanup_close_ int fd = open("/etc/passwd", O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	char *text = NULL;
	struct stat st;

	if (fd < 0 || fstat(fd, &st) < 0 || !S_ISREG(st.st_mode))
		return NULL;
	if (file_read_fd(fd, "/etc/passwd", 8 << 20, &text, NULL, NULL) < 0)
		return NULL;
	return text;
}

/* HOME of a uid as the view's passwd has it, "/" if it is not in there: as runc. */
static int find_home(uid_t uid, char **ret_home)
{
	_cleanup_free_ char *text = read_passwd();
	char *rest = text;
	char *line;

	while ((line = strsep(&rest, "\n"))) {
		char *field[7] = {NULL};
		uint64_t id;

		for (size_t i = 0; i < ARRAY_LEN(field) && line; i++)
			field[i] = strsep(&line, ":");
		if (field[5] && *field[5] && num_parse_u64(field[2], UINT32_MAX, &id) == 0 &&
			id == uid)
			return str_dup(ret_home, field[5]);
	}
	return str_dup(ret_home, "/");
}

/* What login(1) would set, unless the pod's spec says otherwise. */
static int set_identity(char ***env, const struct identity *who)
{
	const struct {
		const char *name, *value;
	} table[] = {{"HOME", who->home}, {"USER", who->name}, {"LOGNAME", who->name},
		{"SHELL", str_empty(who->shell) ? "/bin/sh" : who->shell}};
	int r = 0;

	for (size_t i = 0; i < ARRAY_LEN(table) && r == 0; i++) {
		if (!str_empty(table[i].value) && !strv_env_get(*env, table[i].name))
			r = strv_env_set(env, table[i].name, table[i].value);
	}
	return r;
}

static int step_environment(struct init *in, struct err *err)
{
	_cleanup_free_ char *home = NULL;
	int r = strv_copy(&in->workload_env, in->plan.env);

	if (r == 0 && in->plan.identity)
		r = set_identity(&in->workload_env, in->plan.identity);
	if (r == 0 && !strv_env_get(in->workload_env, "HOME")) {
		r = find_home(in->plan.creds.uid, &home);
		if (r == 0)
			r = strv_env_set(&in->workload_env, "HOME", home);
	}
	return r < 0 ? err_sysf(err, -r, "environment") : 0;
}

static int step_command(struct init *in, struct err *err)
{
	int r = as_user(in, err);

	if (r < 0)
		return r;
	r = command_resolve(in->plan.args[0], in->workload_env, in->proc_fd, &in->command, err);
	as_root();
	if (r < 0)
		in->exit_status = command_exit_status(err);
	return r;
}

/*
 * The host's processes and abstract sockets stay out of reach for who shares these namespaces with
 * them; whoever may trace or administer has them anyway. A parent that can be seen is the shim.
 */
static int step_landlock(struct init *in, struct err *err)
{
	uint64_t caps = in->plan.caps.bounding | in->plan.caps.permitted;
	uint64_t admin = 1ULL << CAP_SYS_ADMIN, trace = 1ULL << CAP_SYS_PTRACE;
	bool pids = getppid() != 0 && !(caps & (admin | trace));
	bool sockets = namespaces_own_net(in->proc_fd) == in->host_net && !(caps & admin);
	int r = pids || sockets ? confine_landlock(pids, sockets, err) : 0;

	if (r == CONFINE_LANDLOCK_LESS)
		init_note(in,
			"this kernel's Landlock is too old to keep a pod with %s%s%s away from the "
			"host's %s: docs/SECURITY.md",
			pids ? "hostPID" : "", pids && sockets ? " and " : "",
			sockets ? "hostNetwork" : "",
			pids ? "processes and their files" : "abstract sockets");
	return r < 0 ? r : 0;
}

static int step_bounding_set(struct init *in, struct err *err)
{
	return confine_caps_bound(&in->plan.caps, err);
}

/*
 * Loads the filter; one that asks an agent goes on when the shim has given it the descriptor. The
 * filter is in force by then: nothing here may be a call that waits for an answer before the agent
 * can give one.
 */
static int load_seccomp(struct init *in, struct err *err)
{
	struct init_message msg = {.version = INIT_CONTRACT_VERSION, .type = INIT_LISTENER};
	int listener, r = confine_seccomp_load(&in->seccomp, &listener, err);
	char byte;

	if (r < 0 || listener < 0)
		return r;
	msg.err.errnum = listener;
	if (write(in->control, &msg, sizeof(msg)) != (ssize_t)sizeof(msg) ||
		read(in->control, &byte, 1) != 1 || byte != INIT_GO_ON)
		return err_setf(err, ERR_CANCELED, ECANCELED, "the shim is gone");
	return 0;
}

/* Without no_new_privs a filter may be loaded only by CAP_SYS_ADMIN: before it goes. */
static int step_seccomp_early(struct init *in, struct err *err)
{
	return in->plan.no_new_privs ? 0 : load_seccomp(in, err);
}

/* ---- the workload's user ---- */

static int step_credentials(struct init *in, struct err *err)
{
	return confine_creds_apply(&in->plan.creds, err);
}

static int step_capabilities(struct init *in, struct err *err)
{
	int r = confine_caps_apply(&in->plan.caps, err);

	/* the change of ids has set it to what fs.suid_dumpable says */
	if (r == 0 && prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0)
		return err_sysf(err, errno, "PR_SET_DUMPABLE");
	return r;
}

static int step_no_new_privs(struct init *in, struct err *err)
{
	return in->plan.no_new_privs ? confine_no_new_privs(err) : 0;
}

static int step_close(struct init *in UNUSED, struct err *err)
{
	int r = fd_cloexec_from(3);

	return r < 0 ? err_sysf(err, -r, "marking descriptors close-on-exec") : 0;
}

static int step_ready(struct init *in, struct err *err)
{
	int r = init_send(in, INIT_READY, NULL, -EBADF);

	return r < 0 ? err_sysf(err, -r, "reporting to the shim") : 0;
}

/* The order is checked by tests; the reasons: architecture, "What makes it fast and right". */
static const struct init_step steps[] = {
	{"session", step_session},
	{"working directory", step_cwd},
	{"keys", step_keys},
	{"null device", step_null},
	{"terminal", step_terminal},
	{"streams", step_streams},
	{"rlimits", step_rlimits},
	{"oom score", step_oom},
	{"scheduling", step_scheduling},
	{"labels", step_labels},
	{"environment", step_environment},
	{"command", step_command},
	{"landlock", step_landlock},
	{"bounding set", step_bounding_set},
	{"seccomp", step_seccomp_early},
	{"credentials", step_credentials},
	{"capabilities", step_capabilities},
	{"no new privileges", step_no_new_privs},
	{"descriptors", step_close},
	{"ready", step_ready},
};

int become_workload(struct init *in, struct err *err)
{
	int r = init_run_steps(in, steps, ARRAY_LEN(steps), err);

	if (r < 0)
		return r;
	r = init_await(in, INIT_GATE_OPEN, err);
	if (r <= 0)
		return r;
	/* with the rights of the workload, as runc runs them */
	r = init_run_hooks(in, OCI_HOOK_START_CONTAINER, err);
	if (r < 0)
		return r;
	/* last of all. A filter that forbids the control socket hides the reason when the exec
	   fails after it: the command was resolved above, so that little is left that can fail. */
	if (in->plan.no_new_privs) {
		r = load_seccomp(in, err);
		if (r < 0)
			return r;
	}
	(void)execve(in->command, in->plan.args,
		in->workload_env ? in->workload_env : (char *[]) {NULL});
	r = command_exec_error(errno, in->command, err);
	in->exit_status = command_exit_status(err);
	return r;
}
