/*
 * What a sandbox is made of when containerd says it by CreateSandbox instead of by a bundle's
 * config.json: CRI's PodSandboxConfig, put into the terms of the OCI specification as containerd's
 * podsandbox controller puts them, so that a pod's sandbox is the same in both ways (containerd
 * internal/cri/server/podsandbox/sandbox_run_linux.go; contract §6.5, §8.3). Pure.
 */
#pragma once

#include "base/err.h"
#include "oci/spec.h"
#include "proto/cri.pb-c.h"

/* The type URL of the options that CRI gives. */
#define SANDBOX_POD_CONFIG_TYPE "runtime.v1.PodSandboxConfig"

/* Strings are borrowed. */
struct sandbox_pod {
	const char *id;
	const Cri__PodSandboxConfig *config; /* NULL: not a pod of CRI's (ctr) */
	const char *netns_path;              /* "": the host's network */
};

/*
 * Fills a spec with namespaces, hostname, sysctls, cgroupsPath and oom_score_adj. Without a config
 * the pod has namespaces of its own. ERR_INVALID: CRI contradicts itself or names no cgroup;
 * ERR_UNIMPLEMENTED: a user namespace. On error nothing is to be freed.
 */
int sandbox_pod_spec(const struct sandbox_pod *pod, struct oci_spec *ret_spec, struct err *err);
