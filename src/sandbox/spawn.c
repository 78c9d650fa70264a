#include "sandbox/spawn.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>
#include "base/cleanup.h"
#include "base/fd.h"
#include "base/str.h"
#include "cgroup/cgroup.h"
#include "cgroup/freeze.h"
#include "conf/settings.h"
#include "oci/init_contract.h"
#include "sandbox/child.h"

static const struct {
	enum oci_namespace_type type;
	uint64_t flag;
	unsigned host; /* HOST_NS_… that keeps it the host's */
} kinds[] = {
	{OCI_NS_NETWORK, CLONE_NEWNET, HOST_NS_NET},
	{OCI_NS_IPC, CLONE_NEWIPC, HOST_NS_IPC},
	{OCI_NS_UTS, CLONE_NEWUTS, HOST_NS_UTS},
	{OCI_NS_CGROUP, CLONE_NEWCGROUP, 0},
};

/* Which namespace a sysctl belongs to (runc and the kubelet have the same table); 0: none, it is
 * the host's. */
static uint64_t sysctl_namespace(const char *key)
{
	static const char *const ipc[] = {"kernel.msgmax", "kernel.msgmnb", "kernel.msgmni",
		"kernel.sem", "kernel.shmall", "kernel.shmmax", "kernel.shmmni",
		"kernel.shm_rmid_forced"};

	if (str_has_prefix(key, "net."))
		return CLONE_NEWNET;
	if (str_has_prefix(key, "fs.mqueue."))
		return CLONE_NEWIPC;
	if (str_eq(key, "kernel.domainname"))
		return CLONE_NEWUTS;
	for (size_t i = 0; i < ARRAY_LEN(ipc); i++) {
		if (str_eq(key, ipc[i]))
			return CLONE_NEWIPC;
	}
	return 0;
}

struct prepared {
	struct sandbox_child child;
	uint64_t private; /* kinds of namespace that are not the host's */
	char **sysctl_paths, **sysctl_values;
	char oom_score_adj[16];
};

static void prepared_done(struct prepared *p)
{
	for (size_t i = 0; i < ARRAY_LEN(p->child.join_fds); i++)
		fd_close(&p->child.join_fds[i]);
	p->sysctl_paths = strv_free(p->sysctl_paths);
	p->sysctl_values = strv_free(p->sysctl_values);
}

static int prepare_namespaces(
	struct prepared *p, const struct oci_spec *spec, unsigned host_namespaces, struct err *err)
{
	for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
		const struct oci_namespace *ns = oci_spec_namespace(spec, kinds[i].type);

		if (!ns || (kinds[i].host & host_namespaces))
			continue;
		p->private |= kinds[i].flag;
		if (!ns->path) {
			p->child.unshare_flags |= kinds[i].flag;
			continue;
		}
		p->child.join_fds[i] = open(ns->path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
		if (p->child.join_fds[i] < 0)
			return err_sysf(err, errno, "%s namespace %s",
				oci_namespace_name(kinds[i].type), ns->path);
	}
	if ((p->child.unshare_flags & CLONE_NEWUTS) && !str_empty(spec->hostname))
		p->child.hostname = spec->hostname;
	return 0;
}

/* "net.ipv4.ip_forward" is /proc/sys/net/ipv4/ip_forward; with slashes it may be given as well. */
static int add_sysctl(struct prepared *p, const struct json_pair *pair, struct err *err)
{
	uint64_t ns = sysctl_namespace(pair->key);
	char *path;
	int r;

	if (strstr(pair->key, "..") || *pair->key == '/')
		return err_setf(err, ERR_INVALID, EINVAL,
			"linux.sysctl.%s: not the name of a sysctl", pair->key);
	if (!(ns & p->private))
		return err_setf(err, ERR_INVALID, EINVAL,
			"linux.sysctl.%s: would change the host; it needs a namespace of the pod's "
			"own",
			pair->key);
	r = strv_appendf(&p->sysctl_paths, "/proc/sys/%s", pair->key);
	if (r == 0)
		r = strv_append(&p->sysctl_values, pair->value);
	if (r < 0)
		return err_sysf(err, -r, "linux.sysctl");
	path = p->sysctl_paths[strv_len(p->sysctl_paths) - 1] + strlen("/proc/sys/");
	if (!strchr(path, '/')) {
		for (; *path; path++) {
			if (*path == '.')
				*path = '/';
		}
	}
	return 0;
}

