#include <errno.h>
#include <string.h>
#include "base/macro.h"
#include "base/str.h"
#include "oci/spec.h"

#define INVALID(err, ...)     err_setf(err, ERR_INVALID, EINVAL, __VA_ARGS__)
#define UNSUPPORTED(err, ...) err_setf(err, ERR_UNIMPLEMENTED, EOPNOTSUPP, __VA_ARGS__)

/* ---- process ---- */

static int check_command(const struct oci_process *p, struct err *err)
{
	if (!p->args)
		return INVALID(err, "process.args: missing or empty: there is no command to run");
	if (str_empty(p->args[0]))
		return INVALID(err, "process.args[0]: empty: there is no command to run");
	if (!p->cwd)
		return INVALID(err, "process.cwd: missing");
	if (p->cwd[0] != '/')
		return INVALID(err, "process.cwd: \"%.200s\": must be absolute", p->cwd);
	for (size_t i = 0; p->env && p->env[i]; i++) {
		if (p->env[i][0] == '=' || !strchr(p->env[i], '='))
			return INVALID(err, "process.env[%zu]: \"%.80s\": must be NAME=VALUE", i,
				p->env[i]);
	}
	return 0;
}

/* CRI turns names into numbers by the image's /etc/passwd; nobody else may say one. */
static int check_user(const struct oci_process *p, struct err *err)
{
	if (!str_empty(p->username))
		return UNSUPPORTED(err,
			"process.user.username: \"%.80s\": a user is a number here, give uid and "
			"gid",
			p->username);
	return 0;
}

/*
 * What capset(2) would refuse with a bare EPERM. An ambient one that is not inheritable is no
 * error: it is what `runc spec` and `crun spec` write, and the plan leaves it out.
 */
static int check_capabilities(const struct oci_process *p, struct err *err)
{
	for (char *const *v = p->caps[OCI_CAP_EFFECTIVE]; v && *v; v++) {
		if (!strv_has(p->caps[OCI_CAP_PERMITTED], *v))
			return INVALID(err,
				"process.capabilities.effective: %.40s is not in permitted, which "
				"the kernel demands",
				*v);
	}
	return 0;
}

static int check_rlimits(const struct oci_process *p, struct err *err)
{
	for (size_t i = 0; i < p->n_rlimits; i++) {
		const struct oci_rlimit *l = &p->rlimits[i];

		if (l->soft > l->hard)
			return INVALID(err,
				"process.rlimits[%zu]: %.40s: soft (%llu) is above hard (%llu)", i,
				l->type, (unsigned long long)l->soft, (unsigned long long)l->hard);
		for (size_t j = 0; j < i; j++) {
			if (str_eq(p->rlimits[j].type, l->type))
				return INVALID(err, "process.rlimits[%zu]: %.40s: given twice", i,
					l->type);
		}
	}
	return 0;
}

/* What belongs to one policy only, and would be ignored by the kernel with another. */
static int check_scheduler(const struct oci_process *p, struct err *err)
{
	const struct oci_scheduler *s = &p->scheduler;
	bool real_time, deadline;

	if (!s->present)
		return 0;
	real_time = str_eq(s->policy, "SCHED_FIFO") || str_eq(s->policy, "SCHED_RR");
	deadline = str_eq(s->policy, "SCHED_DEADLINE");
	if (s->priority != 0 && !real_time)
		return INVALID(err,
			"process.scheduler.priority: %d: only for SCHED_FIFO and SCHED_RR",
			s->priority);
	if (s->nice != 0 && (real_time || deadline))
		return INVALID(
			err, "process.scheduler.nice: %d: not for %.40s", s->nice, s->policy);
	if ((s->runtime || s->deadline || s->period) && !deadline)
		return INVALID(err,
			"process.scheduler: runtime, deadline and period are for SCHED_DEADLINE");
	return 0;
}

int oci_process_check(const struct oci_process *process, struct err *err)
{
	int r = check_command(process, err);

	if (r == 0)
		r = check_user(process, err);
	if (r == 0)
		r = check_capabilities(process, err);
	if (r == 0)
		r = check_rlimits(process, err);
	if (r == 0)
		r = check_scheduler(process, err);
	return r;
}

/* ---- the rest of the spec ---- */

