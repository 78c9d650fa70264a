/*
 * What a container uses, as the Stats call answers it: io.containerd.cgroups.v1.Metrics or
 * v2.Metrics, by what the host has (containerd decodes one of them only, by its own look at the
 * host: a hybrid host is a v1 one). A part that nothing on this host counts is absent, not 0.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>
#include "base/err.h"
#include "cgroup/cgroup.h"
#include "cgroup/host.h"

struct stats {
	const char *type_url; /* a constant */
	uint8_t *data;        /* the caller's to free */
	size_t len;
};

/* Reads and encodes. ERR_EXHAUSTED without memory; what cannot be read is absent. */
int stats_collect(
	const struct cgroup *cg, enum cgroup_mode mode, struct stats *ret_stats, struct err *err);
