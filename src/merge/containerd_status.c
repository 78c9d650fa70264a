#include <stdio.h>
#include "base/cleanup.h"
#include "merge/containerd.h"
#include "merge/engine.h"
#include "merge/journal.h"

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
