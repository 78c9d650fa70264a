#include <stdio.h>
#include <unistd.h>
#include "base/cleanup.h"
#include "node/containerd.h"
#include "node/containerd_impl.h"
#include "node/diff.h"
#include "node/plan.h"

void containerd_print_diff(const struct plan *p)
{
	const struct conf_file *f = plan_file(p);

	if (p->write)
		diff_print(stdout, f->path, p->create, f->text ? f->text : "", f->len, p->after,
			p->after_len, p->at, p->cut, p->add, isatty(STDOUT_FILENO) == 1);
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
