#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/str.h"
#include "node/change.h"
#include "node/check.h"
#include "node/containerd.h"
#include "node/containerd_impl.h"
#include "node/health.h"

enum { CHECK_TIMEOUT_S = 10 };

/* The running daemon has the runtime. */
static int verify_live(const struct plan *p, struct report *rep)
{
	struct health_want want = {.address = p->address,
		.default_runtime = p->default_runtime,
		.name = p->handler,
		.handler = 1};
	struct err err = ERR_INIT;

	if (health_wait(&p->daemon, &want, CHECK_TIMEOUT_S, &err) == 0)
		return report_set(rep, REASON_OK, "containerd %s runs with the runtime \"%s\"",
			p->daemon.version, p->handler);
	return report_set(rep,
		err.kind == ERR_NOT_FOUND ? REASON_E_NOT_LOADED : REASON_E_NOT_HEALTHY, "%s",
		err.text);
}

static void note_shadow(const struct plan *p, struct report *rep)
{
	_cleanup_free_ char *path = containerd_shadowing_shim(p->daemon.root);

	if (path)
		report_note(rep,
			"%s comes before the package's program on containerd's PATH: pods run with "
			"it until it is removed",
			path);
}

int containerd_judge(const struct cli_args *args, struct plan *p, struct report *rep)
{
	struct err err = ERR_INIT;

	(void)plan_make(args, p, rep);
	if (rep->reason == REASON_NO_CONTAINERD)
		return report_set(
			rep, REASON_E_NO_CONTAINERD, "there is no containerd on this node");
	if (rep->reason == REASON_NO_PROC)
		return report_exit(rep->reason);
	if (rep->reason == REASON_CHANGE)
		return p->has_block ? report_set(rep, REASON_E_NOT_EFFECTIVE,
					      "%s: the reaper block is there, but is not what it "
					      "should be",
					      rep->config)
				    : report_set(rep, REASON_E_NOT_CONFIGURED,
					      "%s: the runtime \"%s\" is not configured",
					      rep->config, p->handler);
	if (report_is_error(rep->reason))
		return report_exit(rep->reason);
	if (containerd_check_shim(&p->daemon, &err) < 0) {
		if (!args->root)
			return report_set(rep, REASON_E_NO_SHIM,
				"the runtime is configured, but %s", err.text);
		report_note(rep, "%s", err.text);
	}
	note_shadow(p, rep);
	if (change_is_live(args, &p->daemon))
		return verify_live(p, rep);
	if (!args->root)
		report_note(rep,
			"containerd does not run as a unit here: only its files were looked at");
	return report_exit(rep->reason);
}

int containerd_verify(const struct cli_args *args)
{
	struct check_ctx ctx = {.args = args, .plan = PLAN_INIT, .report = REPORT_INIT};
	const struct check *wrong = check_run(&ctx, CHECK_CONFIG, CHECK_DAEMON, NULL);
	int status;

	if (wrong)
		(void)snprintf(ctx.report.check, sizeof(ctx.report.check), "%s", wrong->id);
	/* before containerd 1.7 the kubelet's garbage collection takes it on a full disk */
	else if (change_is_live(args, &ctx.plan.daemon))
		containerd_import_image(args, &ctx.plan, &ctx.report);
	status = report_print(&ctx.report, args->json);
	plan_done(&ctx.plan);
	report_done(&ctx.report);
	return status;
}

static void note_journal(const struct plan *p, struct report *rep)
{
	_cleanup_(journal_done) struct journal j = JOURNAL_INIT;
	struct err err = ERR_INIT;
	int r = journal_load(p->daemon.root, p->handler, &j, &err);

	if (r < 0)
		report_note(rep, "%s", err.text);
	if (r <= 0)
		return;
	report_note(rep, "written %s for containerd %s; an undo gives back %s%s",
		j.time ? j.time : "?", j.containerd ? j.containerd : "?",
		j.created ? "the absence of the file" : JOURNAL_DIR "/backups/",
		j.created || !j.backup ? "" : j.backup);
	if (j.phase == JOURNAL_INTENT)
		report_note(rep, "a run was interrupted: the next apply or undo puts that right");
}

/* Tells what is the case; never an error of its own, so that it can be asked at any time. */
int containerd_status(const struct cli_args *args)
{
	_cleanup_(plan_done) struct plan plan = PLAN_INIT;
	_cleanup_(report_done) struct report rep = REPORT_INIT;
	const struct daemon *d = &plan.daemon;

	(void)containerd_judge(args, &plan, &rep);
	if (d->program && !args->json) {
		(void)printf("containerd  %s (%s)\n", d->version, d->program);
		(void)printf("unit        %s, %s\n", d->unit,
			args->root    ? "not asked"
			: !d->systemd ? "no systemd answers"
			: !d->loaded  ? "not there"
			: d->active   ? "active"
				      : "not active");
		(void)printf("file        %s%s\n", rep.config,
			plan.set.n && plan.set.files[0].exists ? "" : " (does not exist)");
	}
	note_journal(&plan, &rep);
	(void)report_print(&rep, args->json);
	return REPORT_OK;
}
