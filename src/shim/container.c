#include "shim/container.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/fd.h"
#include "base/file.h"
#include "base/log.h"
#include "base/str.h"
#include "cgroup/freeze.h"
#include "cgroup/kill.h"
#include "conf/settings.h"
#include "groups/groups.h"
#include "shim/answers.h"
#include "shim/container_end.h"
#include "shim/container_hooks.h"
#include "shim/exec_tree.h"
#include "shim/history.h"
#include "shim/runtime_client.h"
#include "sandbox/spawn.h"
#include "shim/scope.h"
#include "shim/shim.h"
#include "shim/waiters.h"

enum {
	CONTAINERS_MAX = 1024, /* of one pod */
	EXECS_MAX = 4096,      /* registered in one container */
};

struct container *container_free(struct container *c)
{
	if (!c)
		return NULL;
	while (!list_empty(&c->execs)) {
		struct process *exec = list_entry(c->execs.next, struct process, node);

		process_done(exec);
		free(exec);
	}
	hooks_cancel(&c->hooks);
	process_done(&c->init);
	ending_cancel(&c->ending);
	scope_cancel(c->scope_job);
	oom_cancel(c);
	pause_cancel(c);
	update_cancel(c);
	event_timer_clear(&c->limit);
	event_timer_clear(&c->again);
	list_remove(&c->node);
	cgroup_done(&c->cgroup);
	if (c->recorder)
		recorder_done(c->recorder);
	free(c->recorder);
	free(c->id);
	free(c->bundle);
	free(c->group);
	free(c->rootfs);
	free(c->view);
	free(c->snapshot);
	(void)strv_free(c->swept);
	free(c->unit);
	free(c->slice);
	free(c);
	return NULL;
}

static void container_freep(struct container **c)
{
	*c = container_free(*c);
}

static int container_new(struct shim *shim, const struct container_request *request,
	struct container **ret_c, struct err *err)
{
	_cleanup_(container_freep) struct container *c = calloc(1, sizeof(*c));

	if (!c)
		return err_sysf(err, ENOMEM, "container");
	c->shim = shim;
	c->audience = request->audience;
	list_init(&c->node);
	list_init(&c->execs);
	list_init(&c->deleters);
	c->hooks = (struct hooks)HOOKS_INIT;
	c->oom = (struct oom)OOM_INIT;
	pause_init(&c->pause);
	update_init(&c->update);
	c->created = clock_wall();
	if (process_init(&c->init, c, NULL) < 0 || str_dup(&c->id, request->id) < 0 ||
		str_dup(&c->bundle, request->bundle) < 0)
		return err_sysf(err, ENOMEM, "container");
	*ret_c = TAKE_PTR(c);
	return 0;
}

static int make_cgroup(struct container *c, const struct oci_spec *spec, struct err *err)
{
	_cleanup_(cgroup_path_done) struct cgroup_path path = CGROUP_PATH_INIT;
	_cleanup_strv_ char **notes = NULL;
	int r;

	r = cgroup_path_parse(spec->cgroups_path, c->shim->ns, c->id, &path, err);
	if (r < 0)
		return err_wrapf(err, "linux.cgroupsPath");
	r = cgroup_plan(&c->shim->cgroup_host, &path, &c->cgroup, err);
	if (r < 0)
		return r;
	/* looked at before it is recorded as ours: everything in what is ours gets killed */
	r = cgroup_is_empty(&c->cgroup, err);
	if (r == 0)
		r = err_setf(err, ERR_EXISTS, EEXIST,
			"linux.cgroupsPath %s: processes are in it already", path.path);
	if (r < 0) {
		cgroup_done(&c->cgroup);
		return r;
	}
	if (path.unit && str_has_suffix(path.unit, ".scope") && systemd_runs()) {
		c->unit = TAKE_PTR(path.unit);
		c->slice = TAKE_PTR(path.slice);
		r = cgroup_delegate(&c->cgroup, err);
		if (r < 0)
			return r;
	}
	/* on disk before it exists: a shim that is killed in between leaves nothing that `delete`
	 * does not know */
	r = container_record(c, err);
	if (r < 0 || c->unit) /* a scope is started with a process in it: the child does that */
		return r;
	r = cgroup_create(&c->cgroup, &notes, err);
	for (size_t i = 0; r == 0 && notes && notes[i]; i++)
		log_warn("container %s: controller %s cannot be used here, continuing without it",
			c->id, notes[i]);
	if (r < 0) {
		cgroup_done(&c->cgroup); /* what was made is gone again, the rest is not ours */
		return err_wrapf(err, "cgroup");
	}
	return 0;
}

