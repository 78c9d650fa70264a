/* Probe of the image that pods name, in the namespace in which Kubernetes' images are. */
#include <errno.h>
#include "doctor/check.h"
#include "node/image.h"

static const char *address_of(const struct check_ctx *ctx)
{
	if (ctx->args->address)
		return ctx->args->address;
	return ctx->plan.address ? ctx->plan.address : DAEMON_ADDRESS_DEFAULT;
}

static const char *namespace_of(const struct check_ctx *ctx)
{
	return ctx->args->containerd_namespace ? ctx->args->containerd_namespace : "k8s.io";
}

enum check_result check_image(struct check_ctx *ctx, const struct check *c, struct err *why)
{
	bool there;

	(void)c;
	/* a daemon that does not answer is another row's matter */
	if (ctx->args->root || report_is_error(ctx->report.reason) || !ctx->plan.daemon.active)
		return CHECK_SKIPPED;
	if (image_look(ctx->plan.daemon.program, address_of(ctx), namespace_of(ctx), 0, &there,
		    why) < 0)
		return CHECK_FAILED;
	if (there)
		return CHECK_PASSED;
	(void)err_setf(why, ERR_NOT_FOUND, ENOENT, "%s does not list it", address_of(ctx));
	return CHECK_FAILED;
}

int fix_image(struct check_ctx *ctx, bool dry_run, struct err *what)
{
	bool changed = true;
	int r = 0;

	if (!dry_run)
		r = image_ensure(ctx->plan.daemon.program, address_of(ctx), namespace_of(ctx), 0,
			&changed, what);
	if (r < 0)
		return r;
	(void)err_setf(what, ERR_NONE, 0, "%s " IMAGE_NAME, dry_run ? "would import" : "imported");
	return changed;
}
