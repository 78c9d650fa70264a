/*
 * What runs on this node: the containers of the records (groups/containers.h) with what their
 * bundles, processes and cgroups say of them. No daemon and no shim is asked.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "groups/containers.h"
#include "cli/cli.h"
#include "oci/annotations.h"
#include "recorder/identity.h"

struct running {
	const struct container_info *info; /* of `all` */
	struct oci_pod_names names;
	struct identity identity; /* of its first process, while that lives */
	bool has_memory, has_cpu; /* its cgroup counts them */
	uint64_t memory_bytes;    /* now */
	uint64_t cpu_usec;        /* since it was created */
};

struct running_list {
	struct containers all;
	struct running *v; /* without the pods' sandboxes, which run nothing of anybody's */
	size_t n;
};

#define RUNNING_LIST_INIT  \
	{                  \
		.v = NULL, \
	}

/* Finds those that --pod and --namespace name. A record that cannot be read is a line on standard
 * error. ERR_PERMISSION without root. */
int running_find(const struct cli_args *args, struct running_list *ret, struct err *err);
void running_done(struct running_list *list);

/* Whether --pod and --namespace mean it. */
bool running_is_wanted(const struct cli_args *args, const struct oci_pod_names *names);

/* "NAMESPACE/POD CONTAINER", or the id of what has no pod, as a terminal can take it: annotations
 * may be anybody's. The caller frees it; NULL: no memory. */
char *running_name(const struct oci_pod_names *names, const char *id);

/* Reads memory and CPU time anew. */
void running_measure(struct running *r);

/* "12s", "5m", "3h", "2d": how long ago. */
enum { RUNNING_AGE_SIZE = 24 };
void running_age(int64_t seconds, char buf[RUNNING_AGE_SIZE]);

/* "512K", "12.3M", "1.5G" of bytes. */
enum { RUNNING_BYTES_SIZE = 24 };
void running_bytes(uint64_t bytes, char buf[RUNNING_BYTES_SIZE]);

/* "running" … */
const char *running_status(const struct running *r);
