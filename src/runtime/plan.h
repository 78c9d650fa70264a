/*
 * The plan: everything that init will do to turn one bundle into one process, decided before
 * anything is touched. The only place where OCI terms become cgroup limits, mount operations,
 * namespaces and credentials. Pure: what it depends on is in struct plan_input; tested without
 * root, printed by `reaper-runtime plan`.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include "base/err.h"
#include "cgroup/cgroup.h"
#include "cgroup/devices.h"
#include "cgroup/host.h"
#include "conf/settings.h"
#include "confine/caps.h"
#include "confine/creds.h"
#include "confine/rlimits.h"
#include "confine/sched.h"
#include "mount/op.h"
#include "mount/share.h"
#include "oci/spec.h"
#include "policy/policy.h"
#include "resources/resources.h"
#include "runtime/identity.h"
#include "store/group.h"
#include "store/layout.h"
#include "view/group.h"

/* All borrowed; the plan points into them and must not outlive them. */
struct plan_input {
	const struct oci_spec *spec;
	const struct oci_process
		*exec; /* the process of an exec; NULL: the container's first one */
	const struct identity *identity; /* the user that an annotation names; NULL: none does */
	const struct settings *settings;
	const struct store_layout *layout;
	const struct store_group *group;
	const char *snapshot;        /* the group's writes go there; NULL: as the settings say */
	const struct cgroup *cgroup; /* the container's, from its record */
	const struct cgroup_host *cgroup_host;
	const struct policy *policy; /* the node's; NULL: none */
	uint64_t caps_available;     /* confine_caps_available */
	uint64_t memory_bytes;       /* of the machine */
	/* The device controller did not take the rules (cgroup_devices_apply): device nodes must be
	 * dead in the view, and a spec that needs more than its own nodes is refused. */
	bool nodes_dead;
};

/* Namespaces that init enters or makes; pid is the shim's, mount the view's. */
enum plan_ns { PLAN_NS_NET, PLAN_NS_IPC, PLAN_NS_UTS, PLAN_NS_CGROUP, _PLAN_NS_MAX };

enum plan_ns_action {
	PLAN_NS_HOST, /* stays where it is */
	PLAN_NS_NEW,
	PLAN_NS_JOIN,
};

struct plan_namespace {
	enum plan_ns_action action;
	const char *path; /* PLAN_NS_JOIN */
};

/* "net", as in /proc/PID/ns; and the CLONE_NEW… flag. */
const char *plan_ns_name(enum plan_ns ns);
int plan_ns_flag(enum plan_ns ns);

struct plan {
	bool privileged; /* as containerd expresses it: all capabilities, nothing masked, /sys
			  * writable
			  */
	struct resources resources;
	struct cgroup_device_rule *device_rules;
	size_t n_device_rules;
	bool devices_restricted; /* the rules forbid something */

	struct plan_namespace namespaces[_PLAN_NS_MAX];
	const char *hostname, *domainname; /* NULL: left alone */
	const struct json_pair *sysctl;
	size_t n_sysctl;

	struct mount_group_spec group;
	enum mount_reach reach; /* of what is mounted while the container runs */
	bool reach_refused;     /* asked for more, and nodes are not dead elsewhere */
	struct mount_ops ops;

	struct confine_creds creds;
	struct identity_ids ids;         /* what creds points into, if it is by name */
	const struct identity *identity; /* it is */
	struct confine_caps caps;
	uint64_t caps_missing;    /* of a privileged spec: asked for, but nobody here has them */
	uint64_t caps_not_raised; /* ambient in the spec, but not permitted and inheritable */
	struct confine_rlimit rlimits[CONFINE_RLIMITS_MAX];
	size_t n_rlimits;
	int oom_score_adj;
	struct confine_sched sched;
	bool has_cpus_initial, has_cpus_final; /* of an exec; else every CPU of the cpuset */
	struct confine_cpus cpus_initial, cpus_final;
	bool no_new_privs;
	bool private_mounts;            /* forced by the policy */
	const char *apparmor, *selinux; /* NULL: none */
	const char *seccomp_json;       /* NULL: no filter */

	char *const *args, *const *env;
	const char *cwd;
	bool terminal;
	uint16_t console_width, console_height;
};

#define PLAN_INIT                     \
	{                             \
		.device_rules = NULL, \
	}

/*
 * Makes the plan. ERR_INVALID or ERR_UNIMPLEMENTED says what of the spec cannot be done and why;
 * nothing that it asks for is left out silently. The spec has passed oci_spec_check.
 */
int plan_make(const struct plan_input *in, struct plan *ret_plan, struct err *err);
void plan_done(struct plan *plan);

/* The plan as text for people, one thing per line, in *ret_text (the caller frees). */
int plan_format(const struct plan *plan, char **ret_text, struct err *err);

/* The parts of it, each in a file of its own; plan_make calls them. */
int plan_cgroup(const struct plan_input *in, struct plan *plan, struct err *err);
int plan_namespaces(const struct plan_input *in, struct plan *plan, struct err *err);
int plan_mounts(const struct plan_input *in, struct plan *plan, struct err *err);
int plan_process(const struct plan_input *in, struct plan *plan, struct err *err);
int plan_policy(const struct plan_input *in, struct plan *plan, struct err *err);
