#include "policy/subject.h"

#include <errno.h>
#include <sys/stat.h>
#include "base/cleanup.h"
#include "base/macro.h"
#include "base/str.h"
#include "confine/caps.h"
#include "oci/annotations.h"

static const struct {
	enum oci_namespace_type type;
	unsigned forced, bit;
	const char *hosts;
} namespaces[] = {
	{OCI_NS_PID, HOST_NS_PID, POLICY_HOST_PID, "/proc/1/ns/pid"},
	{OCI_NS_IPC, HOST_NS_IPC, POLICY_HOST_IPC, "/proc/1/ns/ipc"},
	{OCI_NS_UTS, HOST_NS_UTS, POLICY_HOST_UTS, "/proc/1/ns/uts"},
	{OCI_NS_NETWORK, HOST_NS_NET, POLICY_HOST_NETWORK, "/proc/1/ns/net"},
};

static bool sys_is_writable(const struct oci_spec *spec)
{
	bool writable = false;

	for (size_t i = 0; i < spec->n_mounts; i++) {
		const struct oci_mount *m = &spec->mounts[i];

		if (m->type && str_eq(m->type, "sysfs"))
			writable = !strv_has(m->options, "ro");
	}
	return writable;
}

bool policy_is_privileged(const struct oci_spec *spec, uint64_t caps_available)
{
	char *const *names = spec->process.caps[OCI_CAP_BOUNDING];
	struct confine_caps caps = CONFINE_CAPS_INIT;

	if (strv_len(spec->masked_paths) > 0 || strv_len(spec->readonly_paths) > 0)
		return false;
	if (!sys_is_writable(spec))
		return false;
	for (size_t i = 0; names && names[i]; i++) {
		if (confine_caps_add(&caps.bounding, names[i], NULL) < 0)
			return false;
	}
	return confine_caps_is_all(&caps, caps_available);
}

static int is_hosts(const char *path, const char *hosts, bool *ret, struct err *err)
{
	struct stat own, its;

	if (stat(path, &its) < 0)
		return err_sysf(err, errno, "%s: whether it is the host's", path);
	if (stat(hosts, &own) < 0)
		return err_sysf(err, errno, "%s", hosts);
	*ret = own.st_dev == its.st_dev && own.st_ino == its.st_ino;
	return 0;
}

int policy_subject(const struct oci_spec *spec, const struct oci_process *p,
	const struct settings *settings, bool privileged, struct policy_subject *ret_subject,
	struct err *err)
{
	const struct oci_process *limits = p->has_capabilities ? p : &spec->process;
	char *const *names = limits->caps[OCI_CAP_BOUNDING];
	struct policy_subject s = {
		.ns = oci_annotation_get(&spec->annotations, OCI_ANNOTATION_SANDBOX_NAMESPACE),
		.pod = oci_annotation_get(&spec->annotations, OCI_ANNOTATION_SANDBOX_NAME),
		.command = p->args ? p->args[0] : NULL,
		.scope = settings->isolation,
		.privileged = privileged,
	};
	int r = 0;

	for (size_t i = 0; r == 0 && names && names[i]; i++)
		r = confine_caps_add(&s.caps, names[i], err);
	for (size_t i = 0; r == 0 && i < ARRAY_LEN(namespaces); i++) {
		const struct oci_namespace *ns = oci_spec_namespace(spec, namespaces[i].type);
		bool hosts = !ns || (settings->host_namespaces & namespaces[i].forced);

		if (!hosts && !str_empty(ns->path))
			r = is_hosts(ns->path, namespaces[i].hosts, &hosts, err);
		if (hosts)
			s.hosts |= namespaces[i].bit;
	}
	if (r == 0)
		*ret_subject = s;
	return r;
}
