#include "doctor/verify.h"

#include <stdio.h>
#include "doctor/check.h"
#include "merge/change.h"
#include "merge/engine.h"

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
