#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "base/cleanup.h"
#include "base/macro.h"
#include "base/str.h"
#include "merge/change.h"
#include "merge/containerd.h"
#include "merge/engine.h"
#include "node/health.h"
#include "node/image.h"
#include "merge/nodeadm.h"
#include "merge/write.h"

enum { ATTEMPTS = 3, BASELINE_TIMEOUT_S = 10 };

static struct health_want plan_want(const struct plan *p, int handler)
{
	return (struct health_want) {.address = p->address,
		.default_runtime = p->default_runtime,
		.name = p->handler,
		.handler = handler};
}

/* What must hold before anything is written: else a failure would be blamed on us. */
static int preflight(const struct cli_args *args, const struct plan *p, struct report *rep)
{
	const struct daemon *d = &p->daemon;
	struct health_want want = plan_want(p, -1);
	struct err err = ERR_INIT;

	if (!args->root && !args->force && containerd_check_shim(d, &err) < 0)
		return report_set(rep, REASON_E_NO_SHIM, "pods of this runtime could not start: %s",
			err.text);
	if (!change_is_live(args, d))
		return 0;
	if (!args->no_restart && !args->force && d->kill_mode &&
		(str_eq(d->kill_mode, "control-group") || str_eq(d->kill_mode, "mixed")))
		return report_set(rep, REASON_E_KILL_MODE,
			"%s has KillMode=%s: its restart ends every pod of the node", d->unit,
			d->kill_mode);
	if (health_wait(d, &want,
		    args->timeout_s < BASELINE_TIMEOUT_S ? args->timeout_s : BASELINE_TIMEOUT_S,
		    &err) < 0)
		return report_set(rep, REASON_E_BASELINE,
			"containerd is not well even before the change: %s", err.text);
	return 0;
}

/* The file as it is now must be what was meant: planned again, there is nothing left to do. */
static int prove_written(const struct cli_args *args, struct err *err)
{
	_cleanup_(plan_done) struct plan again = PLAN_INIT;
	_cleanup_(report_done) struct report rep = REPORT_INIT;

	(void)plan_make(args, &again, &rep);
	if (rep.reason != REASON_OK)
		return err_setf(err, ERR_PRECONDITION, EIO, "read again, %s", rep.message);
	return 0;
}

/* The file as this run found it: with our older block, if it had one, and its journal. */
static int put_file_back(struct plan *p, struct journal *j, struct report *rep, struct err *err)
{
	_cleanup_(write_job_done) struct write_job job = WRITE_JOB_INIT;
	const struct conf_file *f = plan_file(p);
	int r, made = 0;

	if (!p->write || !p->has_block) {
		r = change_restore(&p->daemon, j, err);
		if (r == 0)
			journal_remove(p->daemon.root, p->handler, 0);
		return r;
	}
	r = write_prepare(&job, p->daemon.root, f->name, j->after, f->text, f->len, err);
	if (r == 0)
		r = write_commit(&job, err);
	if (r < 0)
		return r;
	memcpy(j->after, rep->hash_before, sizeof(j->after));
	j->phase = JOURNAL_DONE;
	return journal_save(p->daemon.root, j, &made, err);
}

/* Takes this run's change back; `why` is what went wrong. */
static int take_back(const struct cli_args *args, struct plan *p, struct journal *j,
	const char *why, bool restarted, struct report *rep)
{
	struct daemon *d = &p->daemon;
	struct health_want want = plan_want(p, -1);
	struct err err = ERR_INIT;

	change_note_journal(d, rep);
	if (put_file_back(p, j, rep, &err) < 0)
		return report_set(rep, REASON_E_UNDO_FAILED,
			"%s; and %s could not be given back: %s", why, plan_file(p)->path,
			err.text);
	memcpy(rep->hash_after, rep->hash_before, sizeof(rep->hash_after));
	if (restarted && change_restart(d, &want, args->timeout_s, rep, &err) < 0)
		return report_set(rep, REASON_E_UNDO_FAILED,
			"%s; %s has its old bytes again, but containerd is not well: %s", why,
			plan_file(p)->path, err.text);
	return report_set(rep, REASON_E_UNDONE, "%s; %s has its old bytes again%s", why,
		plan_file(p)->path, restarted ? " and containerd is well" : "");
}

void containerd_import_image(const struct cli_args *args, const struct plan *p, struct report *rep)
{
	struct err err = ERR_INIT;
	bool changed;

	if (image_ensure(p->daemon.program, p->address, "k8s.io", args->timeout_s, &changed, &err) <
		0) {
		report_note(rep, "the image " IMAGE_NAME " could not be imported: %s", err.text);
		if (!report_is_error(rep->reason))
			rep->reason = REASON_NO_IMAGE;
	} else if (changed) {
		report_note(rep, "the image " IMAGE_NAME " was imported");
	}
}

static void finish_journal(const struct daemon *d, struct journal *j)
{
	int made = 0;

	if (j->phase != JOURNAL_WRITTEN)
		return;
	j->phase = JOURNAL_DONE;
	(void)journal_save(d->root, j, &made, NULL); /* WRITTEN is right too, only slower */
}

