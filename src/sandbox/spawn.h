/* Making the sandbox task (sandbox/child.h) from a sandbox's spec. */
#pragma once

#include "base/err.h"
#include "base/proc.h"
#include "cgroup/cgroup.h"
#include "oci/spec.h"
#include "systemd/scope.h"

/*
 * Forks the sandbox process into its cgroup (which it makes itself if there is a `scope` to be
 * started; NULL: none) and namespaces. `host_namespaces`: HOST_NS_… of
 * conf/settings.h that the site keeps the host's. *ret_control is our end of its control socket; it
 * reports there as `reaper-runtime init` does.
 */
int sandbox_spawn(const char *id, const struct oci_spec *spec, struct cgroup *cgroup,
	const struct systemd_scope *scope, unsigned host_namespaces, struct proc *ret_proc,
	int *ret_control, struct err *err);
