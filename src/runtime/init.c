#include "runtime/init.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/fd.h"
#include "base/file.h"
#include "base/str.h"
#include "cgroup/devices.h"
#include "conf/annotations.h"
#include "confine/caps.h"
#include "confine/lsm.h"
#include "confine/sched.h"
#include "oci/init_contract.h"
#include "runtime/become.h"
#include "runtime/hooks.h"
#include "runtime/host_view.h"
#include "runtime/init_state.h"
#include "systemd/scope.h"

int init_send(const struct init *in, enum init_message_type type, const struct err *reason, int fd)
{
	return init_message_send(in->control, type, reason, fd);
}

void init_note(const struct init *in, const char *fmt, ...)
{
	struct err note = ERR_INIT;
	char text[ERR_TEXT_MAX];
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	(void)err_setf(&note, ERR_NONE, EIO, "%s", text);
	(void)init_send(in, INIT_NOTE, &note, -EBADF); /* a shim that is gone reads no log either */
}

int init_await(const struct init *in, char expected, struct err *err)
{
	char byte = 0;
	int fd = -EBADF;
	ssize_t n = fd_recv(in->control, &byte, 1, &fd);

	fd_close(&fd);
	if (n == 0 || n == -ECONNRESET)
		return 0;
	if (n < 0)
		return err_sysf(err, (int)-n, "waiting for the shim");
	if (byte != expected)
		return err_setf(err, ERR_INVALID, EBADMSG, "unknown message from the shim");
	return 1;
}

static void note_hook(void *arg, const char *text)
{
	init_note(arg, "%s", text);
}

int init_run_hooks(struct init *in, enum oci_hook_point point, struct err *err)
{
	const struct hooks_context context = {
		.spec = &in->loaded.spec,
		.id = in->args->id,
		.status = point == OCI_HOOK_START_CONTAINER ? "created" : "creating",
		.pid = getpid(),
		.bundle = HOOK_BUNDLE_PATH,
		.root = "/",
		.cwd = "/",
		.bundle_fd = in->hooks_bundle,
		.watch_fd = in->control,
		.note = note_hook,
		.note_arg = in,
	};

	return in->args->exec_id ? 0 : hooks_run(&context, point, err);
}

/* ---- steps, in the host's mount namespace ---- */

/* Nobody may look into this process or take its descriptors: some of them are the host's. */
static int step_guard(struct init *in, struct err *err)
{
	(void)umask(
		0022); /* not containerd's: mount points are made before the workload's is set */
	if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0)
		return err_sysf(err, errno, "PR_SET_DUMPABLE");
	if (fd_cloexec_from(3) < 0)
		return err_sysf(err, errno, "marking descriptors close-on-exec");
	in->proc_fd = confine_open_proc(err);
	if (in->proc_fd < 0)
		return in->proc_fd;
	in->host_net = namespaces_own_net(in->proc_fd);
	return 0;
}

/* The first thing: what follows is charged to the container. */
static int step_join_cgroup(struct init *in, struct err *err)
{
	int r = load_cgroup(&in->loaded, in->args->bundle, err);

	return r < 0 ? r : cgroup_attach_self(&in->loaded.cgroup, in->args->born_in_cgroup, err);
}

/* The same for a container's first process, which a scope is started with. */
static int step_make_cgroup(struct init *in, struct err *err)
{
	_cleanup_strv_ char **notes = NULL;
	_cleanup_free_ char *description = NULL;
	struct systemd_scope scope;
	int r = load_cgroup(&in->loaded, in->args->bundle, err);

	if (r < 0)
		return r;
	if (!in->loaded.unit || !in->loaded.slice)
		return cgroup_attach_self(&in->loaded.cgroup, in->args->born_in_cgroup, err);
	if (str_printf(&description, "reaper container %s", in->args->id) < 0)
		return err_sysf(err, ENOMEM, "scope");
	scope = (struct systemd_scope) {in->loaded.unit, in->loaded.slice, description};
	r = systemd_join_scope(&scope, &in->loaded.cgroup, &notes, err);
	for (size_t i = 0; r == 0 && notes && notes[i]; i++)
		init_note(in, "controller %s cannot be used here, continuing without it", notes[i]);
	return r;
}

