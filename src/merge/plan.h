/*
 * What has to be done to containerd's configuration, found without writing anything: which file,
 * which bytes instead of which, and the proof by the daemon's own program that the difference is
 * our runtime and nothing else. docs/CONFIG-MERGE.md tells the reasons.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include "cli/cli.h"
#include "node/confset.h"
#include "node/daemon.h"
#include "cli/report.h"
#include "merge/stanza.h"

struct plan {
	const char *handler; /* the runtime's name; borrowed from the command line */
	struct daemon daemon;
	struct confset set;
	size_t target;            /* index of the file that our block stands in, or will */
	size_t source;            /* > 0: the file that file 0 is rendered from; it is the target */
	const char *source_start; /* what it begins with when it is made */
	bool drop_in;             /* the target is a file of our own that the root imports */
	unsigned version;         /* whose names count in the target; 0: none yet; 1: unversioned */
	unsigned put_version;     /* > 0: the block says it, for nothing else in the file does */
	bool has_block;           /* in the target file, before */
	struct stanza_block block;
	bool write;  /* the bytes below are to be written */
	bool create; /* the file does not exist */
	char *after; /* the whole file afterwards */
	size_t after_len;
	size_t at, cut, add; /* `cut` bytes at `at` of the old text become `add` bytes of `after` */
	char *default_runtime;
	int systemd_cgroup; /* its SystemdCgroup: 1, 0; -1: it says nothing */
	char *address;      /* of the daemon's gRPC socket */
};

#define PLAN_INIT                                                                      \
	{                                                                              \
		.handler = STANZA_HANDLER, .daemon = DAEMON_INIT, .set = CONFSET_INIT, \
		.systemd_cgroup = -1                                                   \
	}

/*
 * Fills the plan and the report: REASON_CHANGE with plan->write, REASON_OK or REASON_ADOPTED when
 * nothing is to be done, REASON_NO_CONTAINERD, or a refusal. Returns the report's exit status.
 */
int plan_make(const struct cli_args *args, struct plan *p, struct report *rep);
void plan_done(struct plan *p);

/* Reads the files of p->daemon into p->set, which is empty. 0, or the report's exit status. */
int plan_load_files(struct plan *p, struct report *rep);

/* The file to be changed. */
const struct conf_file *plan_file(const struct plan *p);

/* The handler that the command line names, or the usual one. */
const char *plan_handler(const struct cli_args *args);

/* Whether this is the name of a file of our own (drop_in.c). */
bool drop_in_is_ours(const struct plan *p, const char *path);
