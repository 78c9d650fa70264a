/*
 * The containers of this node, as their records and processes show them: no daemon and no shim is
 * asked, so that the answer is there when they are not.
 */
#pragma once

#include <stdbool.h>
#include <sys/types.h>
#include "base/err.h"
#include "store/record.h"

/* Where containerd keeps bundles: below it are namespaces, and in these the bundles. */
#define CONTAINERS_ROOT "/run/containerd/io.containerd.runtime.v2.task"

enum container_status {
	CONTAINER_CREATED, /* waits to be started */
	CONTAINER_RUNNING,
	CONTAINER_PAUSED, /* all of its cgroup stands still */
	CONTAINER_STOPPED,
	_CONTAINER_STATUS_MAX
};

struct container_info {
	char *bundle; /* absolute */
	struct store_record record;
	enum container_status status;
};

struct containers {
	struct container_info *v; /* by namespace, then by id */
	size_t n;
	pid_t *shims; /* processes of the shims, the pods' sandboxes among them */
	size_t n_shims;
	char **warnings; /* bundles with a record that cannot be read, and why */
};

#define CONTAINERS_INIT   \
	{                 \
		.v = NULL \
	}

/*
 * Looks in CONTAINERS_ROOT, where running shims have their bundles (a containerd with another state
 * directory) and where a `reaper-runtime run` is at work. `ns`: only this namespace (NULL: all).
 * ERR_PERMISSION without root.
 */
int containers_find(const char *ns, struct containers *ret_containers, struct err *err);
void containers_done(struct containers *c);

/* Whether this first process of a container still waits to be started. */
bool containers_waits_at_gate(pid_t pid);

/* The one with this id. ERR_NOT_FOUND; ERR_INVALID when several namespaces have one. */
int containers_get(const struct containers *c, const char *id,
	const struct container_info **ret_info, struct err *err);

/* Whether a process is one that looks after containers: a shim, or a `reaper-runtime run`. */
bool containers_is_keeper(pid_t pid);
