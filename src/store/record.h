/*
 * The record of one container in its bundle (reaper.json, 0600): all that is needed to end the
 * workload and to answer `delete` when the shim is gone. Written before the process is released,
 * and once more when its exit is known. JSON with a version; a reader accepts unknown fields, and
 * missing ones too: half a record still ends half of what is left.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <time.h>
#include "base/err.h"

#define STORE_RECORD_NAME "reaper.json"

enum {
	STORE_RECORD_VERSION = 1,
	STORE_RECORD_MAX = 256 << 10, /* bytes */
	STORE_CGROUPS_MAX = 16,
	STORE_LOGGERS_MAX = 512, /* further ones are not recorded */
};

struct store_process {
	pid_t pid; /* in the shim's pid namespace */
	uint64_t
		start_ticks; /* see base/proc.h: proc_open tells whether it is still that process */
};

struct store_record {
	char *id, *ns, *group; /* container id, containerd namespace, group key of the shim */
	char *view;            /* key of the group whose view it has (group.h); NULL: none */
	char **swept;          /* volumes that are not to stay in that group (view/sweep.h) */
	char *runtime_version; /* of the shim that wrote it */
	bool sandbox;          /* the built-in sleeper of a pod */
	bool own_pidns;        /* init is pid 1 of its own pid namespace: its end ends everything */
	pid_t init_pid; /* in the shim's pid namespace; 0 = never made, or of an earlier boot */
	uint64_t init_start_ticks;     /* see base/proc.h: proc_open tells whether it is still that
					  process */
	struct store_process *loggers; /* of it and of its execs; none of an earlier boot */
	size_t n_loggers;
	char **cgroups;     /* absolute host paths, at most STORE_CGROUPS_MAX, each absolute and
			       without ".." */
	char *unit, *slice; /* systemd's scope that holds it; NULL: none */
	char *snapshot;     /* where its group's writes lie (view/snapshot.h); NULL: elsewhere */
	struct timespec created; /* 0 = not known */
	bool exited;
	uint32_t exit_status;
	struct timespec exited_at;
};

#define STORE_RECORD_INIT   \
	{                   \
		.id = NULL, \
	}

/*
 * Replaces the record in the bundle (a directory descriptor, AT_FDCWD allowed) atomically: a reader
 * sees the old or the new one. The boot id is added here.
 */
int store_record_write(int bundle_fd, const struct store_record *record, struct err *err);

/* A field was unreadable (wrong type, out of range) and is left at zero; `err` names the first. */
enum { STORE_RECORD_PARTIAL = 1 };

/*
 * Reads it. 0, STORE_RECORD_PARTIAL, or: -ENOENT when there is none; ERR_INVALID when it is no
 * JSON object or too large; ERR_UNIMPLEMENTED when a newer version wrote it. The init of another
 * boot is answered as init_pid 0: its pid means nothing any more.
 */
int store_record_read(int bundle_fd, struct store_record *ret_record, struct err *err);

/* The same for text in memory. */
int store_record_parse(
	const char *text, size_t len, struct store_record *ret_record, struct err *err);

/*
 * Claims the right to run the container's poststop hooks, for which the shim and `delete` may
 * compete: 1 for the first one ever to ask for this bundle, 0 for all others, or -errno.
 */
int store_claim_poststop(int bundle_fd);

void store_record_done(struct store_record *record);
