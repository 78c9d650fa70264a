/*
 * The steps that change a node, shared by apply and undo: lock, write with a journal, restart and
 * look whether the daemon is well, take back.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include "cli/cli.h"
#include "node/daemon.h"
#include "node/health.h"
#include "merge/journal.h"
#include "merge/plan.h"
#include "cli/report.h"

/*
 * The lock that orders runs of reaperctl: a flock of the configuration file's directory (or the
 * nearest one that exists), so that not even a refused run leaves a lock file behind. Waits at most
 * `timeout_s`. The descriptor, -ETIMEDOUT, or another error.
 */
int change_lock(const char *root, const char *config, uint64_t timeout_s, struct err *err);

/*
 * Finishes what a killed run left: removes a half-made file, and brings the journal to what the
 * file says. *j is the journal then (phase NONE if there is none).
 */
int change_recover(const struct daemon *d, const char *handler, struct journal *j, struct err *err);

/*
 * Writes the plan's bytes with intent and backup on disk first; *j is the journal of them
 * (JOURNAL_WRITTEN). -ESTALE: the file changed since the plan was made, nothing was written. The
 * report is set on any other error (nothing was written either).
 */
int change_write(const struct plan *p, struct journal *j, struct report *rep, struct err *err);

/* Gives the file back the bytes (or the absence) that the journal has. -ESTALE if it has other
 * bytes than the ones written. */
int change_restore(const struct daemon *d, const struct journal *j, struct err *err);

/* Whether there is a running daemon that can be restarted and asked. */
bool change_is_live(const struct cli_args *args, const struct daemon *d);

/*
 * Restarts the daemon and waits until it is healthy as wanted; then units that had stopped with it
 * are started again, which the report notes. 0, or what is wrong.
 */
int change_restart(struct daemon *d, const struct health_want *want, uint64_t timeout_s,
	struct report *rep, struct err *err);

/* The last lines of the daemon's journal as notes. */
void change_note_journal(const struct daemon *d, struct report *rep);