/* The pid namespace that the first process is born in. */
static int choose_pidns(struct container *c, const struct oci_spec *spec, unsigned host_namespaces,
	int *ret_fd, struct err *err)
{
	const struct oci_namespace *ns = oci_spec_namespace(spec, OCI_NS_PID);

	*ret_fd = -EBADF;
	if (!ns || (host_namespaces & HOST_NS_PID))
		return 0;
	if (!ns->path) {
		c->pidns_own = true;
		return 0;
	}
	*ret_fd = open(ns->path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	if (*ret_fd < 0)
		return err_sysf(err, errno, "pid namespace %s", ns->path);
	c->pidns_joined = true;
	return 0;
}

/* A cgroup v2 directory that refuses a birth (a threaded or delegated tree) may still be joined by
 * init itself. */
static int spawn_runtime(const struct cgroup *cgroup, struct runtime_child *child,
	struct proc *ret_proc, int *ret_control, struct err *err)
{
	int r;

	if (cgroup_freezes_births(cgroup))
		return err_setf(err, ERR_PRECONDITION, EBUSY,
			"container %s: its cgroup is frozen, nothing can be started in it",
			child->id);
	r = runtime_spawn(child, ret_proc, ret_control, err);
	if (child->cgroup_fd >= 0 &&
		(r == -EBUSY || r == -EOPNOTSUPP || r == -EACCES || r == -EPERM)) {
		child->cgroup_fd = -EBADF;
		r = runtime_spawn(child, ret_proc, ret_control, err);
	}
	return r;
}

static int spawn_init(struct container *c, const struct oci_spec *spec, unsigned host_namespaces,
	const int child_fds[3], struct proc *ret_proc, int *ret_control, struct err *err)
{
	_cleanup_close_ int pidns_fd = -EBADF, cgroup_fd = -EBADF;
	const struct systemd_scope scope = {c->unit, c->slice, c->id};
	struct runtime_child child = {.runtime_fd = c->shim->runtime_fd,
		.bundle = c->bundle,
		.id = c->id,
		.ns = c->shim->ns,
		.target_pidfd = -EBADF,
		.process_fd = -EBADF,
		.stdio = {child_fds[0], child_fds[1], child_fds[2]}};
	int r;

	if (c->type == OCI_TYPE_SANDBOX) {
		const struct oci_namespace *pidns = oci_spec_namespace(spec, OCI_NS_PID);

		c->pidns_own = pidns && !pidns->path && !(host_namespaces & HOST_NS_PID);
		return sandbox_spawn(c->id, spec, &c->cgroup, c->unit ? &scope : NULL,
			host_namespaces, ret_proc, ret_control, err);
	}
	if (child.runtime_fd < 0) {
		*err = c->shim->runtime_error;
		return err->errnum ? -err->errnum : -ENOENT;
	}
	r = choose_pidns(c, spec, host_namespaces, &pidns_fd, err);
	if (r < 0)
		return r;
	cgroup_fd = cgroup_open_v2(&c->cgroup);
	child.new_pidns = c->pidns_own;
	child.pidns_fd = pidns_fd;
	child.cgroup_fd = cgroup_fd;
	return spawn_runtime(&c->cgroup, &child, ret_proc, ret_control, err);
}

/* Which group it belongs to, for its record and for the pod's end. */
static int choose_view(struct container *c, const struct oci_spec *spec,
	const struct settings *settings, const char *snapshot, struct err *err)
{
	_cleanup_(store_layout_done) struct store_layout layout = STORE_LAYOUT_INIT;
	_cleanup_(store_group_done) struct store_group group = STORE_GROUP_INIT;
	int r = store_layout_init(&layout, NULL, settings->overlay_base, err);

	if (r == 0)
		r = groups_choose(spec, settings, &layout, c->shim->ns, c->id,
			groups_is_powerful(spec, settings), &group, err);
	if (r < 0)
		return r;
	if (groups_swept_volumes(spec, settings, &group, &c->swept) < 0)
		return err_sysf(err, ENOMEM, "container");
	if (groups_use_snapshot(settings, &group, snapshot, c->shim->home) &&
		str_dup(&c->snapshot, snapshot) < 0)
		return err_sysf(err, ENOMEM, "container");
	c->view = TAKE_PTR(group.key);
	history_begin(c, spec, settings, group.base_dir);
	if (!store_group_is_of_pod(c->view) || strv_has(c->shim->views, c->view))
		return 0;
	return strv_append(&c->shim->views, c->view) < 0 ? err_sysf(err, ENOMEM, "container") : 0;
}

static int load_settings(struct container *c, const struct oci_spec *spec, const char *snapshot,
	unsigned *ret_host, struct err *err)
{
	_cleanup_(settings_done) struct settings settings = SETTINGS_INIT;
	int r = settings_load(
		NULL, environ, spec->annotations.v, spec->annotations.n, &settings, err);

	if (r < 0)
		return r;
	for (size_t i = 0; settings.warnings && settings.warnings[i]; i++)
		log_warn("%s", settings.warnings[i]);
	if (!log_enabled(settings.log_level)) /* containerd's own -debug is never turned down */
		log_open(c->shim->log_fd, settings.log_level, SHIM_LOG_NAME);
	*ret_host = settings.host_namespaces;
	c->exit_grace_ms = settings.exit_grace_ms;
	if (c->type != OCI_TYPE_SANDBOX)
		return choose_view(c, spec, &settings, snapshot, err);
	history_begin(c, spec, &settings, NULL);
	if (snapshot && !c->shim->home && str_dup(&c->shim->home, snapshot) < 0)
		return err_sysf(err, ENOMEM, "container");
	return 0;
}

/* Everything between an empty struct and a child that prepares itself. What is half done on error
 * is container_undo's, or, with a child that lives already, its end's. */
static int begin(struct container *c, const struct container_request *request,
	const struct oci_spec *spec, struct err *err)
{
	struct proc child = PROC_INIT;
	int child_fds[3] = {-EBADF, -EBADF, -EBADF}, control = -EBADF, r;
	const char *group;
	unsigned host_namespaces = 0;

	c->type = request->sandbox ? OCI_TYPE_SANDBOX : oci_container_type(&spec->annotations);
	r = oci_group_key(&spec->annotations, c->id, &group, err);
	if (r < 0)
		return r;
	if (str_dup(&c->group, group) < 0)
		return err_sysf(err, ENOMEM, "container");
	r = container_hooks_init(c, spec, err);
	if (r == 0)
		r = load_settings(c, spec, request->snapshot, &host_namespaces, err);
	if (r < 0)
		return r;
	r = make_cgroup(c, spec, err);
	if (r < 0)
		return r;
	r = process_open_stdio(&c->init, &request->stdio, child_fds, err);
	if (r < 0)
		return r;
	r = spawn_init(c, spec, host_namespaces, child_fds, &child, &control, err);
	for (int i = 0; i < 3; i++)
		fd_close(&child_fds[i]);
	if (r < 0)
		return r;
	process_adopt_child(&c->init, &child, control);
	return container_record(c, err);
}

int container_create(struct shim *shim, const struct container_request *request,
	struct ttrpc_call *call, struct container **ret_container, struct err *err)
{
	_cleanup_(container_freep) struct container *c = NULL;
	_cleanup_(oci_spec_done) struct oci_spec spec = OCI_SPEC_INIT;
	int r;

	if (!str_is_identifier(request->id))
		return err_setf(
			err, ERR_INVALID, EINVAL, "id %.100s: not an identifier", request->id);
	if (request->bundle[0] != '/')
		return err_setf(err, ERR_INVALID, EINVAL, "bundle %.200s: not an absolute path",
			request->bundle);
	if (shim_any_container(shim, request->id)) /* in whatever state, and while it is deleted */
		return err_setf(
			err, ERR_EXISTS, EEXIST, "container %s: already exists", request->id);
	if (list_length(&shim->containers) >= CONTAINERS_MAX)
		return err_setf(err, ERR_EXHAUSTED, ENOSPC,
			"container %s: %d containers are here already", request->id,
			CONTAINERS_MAX);
	r = container_new(shim, request, &c, err);
	if (r < 0)
		return r;
	r = request->sandbox ? 0 : oci_spec_load(request->bundle, &spec, err);
	if (r == 0)
		r = begin(c, request, request->sandbox ? request->sandbox : &spec, err);
	if (r < 0 && process_alive(&c->init)) { /* the caller hears of it when it is reaped */
		process_fail(&c->init, err);
	} else if (r < 0) {
		container_undo(c);
		history_refused(c, err); /* before it is told which: a record has the id */
		return err_wrapf(err, "creating container %s", request->id);
	}
	c->creating = true;
	list_append(&shim->containers, &c->node);
	(void)waiters_add(&c->init.starters, call);
	*ret_container = TAKE_PTR(c);
	return 0;
}

int container_process(
	struct container *c, const char *exec_id, struct process **ret_process, struct err *err)
{
	struct list *pos;

	if (str_empty(exec_id)) {
		*ret_process = &c->init;
		return 0;
	}
	list_for_each (pos, &c->execs) {
		struct process *p = list_entry(pos, struct process, node);

		if (str_eq(p->exec_id, exec_id)) {
			*ret_process = p;
			return 0;
		}
	}
	return err_setf(err, ERR_NOT_FOUND, ESRCH, "exec %.100s of container %s", exec_id, c->id);
}

/* The process object as it will be run: whether it has a terminal is what the request says, not the
 * JSON. */
static int exec_spec(const char *text, size_t len, bool terminal, char **ret_json, struct err *err)
{
	_cleanup_(oci_process_done) struct oci_process check = OCI_PROCESS_INIT;
	_cleanup_json_ struct json_ref root = {0};
	int r = oci_process_parse(text, len, &check, err);

	if (r < 0)
		return r;
	r = json_parse(text, len, "exec spec", &root, err);
	if (r < 0)
		return r;
	if (json_put_bool(root.value, "terminal", terminal) < 0 ||
		json_write(root.value, JSON_COMPACT, ret_json, NULL) < 0)
		return err_sysf(err, ENOMEM, "exec spec");
	return 0;
}

int container_add_exec(struct container *c, const char *exec_id, const struct stdio_paths *stdio,
	const char *spec_json, size_t spec_len, struct err *err)
{
	_cleanup_free_ char *json = NULL;
	struct process *p, *other;
	char name[256];
	int r;

	if (!str_is_identifier(exec_id))
		return err_setf(
			err, ERR_INVALID, EINVAL, "exec id %.100s: not an identifier", exec_id);
	if (container_process(c, exec_id, &other, NULL) == 0)
		return err_setf(err, ERR_EXISTS, EEXIST, "exec %s of container %s: already exists",
			exec_id, c->id);
	if (c->type == OCI_TYPE_SANDBOX)
		return err_setf(err, ERR_PRECONDITION, EPERM,
			"container %s is a pod's sandbox: nothing can be run in it", c->id);
	if (list_length(&c->execs) >= EXECS_MAX)
		return err_setf(err, ERR_EXHAUSTED, ENOSPC,
			"exec %s of container %s: %d are registered already", exec_id, c->id,
			EXECS_MAX);
	r = lifecycle_allows(
		c->init.state, CALL_EXEC, process_name(&c->init, name, sizeof(name)), err);
	if (r == 0)
		r = exec_spec(spec_json, spec_len, stdio->terminal, &json, err);
	if (r < 0)
		return r;
	p = calloc(1, sizeof(*p));
	if (!p)
		return err_sysf(err, ENOMEM, "exec %s", exec_id);
	r = process_init(p, c, exec_id);
	if (r == 0)
		r = process_keep_paths(p, stdio);
	if (r < 0) {
		process_done(p);
		free(p);
		return err_sysf(err, -r, "exec %s", exec_id);
	}
	p->spec_json = TAKE_PTR(json);
	list_append(&c->execs, &p->node);
	answer_exec_added_event(p);
	return 0;
}

/* The process object for the child, in a file that nobody else sees. */
static int spec_memfd(const struct process *p, struct err *err)
{
	_cleanup_close_ int fd = memfd_create("process", MFD_CLOEXEC);
	size_t len = strlen(p->spec_json);
	int r;

	if (fd < 0)
		return err_sysf(err, errno, "memfd");
	r = file_write_all(fd, p->spec_json, len);
	if (r < 0 || lseek(fd, 0, SEEK_SET) < 0)
		return err_sysf(err, r < 0 ? -r : errno, "memfd");
	return TAKE_FD(fd);
}

static int spawn_exec(
	struct container *c, struct process *p, const int child_fds[3], struct err *err)
{
	_cleanup_close_ int spec_fd = spec_memfd(p, err), cgroup_fd = -EBADF;
	struct runtime_child child = {.runtime_fd = c->shim->runtime_fd,
		.bundle = c->bundle,
		.id = c->id,
		.ns = c->shim->ns,
		.exec_id = p->exec_id,
		.target_pidfd = c->init.proc.pidfd,
		.stdio = {child_fds[0], child_fds[1], child_fds[2]}};
	struct proc proc = PROC_INIT;
	int control = -EBADF, r;

	if (spec_fd < 0)
		return spec_fd;
	cgroup_fd = cgroup_open_v2(&c->cgroup);
	child.process_fd = spec_fd;
	child.cgroup_fd = cgroup_fd;
	child.pidns_fd = c->pidns_own || c->pidns_joined ? c->init.proc.pidfd : -EBADF;
	r = spawn_runtime(&c->cgroup, &child, &proc, &control, err);
	if (r == 0)
		process_adopt_child(p, &proc, control);
	return r;
}

static int start_exec(struct container *c, struct process *p, struct err *err)
{
	const struct stdio_paths paths = {.in = p->stdin_path,
		.out = p->stdout_path,
		.err = p->stderr_path,
		.terminal = p->terminal};
	struct err why = ERR_INIT;
	int child_fds[3], r;
	char name[256];

	r = lifecycle_allows(
		c->init.state, CALL_EXEC_START, process_name(&c->init, name, sizeof(name)), err);
	if (r == 0 && process_has_ended(&c->init))
		r = err_setf(err, ERR_PRECONDITION, ESRCH, "%s: has just ended", name);
	if (r < 0)
		return r;
	r = process_open_stdio(p, &paths, child_fds, err);
	if (r < 0)
		return r;
	r = spawn_exec(c, p, child_fds, err);
	for (int i = 0; i < 3; i++)
		fd_close(&child_fds[i]);
	/* its logger is in nobody's cgroup: after a kill of this shim only the record knows it */
	if (r == 0 && logger_alive(&p->io.logger) && container_record(c, &why) < 0)
		log_warn("container %s: recording a logger: %s, continuing", c->id, why.text);
	return r;
}

int container_start(
	struct container *c, struct process *p, struct ttrpc_call *call, struct err *err)
{
	char name[256];
	int r = lifecycle_allows(
		process_seen_state(p), CALL_START, process_name(p, name, sizeof(name)), err);

	if (r < 0)
		return r;
	if (!p->exec_id) {
		process_release(p);
	} else {
		r = start_exec(c, p, err);
		if (r < 0) {
			process_never_ran(p, err);
			history_over(p);
			return r;
		}
	}
	(void)waiters_add(&p->starters, call);
	return 0;
}

/* Everything in the cgroup; true if the first process was among them. */
static bool signal_all(const struct container *c, int sig)
{
	_cleanup_free_ pid_t *pids = NULL;
	bool among = false;
	size_t n = 0;

	if (cgroup_pids(&c->cgroup, &pids, &n, NULL) < 0)
		n = 0;
	for (size_t i = 0; i < n; i++)
		among = among || pids[i] == (pid_t)c->init.pid;
	return cgroup_signal_all(&c->cgroup, sig, NULL) == 0 && among;
}

int container_kill(struct container *c, struct process *p, uint32_t sig, bool all, struct err *err)
{
	char name[256];
	bool done;
	int r;

	process_name(p, name, sizeof(name));
	if (sig > 64)
		return err_setf(err, ERR_INVALID, EINVAL,
			"%s: signal %u: there is none of this number", name, sig);
	/* CRI kills everything of a container that has ended: stragglers go, the answer stays
	 * "already finished" */
	done = all && !p->exec_id && signal_all(c, (int)sig);
	r = lifecycle_allows(process_seen_state(p), CALL_KILL, name, err);
	if (r < 0 || done)
		return r;
	if (p->exec_id && (all || sig == SIGKILL))
		r = exec_tree_signal(p, (int)sig);
	else
		r = proc_signal(&p->proc, (int)sig);
	if (r == 0 && sig == SIGKILL && !p->exec_id)
		pause_killed(c);
	if (r == -ESRCH)
		return err_setf(
			err, ERR_NOT_FOUND, ESRCH, "%s: process already finished: not found", name);
	return r < 0 ? err_sysf(err, -r, "%s: signal %u", name, sig) : 0;
}

int container_pids(struct container *c, pid_t **ret_pids, size_t *ret_n, struct err *err)
{
	_cleanup_free_ pid_t *pids = NULL;
	pid_t *more;
	size_t n = 0;
	int r = cgroup_pids(&c->cgroup, &pids, &n, err);

	if (r < 0)
		log_warn("container %s: %s, answering its first process only", c->id,
			err ? err->text : "pids");
	for (size_t i = 0; r == 0 && i < n; i++) {
		if (pids[i] == (pid_t)c->init.pid) {
			*ret_pids = TAKE_PTR(pids);
			*ret_n = n;
			return 0;
		}
	}
	/* ended but not deleted: an empty answer would make containerd 1.7 and later destroy it on
	 * a restart */
	n = r == 0 ? n : 0;
	more = reallocarray(pids, n + 1, sizeof(pid_t));
	if (!more)
		return err_sysf(err, ENOMEM, "pids");
	pids = more;
	pids[n] = (pid_t)c->init.pid;
	*ret_pids = TAKE_PTR(pids);
	*ret_n = n + 1;
	return 0;
}
