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

	if (!wrong || wrong->probe == check_image) {
		/* before containerd 1.7 the kubelet's garbage collection takes the image on a full
		 * disk: that is put right here, and is a finding only where it cannot be */
		if (change_is_live(args, &ctx.plan.daemon))
			containerd_import_image(args, &ctx.plan, &ctx.report);
		if (ctx.report.reason != REASON_NO_IMAGE)
			wrong = NULL;
	}
	if (wrong)
		(void)snprintf(ctx.report.check, sizeof(ctx.report.check), "%s", wrong->id);
	status = report_print(&ctx.report, args->json);
	plan_done(&ctx.plan);
	report_done(&ctx.report);
	return status;
}
