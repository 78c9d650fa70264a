#include "sandbox/pod.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>
#include "base/macro.h"

/* A pod as CRI describes it, with everything in it that a sandbox is made of. */
struct description {
	Cri__PodSandboxConfig config;
	Cri__LinuxPodSandboxConfig linux_config;
	Cri__LinuxSandboxSecurityContext security;
	Cri__NamespaceOption namespaces;
	Cri__UserNamespace user;
	Cri__LinuxPodSandboxConfig__SysctlsEntry sysctl, *sysctls[1];
};

static void describe(struct description *d)
{
	cri__pod_sandbox_config__init(&d->config);
	cri__linux_pod_sandbox_config__init(&d->linux_config);
	cri__linux_sandbox_security_context__init(&d->security);
	cri__namespace_option__init(&d->namespaces);
	cri__user_namespace__init(&d->user);
	cri__linux_pod_sandbox_config__sysctls_entry__init(&d->sysctl);
	d->config.linux_config = &d->linux_config;
	d->linux_config.security_context = &d->security;
	d->security.namespace_options = &d->namespaces;
	d->namespaces.pid = CRI__NAMESPACE_MODE__CONTAINER;
	d->sysctls[0] = &d->sysctl;
}

static int spec_of(
	const struct description *d, const char *netns, struct oci_spec *spec, struct err *err)
{
	const struct sandbox_pod pod = {
		.id = "abc", .config = d ? &d->config : NULL, .netns_path = netns};

	return sandbox_pod_spec(&pod, spec, err);
}

Test(sandbox_pod, the_cgroup_is_that_of_the_podsandbox_controller)
{
	static const struct {
		const char *parent, *path;
	} cases[] = {
		{"", NULL},
		{"/kubepods/besteffort/pod1", "/kubepods/besteffort/pod1/abc"},
		{"kubepods", "kubepods/abc"},
		{"/kubepods.slice/kubepods-pod1.slice", "kubepods-pod1.slice:cri-containerd:abc"},
		{"kubepods-pod1.slice", "kubepods-pod1.slice:cri-containerd:abc"},
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct oci_spec spec = OCI_SPEC_INIT;
		struct description d;

		describe(&d);
		d.linux_config.cgroup_parent = (char *)cases[i].parent;
		cr_assert_eq(spec_of(&d, "/run/netns/x", &spec, NULL), 0);
		if (cases[i].path)
			cr_assert_str_eq(spec.cgroups_path, cases[i].path);
		else
			cr_assert_null(spec.cgroups_path);
		oci_spec_done(&spec);
	}
}

Test(sandbox_pod, a_parent_without_a_name_is_refused)
{
	struct oci_spec spec = OCI_SPEC_INIT;
	struct err err = ERR_INIT;
	struct description d;

	describe(&d);
	d.linux_config.cgroup_parent = (char *)"/kubepods/";
	cr_assert_eq(spec_of(&d, "/run/netns/x", &spec, &err), -EINVAL);
	cr_assert_not_null(strstr(err.text, "cgroup_parent"));
}

Test(sandbox_pod, hostname_sysctls_and_the_oom_score)
{
	struct oci_spec spec = OCI_SPEC_INIT;
	struct description d;

	describe(&d);
	d.config.hostname = (char *)"web-0";
	d.sysctl.key = (char *)"net.core.somaxconn";
	d.sysctl.value = (char *)"1024";
	d.linux_config.sysctls = d.sysctls;
	d.linux_config.n_sysctls = 1;
	cr_assert_eq(spec_of(&d, "/run/netns/x", &spec, NULL), 0);
	cr_assert_str_eq(spec.hostname, "web-0");
	cr_assert_eq(spec.n_sysctl, 1);
	cr_assert_str_eq(spec.sysctl[0].key, "net.core.somaxconn");
	cr_assert_str_eq(spec.sysctl[0].value, "1024");
	cr_assert(spec.process.has_oom_score_adj);
	cr_assert_eq(spec.process.oom_score_adj, -998);
	oci_spec_done(&spec);
}

