#include "runtime/plan.h"

#include <errno.h>
#include <sched.h>
#include <stdlib.h>
#include "base/str.h"
#include "policy/subject.h"

static const struct {
	const char *name;
	int flag;
	enum oci_namespace_type type;
	unsigned forced; /* bit of REAPER_HOST_NAMESPACES */
} namespace_table[_PLAN_NS_MAX] = {
	[PLAN_NS_NET] = {"net", CLONE_NEWNET, OCI_NS_NETWORK, HOST_NS_NET},
	[PLAN_NS_IPC] = {"ipc", CLONE_NEWIPC, OCI_NS_IPC, HOST_NS_IPC},
	[PLAN_NS_UTS] = {"uts", CLONE_NEWUTS, OCI_NS_UTS, HOST_NS_UTS},
	[PLAN_NS_CGROUP] = {"cgroup", CLONE_NEWCGROUP, OCI_NS_CGROUP, 0},
};

const char *plan_ns_name(enum plan_ns ns)
{
	return namespace_table[ns].name;
}

int plan_ns_flag(enum plan_ns ns)
{
	return namespace_table[ns].flag;
}

int plan_namespaces(const struct plan_input *in, struct plan *plan, struct err *err)
{
	for (size_t i = 0; i < _PLAN_NS_MAX; i++) {
		const struct oci_namespace *ns =
			oci_spec_namespace(in->spec, namespace_table[i].type);

		if (!ns || (in->settings->host_namespaces & namespace_table[i].forced))
			plan->namespaces[i].action = PLAN_NS_HOST;
		else if (str_empty(ns->path))
			plan->namespaces[i].action = PLAN_NS_NEW;
		else
			plan->namespaces[i] = (struct plan_namespace) {PLAN_NS_JOIN, ns->path};
	}
	if (!oci_spec_namespace(in->spec, OCI_NS_MOUNT))
		return err_setf(err, ERR_INVALID, EINVAL,
			"config.json: linux.namespaces: a mount namespace is needed for the host "
			"view");
	plan->hostname = in->spec->hostname;
	plan->domainname = in->spec->domainname;
	plan->sysctl = in->spec->sysctl;
	plan->n_sysctl = in->spec->n_sysctl;
	return 0;
}

int plan_make(const struct plan_input *in, struct plan *ret_plan, struct err *err)
{
	static int (*const parts[])(const struct plan_input *, struct plan *, struct err *) = {
		plan_cgroup, plan_namespaces, plan_process, plan_policy, plan_mounts};
	struct plan plan = PLAN_INIT;
	int r = 0;

	plan.privileged = policy_is_privileged(in->spec, in->caps_available);
	for (size_t i = 0; i < ARRAY_LEN(parts) && r == 0; i++)
		r = parts[i](in, &plan, err);
	if (r < 0) {
		plan_done(&plan);
		return r;
	}
	*ret_plan = plan;
	return 0;
}

void plan_done(struct plan *plan)
{
	if (!plan)
		return;
	resources_done(&plan->resources);
	free(plan->device_rules);
	free(plan->ids.groups);
	mount_ops_done(&plan->ops);
	*plan = (struct plan)PLAN_INIT;
}