/* The file is right: makes the daemon take it, and sees that it does. */
static int settle(const struct cli_args *args, struct plan *p, struct journal *j, bool changed,
	struct report *rep)
{
	struct daemon *d = &p->daemon;
	struct health_want want = plan_want(p, 1);
	struct err err = ERR_INIT;

	if (args->root)
		return 0;
	if (!change_is_live(args, d)) {
		if (changed)
			return report_set(rep, REASON_DAEMON_DOWN,
				"%s: the runtime was added; it takes effect when containerd starts "
				"(%s)",
				plan_file(p)->path,
				d->systemd ? "its unit is not active"
					   : "there is no systemd to ask");
		return 0;
	}
	if (!changed && health_wait(d, &want, BASELINE_TIMEOUT_S, &err) == 0) {
		finish_journal(d, j);
		containerd_import_image(args, p, rep);
		return 0;
	}
	if (args->no_restart)
		return report_set(rep, changed ? REASON_NO_RESTART : REASON_STILL_NO_RESTART,
			"%s: the runtime is configured; it takes effect when containerd is "
			"restarted, "
			"which --no-restart leaves to you",
			plan_file(p)->path);
	rep->restart = true;
	if (change_restart(d, &want, args->timeout_s, rep, &err) < 0) {
		if (j->phase == JOURNAL_WRITTEN)
			return take_back(args, p, j, err.text, true, rep);
		change_note_journal(d, rep);
		return report_set(rep, REASON_E_NOT_HEALTHY, "after its restart: %s", err.text);
	}
	finish_journal(d, j);
	if (!changed)
		(void)report_set(rep, REASON_CHANGED,
			"%s was configured; containerd was restarted and has the runtime now",
			plan_file(p)->path);
	containerd_import_image(args, p, rep);
	return 0;
}

static int write_and_settle(
	const struct cli_args *args, struct plan *p, struct journal *j, struct report *rep)
{
	struct err err = ERR_INIT;
	int r = preflight(args, p, rep);

	if (r != 0)
		return r;
	r = change_write(p, j, rep, &err);
	if (r == -ESTALE)
		return r;
	if (r < 0)
		return report_is_error(rep->reason)
			       ? 0
			       : report_set(rep, REASON_E_STATE_DIR, "%s", err.text);
	if (prove_written(args, &err) < 0)
		return take_back(args, p, j, err.text, false, rep);
	(void)report_set(rep, REASON_CHANGED, "%s: the runtime \"%s\" was %s", plan_file(p)->path,
		p->handler, p->has_block ? "updated" : "added");
	return settle(args, p, j, true, rep);
}

/* One try under the lock. -ESTALE: somebody wrote in between. */
static int apply_locked(
	const struct cli_args *args, struct plan *p, struct journal *j, struct report *rep)
{
	bool ours = rep->reason == REASON_CHANGE || rep->reason == REASON_OK;
	int r = 0;

	if (rep->reason == REASON_CHANGE)
		r = write_and_settle(args, p, j, rep);
	else if (ours || rep->reason == REASON_ADOPTED)
		r = settle(args, p, j, false, rep);
	if (ours && r == 0 && !report_is_error(rep->reason))
		nodeadm_write(p, rep);
	return r;
}

int containerd_apply(const struct cli_args *args)
{
	_cleanup_(report_done) struct report rep = REPORT_INIT;
	_cleanup_(plan_done) struct plan plan = PLAN_INIT;
	_cleanup_(journal_done) struct journal journal = JOURNAL_INIT;
	_cleanup_close_ int lock = -EBADF;
	struct err err = ERR_INIT;
	int r;

	if (args->dry_run)
		return containerd_plan(args);
	if (containerd_inside_view(args, &rep))
		return report_print(&rep, args->json);
	for (int attempt = 0; attempt < ATTEMPTS; attempt++) {
		plan_done(&plan);
		report_done(&rep);
		rep = (struct report)REPORT_INIT;
		(void)plan_make(args, &plan, &rep);
		if (!plan.daemon.program || rep.reason == REASON_NO_PROC ||
			report_is_error(rep.reason))
			break;
		if (lock < 0) {
			lock = change_lock(
				plan.daemon.root, plan.daemon.config, args->timeout_s, &err);
			if (lock < 0) {
				(void)report_set(&rep,
					lock == -ETIMEDOUT ? REASON_E_LOCKED : REASON_E_FILE, "%s",
					err.text);
				break;
			}
		}
		journal_done(&journal);
		if (change_recover(&plan.daemon, plan.handler, &journal, &err) < 0) {
			(void)report_set(&rep, REASON_E_STATE_DIR, "%s", err.text);
			break;
		}
		r = apply_locked(args, &plan, &journal, &rep);
		if (r != -ESTALE)
			break;
		(void)report_set(&rep, REASON_E_CHANGED, "%s",
			err.text[0] ? err.text : "the file is being changed by somebody else");
	}
	if (args->diff && !args->json)
		containerd_print_diff(&plan);
	return args->quiet ? report_print_change(&rep) : report_print(&rep, args->json);
}