Test(sandbox_pod, the_namespaces_that_the_pod_does_not_share_are_its_own)
{
	const struct oci_namespace *net;
	struct oci_spec spec = OCI_SPEC_INIT;
	struct description d;

	describe(&d);
	cr_assert_eq(spec_of(&d, "/run/netns/x", &spec, NULL), 0);
	net = oci_spec_namespace(&spec, OCI_NS_NETWORK);
	cr_assert_not_null(net);
	cr_assert_str_eq(net->path, "/run/netns/x");
	cr_assert_not_null(oci_spec_namespace(&spec, OCI_NS_PID));
	cr_assert_not_null(oci_spec_namespace(&spec, OCI_NS_IPC));
	cr_assert_not_null(oci_spec_namespace(&spec, OCI_NS_UTS));
	oci_spec_done(&spec);

	d.namespaces.network = d.namespaces.pid = d.namespaces.ipc = CRI__NAMESPACE_MODE__NODE;
	cr_assert_eq(spec_of(&d, "", &spec, NULL), 0);
	for (int type = 0; type < _OCI_NS_MAX; type++)
		cr_assert_null(oci_spec_namespace(&spec, (enum oci_namespace_type)type));
	oci_spec_done(&spec);
}

Test(sandbox_pod, a_hostname_in_the_hosts_network_is_refused)
{
	struct oci_spec spec = OCI_SPEC_INIT;
	struct err err = ERR_INIT;
	struct description d;

	describe(&d);
	d.config.hostname = (char *)"web-0";
	d.namespaces.network = CRI__NAMESPACE_MODE__NODE;
	cr_assert_eq(spec_of(&d, "", &spec, &err), -EINVAL);
	cr_assert_not_null(strstr(err.text, "hostname: \"web-0\""), "%s", err.text);
}

Test(sandbox_pod, without_a_config_the_netns_path_says_it)
{
	struct oci_spec spec = OCI_SPEC_INIT;

	cr_assert_eq(spec_of(NULL, "", &spec, NULL), 0);
	cr_assert_null(oci_spec_namespace(&spec, OCI_NS_NETWORK));
	cr_assert_null(oci_spec_namespace(&spec, OCI_NS_UTS));
	cr_assert_not_null(oci_spec_namespace(&spec, OCI_NS_IPC));
	oci_spec_done(&spec);
	cr_assert_eq(spec_of(NULL, "/run/netns/x", &spec, NULL), 0);
	cr_assert_str_eq(oci_spec_namespace(&spec, OCI_NS_NETWORK)->path, "/run/netns/x");
	oci_spec_done(&spec);
}

Test(sandbox_pod, a_user_namespace_is_refused_by_name)
{
	struct oci_spec spec = OCI_SPEC_INIT;
	struct err err = ERR_INIT;
	struct description d;

	describe(&d);
	d.namespaces.userns_options = &d.user;
	d.user.mode = CRI__NAMESPACE_MODE__NODE; /* what a kubelet says of pods without one */
	cr_assert_eq(spec_of(&d, "/run/netns/x", &spec, NULL), 0);
	oci_spec_done(&spec);
	d.user.mode = CRI__NAMESPACE_MODE__POD;
	cr_assert_eq(spec_of(&d, "/run/netns/x", &spec, &err), -ENOSYS);
	cr_assert_eq(err.kind, ERR_UNIMPLEMENTED);
	cr_assert_not_null(strstr(err.text, "hostUsers"));
}

Test(sandbox_pod, a_network_of_its_own_needs_a_path)
{
	struct oci_spec spec = OCI_SPEC_INIT;
	struct err err = ERR_INIT;
	struct description d;

	describe(&d);
	cr_assert_eq(spec_of(&d, "", &spec, &err), -EINVAL);
	cr_assert_not_null(strstr(err.text, "netns_path"));
}
