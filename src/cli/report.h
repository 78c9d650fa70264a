/*
 * What a command of `reaperctl containerd` has to say at its end: one outcome, one reason with a
 * stable code, what and why in words, and the exact command that comes next. Printed as a line for
 * people or as one JSON object for playbooks; the exit status follows from the outcome and reason.
 */
#pragma once

#include <stdbool.h>
#include <stdio.h>
#include "base/macro.h"
#include "base/str.h"

enum report_exit {
	REPORT_OK = 0,
	REPORT_USAGE = 2,
	REPORT_REFUSED = 3, /* nothing was written */
	REPORT_UNDONE = 4,  /* written, did not work, taken back */
	REPORT_BROKEN = 5,  /* could not be taken back */
	REPORT_LOCKED = 6,  /* somebody else was faster */
	REPORT_CHANGE = 10, /* plan: there is something to do */
};

enum outcome {
	OUTCOME_UNCHANGED,
	OUTCOME_CHANGED,
	OUTCOME_PENDING,
	OUTCOME_REFUSED,
	OUTCOME_FAILED
};

/*
 * code (stable: playbooks compare it), outcome, exit status, the next step: {unit} becomes the
 * daemon's unit, and a "reaperctl containerd VERB" gets the options that say where
 */
#define REASONS(X)                                                                                \
	X(OK, "ok", UNCHANGED, OK, NULL)                                                          \
	X(CHANGED, "changed", CHANGED, OK, NULL)                                                  \
	X(REMOVED, "removed", CHANGED, OK, NULL)                                                  \
	X(ADOPTED, "adopted", UNCHANGED, OK, NULL)                                                \
	X(NOTHING_TO_UNDO, "nothing-to-undo", UNCHANGED, OK, NULL)                                \
	X(CHANGE, "change", PENDING, CHANGE, "reaperctl containerd apply")                        \
	X(DAEMON_DOWN, "daemon-not-running", CHANGED, OK,                                         \
		"start containerd, then: reaperctl containerd verify")                            \
	X(NO_RESTART, "restart-needed", CHANGED, OK,                                              \
		"systemctl restart {unit}, then: reaperctl containerd verify")                    \
	X(UNDO_NO_RESTART, "restart-needed", CHANGED, OK, "systemctl restart {unit}")             \
	X(STILL_NO_RESTART, "restart-needed", UNCHANGED, OK,                                      \
		"systemctl restart {unit}, then: reaperctl containerd verify")                    \
	X(NO_CONTAINERD, "no-containerd", PENDING, OK,                                            \
		"install containerd, then: reaperctl containerd apply")                           \
	X(IN_VIEW, "inside-a-view", UNCHANGED, OK,                                                \
		"run it on the node itself, not in one of its pods")                              \
	X(NO_PROC, "no-proc", PENDING, OK, "mount /proc, then: reaperctl containerd apply")       \
	X(E_NO_CONTAINERD, "E_NO_CONTAINERD", REFUSED, REFUSED,                                   \
		"install containerd or name it with --containerd, then: reaperctl containerd "    \
		"apply")                                                                          \
	X(E_NOT_CONFIGURED, "E_NOT_CONFIGURED", REFUSED, REFUSED, "reaperctl containerd apply")   \
	X(E_NOT_EFFECTIVE, "E_NOT_EFFECTIVE", REFUSED, REFUSED, "reaperctl containerd apply")     \
	X(E_NO_SHIM, "E_NO_SHIM", REFUSED, REFUSED,                                               \
		"install containerd-shim-reaper-v2 to /usr/bin, then: reaperctl containerd "      \
		"verify")                                                                         \
	X(E_NOT_LOADED, "E_NOT_LOADED", REFUSED, REFUSED,                                         \
		"systemctl restart {unit}, then: reaperctl containerd verify")                    \
	X(E_NOT_HEALTHY, "E_NOT_HEALTHY", REFUSED, REFUSED, "journalctl -u {unit} -n 50")         \
	X(E_SYNTAX, "E_SYNTAX", REFUSED, REFUSED,                                                 \
		"correct that line of the file, then: reaperctl containerd plan")                 \
	X(E_UNVERSIONED, "E_UNVERSIONED", REFUSED, REFUSED,                                       \
		"on containerd 2.0 or newer: containerd config migrate; on 1.x put \"version = "  \
		"2\" at the top and use version 2 names, then: reaperctl containerd plan; or "    \
		"reaperctl containerd apply --allow-unversioned")                                 \
	X(E_HANDLER, "E_HANDLER", REFUSED, USAGE, "name another with --handler")                  \
	X(E_STRICT, "E_STRICT", REFUSED, REFUSED,                                                 \
		"put right what the message says, or leave --strict out")                         \
	X(E_NO_DROP_IN, "E_NO_DROP_IN", REFUSED, REFUSED,                                         \
		"reaperctl containerd apply --strategy block")                                    \
	X(E_VERSION, "E_VERSION", REFUSED, REFUSED,                                               \
		"set a configuration version this containerd knows, then: reaperctl containerd "  \
		"plan")                                                                           \
	X(E_CRI_DISABLED, "E_CRI_DISABLED", REFUSED, REFUSED,                                     \
		"take the CRI plugin out of disabled_plugins, then: reaperctl containerd apply")  \
	X(E_NO_CRI, "E_NO_CRI", REFUSED, REFUSED, "install a containerd that has its CRI plugin") \
	X(E_INLINE_RUNTIMES, "E_INLINE_RUNTIMES", REFUSED, REFUSED,                               \
		"write the inline table as [headers], then: reaperctl containerd plan")           \
	X(E_ESCAPED_KEY, "E_ESCAPED_KEY", REFUSED, REFUSED,                                       \
		"write that header without escape sequences, then: reaperctl containerd plan")    \
	X(E_CONFLICT, "E_CONFLICT", REFUSED, REFUSED,                                             \
		"take that runtime out of the file, then: reaperctl containerd apply")            \
	X(E_EDITED_BLOCK, "E_EDITED_BLOCK", REFUSED, REFUSED,                                     \
		"reaperctl containerd apply --force (keeps a copy of the edited text)")           \
	X(E_BROKEN_BLOCK, "E_BROKEN_BLOCK", REFUSED, REFUSED,                                     \
		"remove what is left of the marked block by hand, then: reaperctl containerd "    \
		"apply")                                                                          \
	X(E_GENERATED_FILE, "E_GENERATED_FILE", REFUSED, REFUSED,                                 \
		"put that source in its place, then: reaperctl containerd apply")                 \
	X(E_UNFIT_SYSTEM, "E_UNFIT_SYSTEM", REFUSED, REFUSED,                                     \
		"use a node with another operating system")                                       \
	X(E_IMPORTS, "E_IMPORTS", REFUSED, REFUSED,                                               \
		"correct the imports of the file, then: reaperctl containerd plan")               \
	X(E_BASELINE, "E_BASELINE_UNHEALTHY", REFUSED, REFUSED,                                   \
		"repair containerd's configuration first (containerd config dump), then: "        \
		"reaperctl "                                                                      \
		"containerd plan")                                                                \
	X(E_NO_PROOF, "E_NO_PROOF", REFUSED, REFUSED,                                             \
		"report this with the output of: containerd config dump")                         \
	X(E_FILE, "E_FILE", REFUSED, REFUSED,                                                     \
		"see that it is a file that can be read and written, then: reaperctl containerd " \
		"apply")                                                                          \
	X(E_STATE_DIR, "E_STATE_DIR", REFUSED, REFUSED,                                           \
		"make /var/lib/reaper writable, then: reaperctl containerd apply")                \
	X(E_KILL_MODE, "E_KILL_MODE", REFUSED, REFUSED,                                           \
		"drain the node, then: reaperctl containerd apply --force")                       \
	X(E_DEFAULT_RUNTIME, "E_DEFAULT_RUNTIME", REFUSED, REFUSED,                               \
		"set default_runtime_name to another runtime, or: reaperctl containerd undo "     \
		"--force")                                                                        \
	X(E_IN_USE, "E_IN_USE", REFUSED, REFUSED,                                                 \
		"delete the node's Reaper pods, or: reaperctl containerd undo --force")           \
	X(E_LOCKED, "E_LOCKED", FAILED, LOCKED, "wait for the other reaperctl, then try again")   \
	X(E_CHANGED, "E_CONCURRENT_EDIT", FAILED, LOCKED, "reaperctl containerd apply")           \
	X(E_UNDONE, "E_UNDONE", FAILED, UNDONE, "journalctl -u {unit} -n 50")                     \
	X(E_UNDO_FAILED, "E_UNDO_FAILED", FAILED, BROKEN,                                         \
		"journalctl -u {unit} -n 50; the original file lies in "                          \
		"/var/lib/reaper/containerd/backups")                                             \
	X(NO_IMAGE, "image-not-imported", CHANGED, OK, "reaperctl image import")                  \
	X(E_INTERNAL, "E_INTERNAL", REFUSED, REFUSED, "report this message")

