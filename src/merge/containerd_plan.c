#include <stdio.h>
#include "base/cleanup.h"
#include "merge/containerd.h"
#include "merge/engine.h"
#include "merge/diff.h"
#include "merge/plan.h"

void containerd_print_change(const char *path, bool created, const char *old, size_t old_len,
	const char *new, size_t new_len)
{
	size_t max = old_len < new_len ? old_len : new_len, at = 0, end = 0;

	while (at < max && old[at] == new[at])
		at++;
	while (end < max - at && old[old_len - 1 - end] == new[new_len - 1 - end])
		end++;
	diff_print(stdout, path, created, old, old_len, new, new_len, at, old_len - at - end,
		new_len - at - end, report_wants_colour(stdout));
}

void containerd_print_diff(const struct plan *p)
{
	const struct conf_file *f = plan_file(p);

	if (p->write)
		diff_print(stdout, f->path, p->create, f->text ? f->text : "", f->len, p->after,
			p->after_len, p->at, p->cut, p->add, report_wants_colour(stdout));
}

int containerd_plan(const struct cli_args *args)
{
	_cleanup_(plan_done) struct plan plan = PLAN_INIT;
	_cleanup_(report_done) struct report rep = REPORT_INIT;

	(void)plan_make(args, &plan, &rep);
	rep.restart = plan.write && plan.daemon.active && !args->no_restart;
	if (args->diff && !args->json)
		containerd_print_diff(&plan);
	return report_print(&rep, args->json);
}
