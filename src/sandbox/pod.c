#include "sandbox/pod.h"

#include <errno.h>
#include <stdlib.h>
#include "base/cleanup.h"
#include "base/str.h"

/* The sandbox of a pod goes after everything else (kubelet's and CRI's own number). */
enum { SANDBOX_OOM_SCORE_ADJ = -998 };

/* The kubelet's cgroup driver shows in the parent's name, as for every container (contract §8.4).
 */
static int cgroups_path(const char *parent, const char *id, struct oci_spec *spec, struct err *err)
{
	const char *base = strrchr(parent, '/');
	int r;

	if (str_empty(parent))
		return 0; /* the default of cgroup/path.h */
	base = base ? base + 1 : parent;
	if (str_has_suffix(parent, ".slice"))
		r = str_printf(&spec->cgroups_path, "%s:cri-containerd:%s", base, id);
	else if (*base)
		r = str_printf(&spec->cgroups_path, "%s/%s", parent, id);
	else
		return err_setf(err, ERR_INVALID, EINVAL,
			"linux.cgroup_parent: \"%.200s\": no cgroup's name at its end", parent);
	return r < 0 ? err_sysf(err, -r, "sandbox") : 0;
}

static int copy_sysctls(
	const Cri__LinuxPodSandboxConfig *linux_config, struct oci_spec *spec, struct err *err)
{
	if (linux_config->n_sysctls == 0)
		return 0;
	if (linux_config->n_sysctls > OCI_LIST_MAX)
		return err_setf(
			err, ERR_INVALID, E2BIG, "linux.sysctls: more than %d", OCI_LIST_MAX);
	spec->sysctl = calloc(linux_config->n_sysctls, sizeof(*spec->sysctl));
	if (!spec->sysctl)
		return err_sysf(err, ENOMEM, "linux.sysctls");
	for (size_t i = 0; i < linux_config->n_sysctls; i++) {
		struct json_pair *pair = &spec->sysctl[spec->n_sysctl++];

		if (str_dup(&pair->key, linux_config->sysctls[i]->key) < 0 ||
			str_dup(&pair->value, linux_config->sysctls[i]->value) < 0)
			return err_sysf(err, ENOMEM, "linux.sysctls");
	}
	return 0;
}

/* Which namespaces are the pod's own: everything that it does not share with the node by name. */
static int set_namespaces(const struct sandbox_pod *pod, const Cri__NamespaceOption *option,
	struct oci_spec *spec, struct err *err)
{
	bool host_network =
		option ? option->network == CRI__NAMESPACE_MODE__NODE : str_empty(pod->netns_path);

	if (option && option->userns_options &&
		option->userns_options->mode == CRI__NAMESPACE_MODE__POD)
		return err_setf(err, ERR_UNIMPLEMENTED, ENOSYS,
			"user namespaces (hostUsers: false) are not supported: the workload is a "
			"process of the host");
	spec->namespaces[OCI_NS_IPC].present = !option || option->ipc != CRI__NAMESPACE_MODE__NODE;
	spec->namespaces[OCI_NS_PID].present = !option || option->pid != CRI__NAMESPACE_MODE__NODE;
	spec->namespaces[OCI_NS_UTS].present = !host_network;
	if (host_network)
		return 0;
	if (str_empty(pod->netns_path))
		return err_setf(err, ERR_INVALID, EINVAL,
			"netns_path: empty, although the pod has a network of its own");
	spec->namespaces[OCI_NS_NETWORK].present = true;
	return str_dup(&spec->namespaces[OCI_NS_NETWORK].path, pod->netns_path) < 0
		       ? err_sysf(err, ENOMEM, "sandbox")
		       : 0;
}

static int set_hostname(const char *hostname, struct oci_spec *spec, struct err *err)
{
	if (str_empty(hostname))
		return 0;
	if (!spec->namespaces[OCI_NS_UTS].present)
		return err_setf(err, ERR_INVALID, EINVAL,
			"hostname: \"%.80s\": would be the node's: the pod has the host's network",
			hostname);
	return str_dup(&spec->hostname, hostname) < 0 ? err_sysf(err, ENOMEM, "sandbox") : 0;
}

static int fill(const struct sandbox_pod *pod, struct oci_spec *spec, struct err *err)
{
	const Cri__PodSandboxConfig *config = pod->config;
	const Cri__LinuxPodSandboxConfig *linux_config = config ? config->linux_config : NULL;
	const Cri__LinuxSandboxSecurityContext *security =
		linux_config ? linux_config->security_context : NULL;
	int r = set_namespaces(pod, security ? security->namespace_options : NULL, spec, err);

	spec->process.has_oom_score_adj = true;
	spec->process.oom_score_adj = SANDBOX_OOM_SCORE_ADJ;
	if (r == 0 && config)
		r = set_hostname(config->hostname, spec, err);
	if (r == 0 && linux_config)
		r = copy_sysctls(linux_config, spec, err);
	if (r == 0 && linux_config)
		r = cgroups_path(linux_config->cgroup_parent, pod->id, spec, err);
	return r;
}

int sandbox_pod_spec(const struct sandbox_pod *pod, struct oci_spec *ret_spec, struct err *err)
{
	_cleanup_(oci_spec_done) struct oci_spec spec = OCI_SPEC_INIT;
	int r = fill(pod, &spec, err);

	if (r < 0)
		return r;
	*ret_spec = spec;
	spec = (struct oci_spec)OCI_SPEC_INIT;
	return 0;
}