static int step_load(struct init *in, struct err *err)
{
	int r = load_bundle(
		&in->loaded, in->args->bundle, in->args->ns, in->args->id, in->env, err);

	if (r == 0 && in->args->exec_id)
		r = load_exec_process(&in->loaded, INIT_FD_PROCESS, err);
	return r;
}

static int step_identity(struct init *in, struct err *err)
{
	return load_identity(&in->loaded, in->args->bundle, in->control, err);
}

/* Made where the real bundle is still to be seen. */
static int step_hooks_bundle(struct init *in, struct err *err)
{
	const struct oci_hooks *hooks = in->loaded.spec.hooks;
	_cleanup_free_ char *path = NULL, *text = NULL;
	size_t len;
	int r;

	if (hooks[OCI_HOOK_CREATE_CONTAINER].n == 0 && hooks[OCI_HOOK_START_CONTAINER].n == 0)
		return 0;
	if (str_printf(&path, "%s/config.json", in->args->bundle) < 0)
		return err_sysf(err, ENOMEM, "bundle for hooks");
	r = file_read_at(AT_FDCWD, path, OCI_CONFIG_MAX, &text, &len, err);
	if (r == 0)
		r = hooks_bundle(text, len, err);
	if (r >= 0)
		in->hooks_bundle = r;
	return r < 0 ? r : 0;
}

static void note_caps(const struct init *in, const char *member, uint64_t caps, const char *why)
{
	_cleanup_free_ char *names = NULL;

	if (caps && confine_caps_format(caps, &names) == 0)
		init_note(in, "%s: %s: %s, continuing without", member, names, why);
}

static int step_plan(struct init *in, struct err *err)
{
	struct plan_input input;
	int r = load_plan_input(&in->loaded, false, &input, err);

	if (r == 0)
		r = plan_make(&input, &in->plan, err);
	if (r < 0)
		return r;
	note_caps(in, "process.capabilities", in->plan.caps_missing, "nobody here has that");
	note_caps(in, "process.capabilities.ambient", in->plan.caps_not_raised,
		"the kernel takes only what is permitted and inheritable, too");
	return 0;
}

/* The process was born in its cgroup: there is no moment outside of it in which the CPUs of its
 * cpuset would not bind. */
static int step_first_cpus(struct init *in, UNUSED struct err *err)
{
	struct err reason = ERR_INIT;

	if (in->plan.has_cpus_initial && confine_cpus_apply(&in->plan.cpus_initial, &reason) < 0)
		init_note(in, "process.execCPUAffinity.initial: %s, continuing", reason.text);
	return 0;
}

/* What the kernel has taken, systemd is to leave alone. */
static int tell_systemd(struct init *in, struct err *err)
{
	return systemd_limit_scope(in->loaded.unit, &in->loaded.cgroup, &in->plan.resources.limits,
		clock_boot_usec() + SYSTEMD_SCOPE_SECONDS * USEC_PER_SEC, err);
}

static int step_limits(struct init *in, struct err *err)
{
	_cleanup_strv_ char **notes = NULL;
	int r = cgroup_limits_apply(&in->loaded.cgroup, &in->plan.resources.limits, &notes, err);

	if (r == 0 && in->loaded.unit)
		r = tell_systemd(in, err);
	for (size_t i = 0; r == 0 && notes && notes[i]; i++)
		init_note(in, "linux.resources: %s cannot be enforced here, continuing without it",
			notes[i]);
	return r;
}

