/* A pod's manifest as JSON, in the terms of the policy's conditions. */
#pragma once

#include "base/json.h"
#include "policy/policy.h"

/*
 * Calls `tell` with each container, also init and ephemeral ones, as CRI would start it from the
 * image reaper.local/host. What the manifest leaves out is what Kubernetes takes. -errno of the
 * first that is malformed; `tell` cannot fail.
 */
int policy_pod_each(const struct json_ref *pod,
	void (*tell)(void *arg, const char *name, const struct policy_subject *subject), void *arg,
	struct err *err);
