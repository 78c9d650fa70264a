/* One container of the shim's pod: its first process, its execs, its cgroup, and what must be done
 * at each end. */
#pragma once

#include "cgroup/cgroup.h"
#include "oci/annotations.h"
#include "oci/spec.h"
#include "recorder/recorder.h"
#include "shim/ending.h"
#include "shim/hooks.h"
#include "shim/oom.h"
#include "shim/pause.h"
#include "shim/process.h"
#include "shim/update.h"
#include "shim/scope.h"

struct shim;
struct ttrpc_call;
struct audience;

struct container {
	struct list node;
	struct shim *shim;
	const struct audience *audience; /* answers.h */
	char *id, *bundle, *group;
	char **swept;    /* volumes that are not to stay in that group */
	char *view;      /* key of the group whose view it gets; NULL: none, a sandbox */
	char *snapshot;  /* where what its group writes may lie; NULL: not with it */
	uint8_t *rootfs; /* the mounts that Create named, packed, until its event is out */
	size_t rootfs_len;
	enum oci_container_type type;
	bool pidns_own; /* its first process is pid 1 of a pid namespace: its end is everybody's */
	bool pidns_joined; /* it lives in another container's pid namespace */
	struct cgroup cgroup;
	char *unit, *slice; /* the scope of systemd's that it is in; NULL: none */
	struct timespec created;
	struct process init;
	struct list execs;

	unsigned hook_stages; /* HOOKS_… that the spec has */
	struct hooks hooks;
	void (*after_poststop)(struct container *c);
	uint64_t exit_grace_ms;
	bool creating;               /* the Create call is not answered yet */
	bool deleting;               /* out of the shim's table; Delete is at work */
	bool abandoned;              /* … and nobody is told of it: container_abandon() */
	bool emptied;                /* … and its cgroup is empty */
	bool removed;                /* … and gone */
	bool poststop;               /* … and its last hooks have run */
	struct scope_job *scope_job; /* its scope is being stopped */
	struct ending ending;
	struct oom oom;
	struct recorder *recorder; /* NULL: nothing is recorded of it */
	struct pause pause;
	struct update update;
	struct event_timer limit; /* how long the end, or Delete, may take */
	struct event_timer again; /* its cgroup was busy */
	bool overdue;             /* what does not end is not waited for any more */
	struct list deleters;
};

/* What Create asked for; strings are borrowed for the call. */
struct container_request {
	const char *id, *bundle;
	const char *snapshot; /* snapshots.h; NULL: none */
	struct stdio_paths stdio;
	const struct audience *audience;
	const struct oci_spec *sandbox; /* NULL: the bundle's config.json says what it is */
};

/*
 * Begins a container; `call` is answered when its first process waits at the gate, or with the
 * reason why there is none (then nothing of it is left). On -errno nothing was begun and `call` is
 * still the caller's.
 */
int container_create(struct shim *shim, const struct container_request *request,
	struct ttrpc_call *call, struct container **ret_container, struct err *err);

/* Finds a process: `exec_id` "" is the first. ERR_NOT_FOUND. */
int container_process(
	struct container *c, const char *exec_id, struct process **ret_process, struct err *err);

/* Registers an exec; `spec_json` is the OCI process object. */
int container_add_exec(struct container *c, const char *exec_id, const struct stdio_paths *stdio,
	const char *spec_json, size_t spec_len, struct err *err);

/* Start of the first process or of an exec; answers `call` when its program runs, or why not. */
int container_start(
	struct container *c, struct process *p, struct ttrpc_call *call, struct err *err);

/* Kill; `all`: everything in the cgroup. */
int container_kill(struct container *c, struct process *p, uint32_t sig, bool all, struct err *err);

/* Delete of the whole container: answers `call` when nothing of it is left. */
int container_delete(struct container *c, struct ttrpc_call *call, struct err *err);

/* Ends it in whatever state it is and deletes it, for the Sandbox service: `call` is answered when
 * nothing of it is left. */
void container_end(struct container *c, struct ttrpc_call *call);

/*
 * For `delete`: containerd has lost this shim, tells the end itself, and will not ask for it again
 * (cleanupAfterDeadShim of its core/runtime/v2/shim.go). It is ended in whatever state it is,
 * without an event of ours; `call` is answered when nothing of it is left. What cannot be taken
 * away is an error and is left to `delete`, and the container is let go of all the same.
 */
void container_abandon(struct container *c, struct ttrpc_call *call);

/* Delete of an exec: answers `call` when what it wrote is delivered, or its client does not read.
 */
int container_delete_exec(struct process *p, struct ttrpc_call *call, struct err *err);

/* pid, status and time of an end, for the answer to Delete. */
struct exit_info {
	uint32_t pid, status;
	struct timespec at;
};

/* From process.c: init reported that everything is there but the hooks, that it is ready, or that
 * the program runs. */
void container_process_prepared(struct container *c, struct process *p);
void container_process_ready(struct container *c, struct process *p);
void container_process_runs(struct container *c, struct process *p);

/* From stream/stdio.c by way of process.c: all output of a process (ctx) is delivered and closed.
 */
void container_drained(struct stdio *io, void *ctx);

/* What process_heard() waited for is there. */
void container_process_heard(struct process *p);

/* From oom.c: what oom_told() waited for is there. */
void container_oom_told(struct container *c);

/* From shim.c: a child was reaped; true if it was one of this container's, or a logger of it. */
bool container_reaped(struct container *c, pid_t pid, uint32_t status);

/* Pids of everything in it, its first process always among them while it is not deleted. Caller
 * frees. */
int container_pids(struct container *c, pid_t **ret_pids, size_t *ret_n, struct err *err);