static int prepare(struct prepared *p, const struct oci_spec *spec, struct cgroup *cgroup,
	unsigned host_namespaces, struct err *err)
{
	int r = prepare_namespaces(p, spec, host_namespaces, err);

	for (size_t i = 0; r == 0 && i < spec->n_sysctl; i++)
		r = add_sysctl(p, &spec->sysctl[i], err);
	if (r < 0)
		return r;
	/* without an own value the shim's (-998) would make it nearly unkillable by the OOM killer
	 */
	(void)snprintf(p->oom_score_adj, sizeof(p->oom_score_adj), "%d",
		spec->process.has_oom_score_adj ? spec->process.oom_score_adj : 0);
	p->child.oom_score_adj = p->oom_score_adj;
	p->child.cgroup = cgroup;
	p->child.sysctl_paths = p->sysctl_paths;
	p->child.sysctl_values = p->sysctl_values;
	return 0;
}

/* In its cgroup v2 directory from the beginning, where that is there and takes it. */
static int spawn(
	struct prepared *p, struct proc_spec *child, struct proc *ret_proc, struct err *err)
{
	_cleanup_close_ int cgroup_fd = -EBADF;
	int r;

	/* in a frozen one it would never say that it runs */
	if (!p->child.scope && !cgroup_freezes_births(p->child.cgroup))
		cgroup_fd = cgroup_open_v2(p->child.cgroup);
	child->cgroup_fd = cgroup_fd;
	p->child.born_in_cgroup = cgroup_fd >= 0;
	r = proc_spawn(child, ret_proc, err);
	if (cgroup_fd < 0 || (r != -EBUSY && r != -EOPNOTSUPP && r != -EACCES && r != -EPERM))
		return r;
	child->cgroup_fd = -EBADF;
	p->child.born_in_cgroup = false;
	return proc_spawn(child, ret_proc, err);
}

/* In the child: as it says itself what went wrong later. */
static void tell_failed(int control, const struct err *err)
{
	struct err why = *err;

	(void)err_wrapf(&why, "forking the sandbox task");
	(void)init_message_send(control, INIT_FAILED, &why, -EBADF);
}

int sandbox_spawn(const char *id, const struct oci_spec *spec, struct cgroup *cgroup,
	const struct systemd_scope *scope, unsigned host_namespaces, struct proc *ret_proc,
	int *ret_control, struct err *err)
{
	_cleanup_(prepared_done) struct prepared p = {
		.child = {.join_fds = {-EBADF, -EBADF, -EBADF, -EBADF}}};
	_cleanup_close_ int ours = -EBADF, theirs = -EBADF, pidns_fd = -EBADF;
	const struct oci_namespace *pidns = oci_spec_namespace(spec, OCI_NS_PID);
	struct proc_spec child = PROC_SPEC_INIT;
	char title[128];
	int pair[2], r;

	r = prepare(&p, spec, cgroup, host_namespaces, err);
	if (r < 0)
		return r;
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		return err_sysf(err, errno, "socketpair");
	ours = pair[0];
	theirs = pair[1];
	r = fd_set_nonblock(ours);
	if (r < 0)
		return err_sysf(err, -r, "control socket");
	if (pidns && !(host_namespaces & HOST_NS_PID)) {
		child.clone_flags = pidns->path ? 0 : CLONE_NEWPID;
		pidns_fd =
			pidns->path ? open(pidns->path, O_RDONLY | O_CLOEXEC | O_NONBLOCK) : -EBADF;
		if (pidns->path && pidns_fd < 0)
			return err_sysf(err, errno, "pid namespace %s", pidns->path);
	}
	p.child.control = theirs;
	p.child.scope = scope;
	(void)snprintf(title, sizeof(title), "reaper-sandbox %s", id);
	p.child.title = title;
	child.run = sandbox_child_main;
	child.run_arg = &p.child;
	child.pidns_fd = pidns_fd;
	child.tell = tell_failed;
	child.tell_fd = theirs;
	r = spawn(&p, &child, ret_proc, err);
	if (r < 0)
		return err_wrapf(err, "forking the sandbox task");
	*ret_control = TAKE_FD(ours);
	return 0;
}