/* Where the kernel cannot enforce device rules there is a second plan, in which nodes are dead. */
static int step_devices(struct init *in, struct err *err)
{
	struct plan_input input;
	struct plan second = PLAN_INIT;
	int r;

	if (!in->plan.devices_restricted)
		return 0;
	r = cgroup_devices_apply(
		&in->loaded.cgroup, in->plan.device_rules, in->plan.n_device_rules, err);
	if (r != -EOPNOTSUPP)
		return r;
	r = load_plan_input(&in->loaded, true, &input, err);
	if (r == 0)
		r = plan_make(&input, &second, err);
	if (r < 0)
		return r;
	plan_done(&in->plan);
	in->plan = second;
	return 0;
}

static int step_compile_seccomp(struct init *in, struct err *err)
{
	const char *json = in->plan.seccomp_json;

	if (!json)
		return 0;
	return confine_seccomp_get(
		in->loaded.layout.seccomp, json, strlen(json), &in->seccomp, NULL, err);
}

static int step_check_labels(struct init *in, struct err *err)
{
	struct confine_lsm lsm;

	confine_lsm_detect(&lsm);
	if (lsm.selinux && in->loaded.spec.mount_label && !in->args->exec_id)
		init_note(in,
			"linux.mountLabel: %.200s: the container's private file systems keep "
			"the label that the policy gives them",
			in->loaded.spec.mount_label);
	return confine_lsm_check(&lsm, in->plan.apparmor, in->plan.selinux, err);
}

/* Before anybody looks for a group: what is in the way is told. */
static int step_places(struct init *in, struct err *err)
{
	if (in->loaded.group.scope == STORE_GROUP_SEPARATE && in->loaded.settings.overlay_name)
		init_note(in,
			"REAPER_OVERLAY_TRUST=separate: the annotation " CONF_ANNOTATION_PREFIX
			"overlay-name does not count for a container with more rights");
	return store_layout_prepare(&in->loaded.layout, err);
}

static int step_open_sources(struct init *in, struct err *err)
{
	return mount_ops_open(&in->plan.ops, in->plan.reach != MOUNT_REACH_NONE, err);
}

static int step_namespaces(struct init *in, struct err *err)
{
	int r = namespaces_open(&in->plan, in->proc_fd, &in->namespaces, err);

	if (r == 0)
		r = namespaces_enter(&in->plan, &in->namespaces, err);
	if (r == 0)
		r = namespaces_configure(&in->plan, &in->namespaces, in->proc_fd, err);
	return r;
}

/* ---- the view ---- */