enum reason {
#define X(name, code, outcome, exit, next) REASON_##name,
	REASONS(X)
#undef X
		_REASON_MAX
};

struct report {
	enum reason reason;
	char message[2048];
	char strategy[16]; /* none, adopt, block, drop-in, create; undo: restore, block, table */
	char why[512];     /* this strategy and not another; "" if there is nothing to say */
	char handler[64];
	char unit[128];
	char where[1024]; /* the options of this run that say where, for the next one */
	unsigned version; /* of the configuration file; 0: not known */
	char config[512];
	bool restart; /* it was restarted, or plan: it would be */
	char containerd[64];
	char proof[16]; /* oracle, or none */
	char check[32]; /* verify: id of the row of check.c that failed */
	char hash_before[65], hash_after[65];
	char **notes;         /* further lines a person should read */
	unsigned warnings;    /* notes that --strict does not let pass */
	size_t first_warning; /* index of notes */
};

#define REPORT_INIT                                 \
	{                                           \
		.strategy = "none", .proof = "none" \
	}

void report_done(struct report *r);

/* Sets reason and message and returns the exit status that goes with the reason. */
int report_set(struct report *r, enum reason reason, const char *fmt, ...) PRINTF_LIKE(3, 4);

/* The options that a next step must repeat, and the unit. */
struct cli_args;
void report_where(struct report *r, const struct cli_args *args, const char *unit);

/* A further line; dropped when there is no memory for it. */
void report_note(struct report *r, const char *fmt, ...) PRINTF_LIKE(2, 3);

/* As report_note, of something that may do harm later: with --strict it refuses. */
void report_warn(struct report *r, const char *fmt, ...) PRINTF_LIKE(2, 3);

const char *report_code(enum reason reason);
int report_exit(enum reason reason);
bool report_is_error(enum reason reason);

/*
 * Prints: as one JSON object on stdout, or a line on stdout (an error: on stderr) followed by notes
 * and the next step. Returns the exit status.
 */
int report_print(const struct report *r, bool json);

/* The same as text, but not a word when nothing had to be done and nothing is to be noted. */
int report_print_change(const struct report *r);

/* Whether that stream is a terminal and nobody asked for no colours (NO_COLOR). */
bool report_wants_colour(FILE *out);
