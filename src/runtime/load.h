/* What init reads before it plans: the bundle, the node's settings, the container's record. */
#pragma once

#include "base/err.h"
#include "cgroup/cgroup.h"
#include "cgroup/host.h"
#include "conf/settings.h"
#include "oci/spec.h"
#include "policy/policy.h"
#include "runtime/identity.h"
#include "runtime/plan.h"
#include "store/group.h"
#include "store/layout.h"

struct loaded {
	struct oci_spec spec;
	bool is_exec;
	struct oci_process exec; /* is_exec only */
	struct settings settings;
	struct policy policy; /* of the node */
	struct store_layout layout;
	struct store_group group; /* whose view it gets */
	struct cgroup cgroup;     /* no directories when the bundle has no record */
	struct cgroup_host cgroup_host;
	bool has_identity;        /* the annotation reaper.runtime/user is there */
	struct identity identity; /* has_identity only */
	char *view;               /* key of the group that its record names */
	char *unit, *slice;       /* the scope that it is in, NULL: none */
	char *snapshot;           /* where its group's writes lie; NULL: elsewhere */
};

#define LOADED_INIT               \
	{                         \
		.is_exec = false, \
	}

/*
 * The directories of the container's cgroup, from BUNDLE/reaper.json. ERR_NOT_FOUND when the shim
 * has left no record.
 */
int load_cgroup(struct loaded *l, const char *bundle, struct err *err);

/*
 * config.json, reaper.conf with environment and annotations, the policy, the places, the group, the
 * host's hierarchies. `ns`, `id`: containerd's namespace and the container's id.
 */
int load_bundle(struct loaded *l, const char *bundle, const char *ns, const char *id,
	char *const *env, struct err *err);

/*
 * The user that an annotation names, if one does: looked up on the node and kept in the bundle, or,
 * for an exec, as it stands there. `watch_fd`: see identity_lookup.
 */
int load_identity(struct loaded *l, const char *bundle, int watch_fd, struct err *err);

/* The process object of an exec, from a descriptor. */
int load_exec_process(struct loaded *l, int fd, struct err *err);

void loaded_done(struct loaded *l);

/* Fills the plan's input from it and from this machine (memory, capabilities). */
int load_plan_input(
	const struct loaded *l, bool nodes_dead, struct plan_input *ret_in, struct err *err);