static int step_enter_view(struct init *in, struct err *err)
{
	_cleanup_close_ int groups = -EBADF;
	/* somebody may have collected the empty ones since */
	int r = store_layout_prepare(&in->loaded.layout, err);

	if (r < 0)
		return r;
	groups = open(in->loaded.layout.groups, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (groups < 0)
		return err_sysf(err, errno, "%s", in->loaded.layout.groups);
	r = mount_group_enter(&in->plan.group, in->proc_fd, err);
	/* from here on nobody takes it away */
	if (r == 0)
		r = store_group_record(groups, &in->loaded.group, err);
	if (r == 0)
		r = mount_share_clone(in->plan.reach, in->proc_fd, &in->share, err);
	return r;
}

static int step_mounts(struct init *in, struct err *err)
{
	return mount_ops_apply(&in->plan.ops, &in->share, in->proc_fd, err);
}

/* The last of them: no volume, and nothing that a hook has mounted, gets to the others. */
static int step_join_mounts(struct init *in, struct err *err)
{
	int r = mount_share_join(&in->share, in->proc_fd, err);

	if (r < 0 && err->kind == ERR_UNIMPLEMENTED) {
		init_note(in, "%s", err->text);
		r = 0;
	}
	if (in->plan.reach_refused)
		init_note(in, "mounts of the others in its group do not appear: device nodes in "
			      "them would be alive here");
	mount_share_done(&in->share);
	return r;
}

static int step_host_hooks(struct init *in, struct err *err)
{
	const struct oci_hooks *hooks = in->loaded.spec.hooks;
	int r;

	if (hooks[OCI_HOOK_PRESTART].n == 0 && hooks[OCI_HOOK_CREATE_RUNTIME].n == 0)
		return 0;
	r = init_send(in, INIT_PREPARED, NULL, -EBADF);
	if (r < 0)
		return err_sysf(err, -r, "reporting to the shim");
	r = init_await(in, INIT_GO_ON, err);
	return r == 0 ? err_setf(err, ERR_CANCELED, ECANCELED, "the shim is gone") : r;
}

static int step_container_hooks(struct init *in, struct err *err)
{
	return init_run_hooks(in, OCI_HOOK_CREATE_CONTAINER, err);
}

/* An exec: all namespaces of the container's first process (but pid, which the shim has joined). */
static int step_join_target(struct init *in UNUSED, struct err *err)
{
	int flags = CLONE_NEWNS | CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS | CLONE_NEWCGROUP;

	if (setns(INIT_FD_TARGET, flags) == 0)
		return 0;
	if (errno == ESRCH)
		return err_setf(err, ERR_PRECONDITION, ESRCH, "the container has ended");
	return err_sysf(err, errno, "joining the container's namespaces");
}

/* ---- the tables ---- */

static const struct init_step container_steps[] = {
	{"guard", step_guard},
	{"cgroup", step_make_cgroup},
	{"bundle", step_load},
	{"user", step_identity},
	{"bundle for hooks", step_hooks_bundle},
	{"plan", step_plan},
	{"limits", step_limits},
	{"devices", step_devices},
	{"seccomp profile", step_compile_seccomp},
	{"labels", step_check_labels},
	{"places", step_places},
	{"host view", host_view_prepare},
	{"volumes", step_open_sources},
	{"namespaces", step_namespaces},
	{"host view", step_enter_view},
	{"mounts", step_mounts},
	{"hooks of the runtime", step_host_hooks},
	{"hooks of the container", step_container_hooks},
	{"mounts of the group", step_join_mounts},
};

static const struct init_step exec_steps[] = {
	{"guard", step_guard},
	{"cgroup", step_join_cgroup},
	{"bundle", step_load},
	{"user", step_identity},
	{"plan", step_plan},
	{"first CPUs", step_first_cpus},
	{"seccomp profile", step_compile_seccomp},
	{"labels", step_check_labels},
	{"container", step_join_target},
};

int init_run_steps(struct init *in, const struct init_step *steps, size_t n, struct err *err)
{
	for (size_t i = 0; i < n; i++) {
		int r;

		*err = (struct err)ERR_INIT; /* what an earlier step could live with */
		r = steps[i].fn(in, err);
		if (r < 0 && err->kind == ERR_NONE) /* a step that did not say why */
			return err_sysf(err, -r, "%s", steps[i].name);
		if (r < 0)
			return r;
	}
	return 0;
}

static void init_done(struct init *in)
{
	namespaces_done(&in->namespaces);
	mount_share_done(&in->share);
	plan_done(&in->plan);
	loaded_done(&in->loaded);
	confine_seccomp_done(&in->seccomp);
	terminal_done(&in->terminal);
	fd_close(&in->proc_fd);
	fd_close(&in->hooks_bundle);
	free(in->command);
	in->command = NULL;
	in->workload_env = strv_free(in->workload_env);
}

int runtime_init(const struct init_args *args, char *const *env)
{
	_cleanup_(init_done) struct init in = INIT_INIT;
	struct err err = ERR_INIT;
	int r;

	in.args = args;
	in.env = env;
	in.control = INIT_FD_CONTROL;
	in.exit_status = INIT_EXIT_FAILED;
	if (args->exec_id)
		r = init_run_steps(&in, exec_steps, ARRAY_LEN(exec_steps), &err);
	else
		r = init_run_steps(&in, container_steps, ARRAY_LEN(container_steps), &err);
	if (r == 0)
		r = become_workload(&in, &err);
	if (r < 0) /* nobody to tell when the shim is gone, too */
		(void)init_send(&in, INIT_FAILED, &err, -EBADF);
	return r < 0 ? in.exit_status : 0;
}
