/*
 * Everything that is checked of a node, as one table: `reaperctl doctor` goes through all of it,
 * and so do the unit at boot and the playbooks; `containerd verify` through the rows about
 * containerd, and docs/CHECKS.md lists it. A row has a stable id, a class (which decides the exit
 * status), what is true when it is passed, and the remedy.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include "cli/cli.h"
#include "merge/plan.h"

/* In the order in which they are checked; the exit status is that of the first class that failed.
 */
enum check_class {
	CHECK_NODE,    /* the kernel and its file systems */
	CHECK_INSTALL, /* our programs and settings */
	CHECK_CONFIG,  /* containerd's files */
	CHECK_DAEMON,  /* the running containerd */
	CHECK_TASK,    /* a throw-away task */
	CHECK_LEFT,    /* what is left behind */
	_CHECK_CLASS_MAX,
};

enum { CHECK_EXIT_FIRST = 11 }; /* … + enum check_class */

enum check_result {
	CHECK_PASSED, /* with a text in `why`: what is in force here */
	CHECK_FAILED,
	CHECK_SKIPPED, /* cannot be said: one before it failed, or nobody asked for it */
};

/* What the probes share: one look at containerd, one task. */
struct check_ctx {
	const struct cli_args *args;
	struct plan plan;
	struct report report;
	bool judged;
	struct check_task *task; /* check_task.c */
};

struct check;
typedef enum check_result (*check_probe)(
	struct check_ctx *ctx, const struct check *check, struct err *why);

/*
 * What --fix does, which never touches what somebody uses; with `dry_run` only the words for it.
 * How many things were done (would be), with one of them in words; or -errno, with the reason.
 */
typedef int (*check_fix)(struct check_ctx *ctx, bool dry_run, struct err *what);

struct check {
	const char *id; /* stable: playbooks compare it */
	enum check_class class;
	check_probe probe;
	const char *text;           /* what holds when it is passed */
	const char *remedy;         /* when it does not; a report of containerd's has its own */
	const enum reason *reasons; /* probe of containerd: the reasons that mean this row; last:
				       _REASON_MAX */
	check_fix fix;              /* NULL: nothing that is safe without a person */
};

struct check_finding {
	enum check_result result;
	struct err why;
	struct err fixed; /* what --fix did or would do; its kind is ERR_NONE */
};

const struct check *check_table(size_t *ret_n);

/*
 * Goes through the rows of these classes, in the table's order; `found` has one element for each
 * row of the table and may be NULL. The first row that failed, or NULL.
 */
const struct check *check_run(struct check_ctx *ctx, enum check_class first, enum check_class last,
	struct check_finding *found);
const char *check_class_name(enum check_class class);

/* Probes of check_node.c. */
enum check_result check_kernel(struct check_ctx *, const struct check *, struct err *why);
enum check_result check_overlayfs(struct check_ctx *, const struct check *, struct err *why);
enum check_result check_cgroups(struct check_ctx *, const struct check *, struct err *why);
enum check_result check_shim(struct check_ctx *, const struct check *, struct err *why);
enum check_result check_runtime(struct check_ctx *, const struct check *, struct err *why);
enum check_result check_shadow(struct check_ctx *, const struct check *, struct err *why);
enum check_result check_settings(struct check_ctx *, const struct check *, struct err *why);

/* Probes of check_feature.c. */
enum check_result check_pidfd(struct check_ctx *, const struct check *, struct err *why);
enum check_result check_openat2(struct check_ctx *, const struct check *, struct err *why);
enum check_result check_mount_api(struct check_ctx *, const struct check *, struct err *why);
enum check_result check_mount_setattr(struct check_ctx *, const struct check *, struct err *why);
enum check_result check_mount_groups(struct check_ctx *, const struct check *, struct err *why);
enum check_result check_seccomp(struct check_ctx *, const struct check *, struct err *why);
enum check_result check_device_rules(struct check_ctx *, const struct check *, struct err *why);
enum check_result check_controllers(struct check_ctx *, const struct check *, struct err *why);
enum check_result check_lsm(struct check_ctx *, const struct check *, struct err *why);

/* Probes of check_state.c and check_room.c. */
enum check_result check_cgroup_driver(struct check_ctx *, const struct check *, struct err *why);
enum check_result check_clock(struct check_ctx *, const struct check *, struct err *why);
enum check_result check_denials(struct check_ctx *, const struct check *, struct err *why);
enum check_result check_run_room(struct check_ctx *, const struct check *, struct err *why);
enum check_result check_upper_room(struct check_ctx *, const struct check *, struct err *why);
enum check_result check_disk_room(struct check_ctx *, const struct check *, struct err *why);

/* Probes of check_left.c. */
enum check_result check_mounts(struct check_ctx *, const struct check *, struct err *why);
enum check_result check_cgroups_left(struct check_ctx *, const struct check *, struct err *why);
enum check_result check_processes_left(struct check_ctx *, const struct check *, struct err *why);
int fix_mounts(struct check_ctx *, bool dry_run, struct err *what);
int fix_cgroups_left(struct check_ctx *, bool dry_run, struct err *what);

/* Probe of check_image.c. */
enum check_result check_image(struct check_ctx *, const struct check *, struct err *why);
int fix_image(struct check_ctx *, bool dry_run, struct err *what);

/* Probes of check_view.c. */
enum check_result check_landlock(struct check_ctx *, const struct check *, struct err *why);
enum check_result check_view_fresh(struct check_ctx *, const struct check *, struct err *why);
enum check_result check_trust(struct check_ctx *, const struct check *, struct err *why);
enum check_result check_policy(struct check_ctx *ctx, const struct check *c, struct err *why);
enum check_result check_filter(struct check_ctx *, const struct check *, struct err *why);

/*
 * Probes of check_task.c: a task of `ctr`, which is gone afterwards. Only
 * with --task.
 */
enum check_result check_task_start(struct check_ctx *, const struct check *, struct err *why);
enum check_result check_task_cgroup(struct check_ctx *, const struct check *, struct err *why);
enum check_result check_task_overlay(struct check_ctx *, const struct check *, struct err *why);
enum check_result check_task_write(struct check_ctx *, const struct check *, struct err *why);
enum check_result check_task_exec(struct check_ctx *, const struct check *, struct err *why);
enum check_result check_task_exit(struct check_ctx *, const struct check *, struct err *why);
void check_task_done(struct check_ctx *ctx);

/* `reaperctl doctor`. */
int doctor_command(const struct cli_args *args);
