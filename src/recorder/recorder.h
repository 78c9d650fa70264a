/*
 * The flight recorder: one record for each start, exit, refusal and exec of a workload, to the
 * journal and to a file on the node (docs/OPERATIONS.md has the fields). Nothing of a workload's
 * environment is in it, and what mask.h knows of its arguments is not either.
 *
 * A recorder holds what is the same in all records of one container; nothing is open between two
 * records.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include <time.h>
#include "base/err.h"
#include "conf/settings.h"
#include "oci/annotations.h"
#include "oci/spec.h"

enum recorder_event {
	RECORDER_START,   /* its program runs */
	RECORDER_EXIT,    /* nothing of it runs any more */
	RECORDER_REFUSED, /* it was not started, and why */
	RECORDER_EXEC,    /* a further program runs in it */
	RECORDER_EXEC_EXIT,
};

/* What a group of workloads has written so far; `known` is false where nothing counts it. */
struct recorder_usage {
	bool known;
	uint64_t bytes, files;
};

struct recorder {
	enum history_mode mode;
	char *file; /* NULL: journal only */
	uint64_t max;
	char *id, *ns; /* container's id, containerd's namespace */
	struct oci_pod_names names;
	char *group, *written; /* key of its group; directory of what it has written */
	struct recorder_usage before;
	char **command; /* masked and cut */
	char *user;     /* by name, of an annotation */
	uid_t uid;      /* of the spec */
	gid_t gid;
	bool sandbox;
};

#define RECORDER_INIT       \
	{                   \
		.id = NULL, \
	}

/* Begins one. `spec` NULL: nothing is known but the id. On -ENOMEM nothing is held. */
int recorder_init(struct recorder *r, const struct oci_spec *spec, const struct settings *settings,
	const char *ns, const char *id);

/* Its group, and the directory whose tmpfs takes what it writes. -ENOMEM. */
int recorder_set_group(struct recorder *r, const char *key, const char *base_dir);

/* How much its group holds, which is there, before its program has written anything. */
void recorder_measure(struct recorder *r);

void recorder_done(struct recorder *r);

/* One thing that has happened; what is 0 or NULL is not known or does not apply. */
struct recorder_moment {
	enum recorder_event event;
	const char *exec_id;
	const struct oci_process *exec; /* of an exec: its program */
	pid_t pid;                      /* START, EXEC: it is asked who it is */
	struct timespec created, exited;
	uint32_t status;
	bool oom;
	const struct err *why; /* REFUSED */
};

/*
 * Writes one record. Never waits. The journal is not asked whether it has it; an error is the
 * file's. A sandbox, which runs nothing of anybody's, has records of refusals only.
 */
int recorder_write(struct recorder *r, const struct recorder_moment *moment, struct err *err);