static int check_version(const struct oci_spec *s, struct err *err)
{
	if (!s->version)
		return INVALID(err, "ociVersion: missing");
	if (!str_has_prefix(s->version, "1."))
		return UNSUPPORTED(
			err, "ociVersion: \"%.40s\": this runtime knows 1.x", s->version);
	return 0;
}

static int check_mounts(const struct oci_spec *s, struct err *err)
{
	for (size_t i = 0; i < s->n_mounts; i++) {
		const struct oci_mount *m = &s->mounts[i];

		if (m->destination[0] != '/')
			return INVALID(err, "mounts[%zu].destination: \"%.200s\": must be absolute",
				i, m->destination);
		if (m->has_id_mappings || strv_has(m->options, "idmap") ||
			strv_has(m->options, "ridmap"))
			return UNSUPPORTED(err,
				"mounts[%zu]: %.200s: id-mapped mounts are not supported", i,
				m->destination);
	}
	return 0;
}

static int check_hook(const struct oci_hook *h, struct err *err)
{
	if (h->path[0] != '/')
		return INVALID(err, "path: \"%.200s\": must be absolute", h->path);
	for (size_t i = 0; h->env && h->env[i]; i++) {
		if (h->env[i][0] == '=' || !strchr(h->env[i], '='))
			return INVALID(
				err, "env[%zu]: \"%.80s\": must be NAME=VALUE", i, h->env[i]);
	}
	return 0;
}

static int check_hooks(const struct oci_spec *s, struct err *err)
{
	for (size_t i = 0; i < ARRAY_LEN(s->hooks); i++) {
		for (size_t j = 0; j < s->hooks[i].n; j++) {
			int r = check_hook(&s->hooks[i].v[j], err);

			if (r < 0)
				return err_wrapf(err, "hooks.%s[%zu]",
					oci_hook_name((enum oci_hook_point)i), j);
		}
	}
	return 0;
}

static int check_absolute(char *const *paths, const char *what, struct err *err)
{
	for (size_t i = 0; paths && paths[i]; i++) {
		if (paths[i][0] != '/')
			return INVALID(
				err, "%s[%zu]: \"%.200s\": must be absolute", what, i, paths[i]);
	}
	return 0;
}

static int check_paths(const struct oci_spec *s, struct err *err)
{
	int r = check_absolute(s->masked_paths, "linux.maskedPaths", err);

	if (r == 0)
		r = check_absolute(s->readonly_paths, "linux.readonlyPaths", err);
	if (r == 0 && s->seccomp_listener && s->seccomp_listener[0] != '/')
		r = INVALID(err, "linux.seccomp.listenerPath: \"%.200s\": must be absolute",
			s->seccomp_listener);
	for (size_t i = 0; r == 0 && i < s->n_devices; i++) {
		if (s->devices[i].path[0] != '/')
			r = INVALID(err, "linux.devices[%zu].path: \"%.200s\": must be absolute", i,
				s->devices[i].path);
	}
	return r;
}

static int check_propagation(const struct oci_spec *s, struct err *err)
{
	static const char *const known[] = {"private", "rprivate", "slave", "rslave", "shared",
		"rshared", "unbindable", "runbindable"};

	if (!s->rootfs_propagation)
		return 0;
	for (size_t i = 0; i < ARRAY_LEN(known); i++) {
		if (str_eq(s->rootfs_propagation, known[i]))
			return 0;
	}
	return INVALID(err,
		"linux.rootfsPropagation: \"%.40s\": must be shared, slave, private or unbindable",
		s->rootfs_propagation);
}

/*
 * A sysctl is set only in a namespace that the spec names (runtime-spec config-linux.md#sysctl; the
 * table is runc's): else it would be the node's. Whether a joined namespace is the host's is known
 * only when it is opened.
 */
