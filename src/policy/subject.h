/* What a bundle asks for, in the terms of the policy's conditions. */
#pragma once

#include "conf/settings.h"
#include "oci/spec.h"
#include "policy/policy.h"

/*
 * What CRI and ctr write for `privileged`: all of `caps_available`, nothing masked or read-only,
 * /sys writable. A spec that has only a part of it is not.
 */
bool policy_is_privileged(const struct oci_spec *spec, uint64_t caps_available);

/*
 * Fills everything but the user. `p` is the process that is to start: the spec's own or an exec's.
 * A namespace that the spec joins by path is the host's if it is that of process 1 (CRI writes the
 * sandbox's paths also for hostNetwork and hostPID). `privileged`: policy_is_privileged. An error
 * if a path cannot be looked at, or a capability is unknown. All borrowed from the arguments.
 */
int policy_subject(const struct oci_spec *spec, const struct oci_process *p,
	const struct settings *settings, bool privileged, struct policy_subject *ret_subject,
	struct err *err);