static int sysctl_namespace(const char *name, enum oci_namespace_type *ret_type)
{
	static const struct {
		const char *name; /* with a dot at the end: everything below */
		enum oci_namespace_type type;
	} table[] = {
		{"net.", OCI_NS_NETWORK},
		{"fs.mqueue.", OCI_NS_IPC},
		{"kernel.msgmax", OCI_NS_IPC},
		{"kernel.msgmnb", OCI_NS_IPC},
		{"kernel.msgmni", OCI_NS_IPC},
		{"kernel.sem", OCI_NS_IPC},
		{"kernel.shmall", OCI_NS_IPC},
		{"kernel.shmmax", OCI_NS_IPC},
		{"kernel.shmmni", OCI_NS_IPC},
		{"kernel.shm_rmid_forced", OCI_NS_IPC},
		{"kernel.domainname", OCI_NS_UTS},
	};

	for (size_t i = 0; i < ARRAY_LEN(table); i++) {
		bool prefix = str_has_suffix(table[i].name, ".");

		if (prefix ? str_has_prefix(name, table[i].name) : str_eq(name, table[i].name)) {
			*ret_type = table[i].type;
			return 0;
		}
	}
	return -ENOENT;
}

static int check_sysctls(const struct oci_spec *s, struct err *err)
{
	for (size_t i = 0; i < s->n_sysctl; i++) {
		const char *name = s->sysctl[i].key;
		enum oci_namespace_type type;

		if (strstr(name, "..") || name[0] == '/' || name[0] == '.')
			return INVALID(
				err, "linux.sysctl: \"%.80s\": not the name of a sysctl", name);
		if (sysctl_namespace(name, &type) < 0)
			return INVALID(err,
				"linux.sysctl: %.80s: is the whole node's, not a namespace's: "
				"refused",
				name);
		if (!oci_spec_namespace(s, type))
			return INVALID(err,
				"linux.sysctl: %.80s: needs the pod's own %s namespace, the spec "
				"has the host's",
				name, oci_namespace_name(type));
	}
	return 0;
}

/* In the host's namespace it would be the node's name. runc refuses it as well; the kubelet gives
 * pods with hostNetwork none. */
static int check_names(const struct oci_spec *s, struct err *err)
{
	const struct {
		const char *field, *value;
	} names[] = {{"hostname", s->hostname}, {"domainname", s->domainname}};

	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		if (!str_empty(names[i].value) && !oci_spec_namespace(s, OCI_NS_UTS))
			return INVALID(err,
				"%s: \"%.80s\": needs a uts namespace of the pod's own; the spec "
				"has the host's (hostNetwork)",
				names[i].field, names[i].value);
	}
	return 0;
}

static bool joins(const struct oci_spec *s, enum oci_namespace_type type)
{
	return s->namespaces[type].present && s->namespaces[type].path;
}

static int check_unsupported(const struct oci_spec *s, struct err *err)
{
	const struct {
		bool asked;
		const char *what;
	} table[] = {
		{s->has_other_platform, "windows, vm, solaris, zos or freebsd: another platform"},
		{s->namespaces[OCI_NS_USER].present || s->uid_mappings.n || s->gid_mappings.n,
			"linux.namespaces: user namespaces (hostUsers: false)"},
		{s->namespaces[OCI_NS_TIME].present || s->has_time_offsets,
			"linux.namespaces: time namespaces"},
		{joins(s, OCI_NS_MOUNT), "linux.namespaces: joining a mount namespace"},
		{s->has_intel_rdt, "linux.intelRdt (RDT classes)"},
		{s->personality_flags != NULL, "linux.personality.flags"},
		{s->has_net_devices, "linux.netDevices"},
		{s->has_memory_policy, "linux.memoryPolicy"},
		{s->resources.has_network, "linux.resources.network (net_cls, net_prio)"},
	};

	for (size_t i = 0; i < ARRAY_LEN(table); i++) {
		if (table[i].asked)
			return UNSUPPORTED(err, "%s: not supported", table[i].what);
	}
	return 0;
}

static int check_process(const struct oci_spec *s, struct err *err)
{
	if (!s->has_process)
		return INVALID(err, "process: missing");
	return oci_process_check(&s->process, err);
}

int oci_spec_check(const struct oci_spec *spec, struct err *err)
{
	static int (*const checks[])(const struct oci_spec *s, struct err *err) = {
		check_version,
		check_process,
		check_mounts,
		check_hooks,
		check_paths,
		check_propagation,
		check_sysctls,
		check_names,
		check_unsupported,
	};

	for (size_t i = 0; i < ARRAY_LEN(checks); i++) {
		int r = checks[i](spec, err);

		if (r < 0) {
			(void)err_wrapf(err, "config.json");
			return r;
		}
	}
	return 0;
}
