/* Probes of what the host view promises here: what is hidden, what is held, what is fresh. */
#include <errno.h>
#include "base/cleanup.h"
#include "base/str.h"
#include "conf/settings.h"
#include "confine/landlock.h"
#include "doctor/check.h"
#include "policy/policy.h"
#include "uppers/overlay.h"

/* The first stale file, in words. */
static int note_stale(void *arg, const char *key, const struct stale_files *stale)
{
	struct err *why = arg;

	if (stale->n > 0 && why->kind == ERR_NONE)
		(void)err_setf(why, ERR_PRECONDITION, ESTALE,
			"%s (group %s) was %s on the host, process %d holds the old one%s",
			stale->v[0].path, key, stale->v[0].deleted ? "deleted" : "replaced",
			(int)stale->v[0].holder, stale->n > 1 ? "; and there are more" : "");
	return 0;
}

enum check_result check_view_fresh(struct check_ctx *ctx, const struct check *c, struct err *why)
{
	struct err reason = ERR_INIT;

	(void)c;
	if (ctx->args->root)
		return CHECK_SKIPPED;
	if (overlay_refresh_all(note_stale, why, &reason) < 0) {
		/* settings that cannot be used are a check of their own */
		if (reason.kind == ERR_INVALID || reason.kind == ERR_UNIMPLEMENTED)
			return CHECK_SKIPPED;
		*why = reason;
		return CHECK_FAILED;
	}
	return why->kind == ERR_NONE ? CHECK_PASSED : CHECK_FAILED;
}

/* The node's settings; false if the row `settings` says why there are none. */
static bool load_settings(const struct check_ctx *ctx, struct settings *ret)
{
	_cleanup_free_ char *path = NULL;
	const char *root = ctx->args->root ? ctx->args->root : "";

	return str_printf(&path, "%s%s", root, CONF_PATH) == 0 &&
	       settings_load(path, NULL, NULL, 0, ret, NULL) == 0;
}

enum check_result check_trust(struct check_ctx *ctx, const struct check *c, struct err *why)
{
	_cleanup_(settings_done) struct settings s = SETTINGS_INIT;

	(void)c;
	if (!load_settings(ctx, &s))
		return CHECK_SKIPPED;
	(void)err_setf(why, ERR_NONE, 0, "REAPER_OVERLAY_TRUST=%s (docs/SECURITY.md)",
		s.trust == OVERLAY_TRUST_SEPARATE
			? "separate: they have an upper layer of their own"
			: "shared: what a pod of a group writes, a privileged one may run");
	return CHECK_PASSED;
}

enum check_result check_filter(struct check_ctx *ctx, const struct check *c, struct err *why)
{
	_cleanup_(settings_done) struct settings s = SETTINGS_INIT;
	const char *what = "the built-in list is hidden, and what REAPER_FILTER_PATHS adds";

	(void)c;
	if (!load_settings(ctx, &s))
		return CHECK_SKIPPED;
	if (!s.filter_enabled)
		what = "REAPER_FILTER_ENABLED=false: pods that run as root read the host's "
		       "passwords and keys";
	else if (s.filter_mode == FILTER_REPLACE)
		what = "REAPER_FILTER_MODE=replace: only REAPER_FILTER_PATHS is hidden, the "
		       "built-in list is not";
	(void)err_setf(why, ERR_NONE, 0, "%s (docs/SECURITY.md)", what);
	return CHECK_PASSED;
}

/* What the API server admits no node can see: what is told is whether this one keeps a door of its
 * own. One rule that denies is a door, and whom it keeps out is the site's business. */
enum check_result check_policy(struct check_ctx *ctx, const struct check *c, struct err *why)
{
	_cleanup_(policy_done) struct policy policy = POLICY_INIT;
	_cleanup_free_ char *dir = NULL;

	(void)c;
	if (str_printf(&dir, "%s" POLICY_DIR, ctx->args->root ? ctx->args->root : "") < 0)
		return CHECK_SKIPPED;
	if (policy_load(dir, &policy, why) < 0)
		return CHECK_FAILED;
	for (size_t i = 0; i < policy.n; i++) {
		if (policy.v[i].action == POLICY_DENY)
			return CHECK_PASSED;
	}
	(void)err_setf(why, ERR_NONE, 0,
		"open: no rule denies anything; who may name the RuntimeClass is left to the "
		"cluster (docs/SECURITY.md)");
	return CHECK_PASSED;
}

enum check_result check_landlock(struct check_ctx *ctx, const struct check *c, struct err *why)
{
	const char *what = "both are held";

	(void)c;
	if (ctx->args->root)
		return CHECK_SKIPPED;
	if (!confine_landlock_can(true, false))
		what = "neither is held, this kernel's Landlock is too old or switched off: give "
		       "hostPID and hostNetwork to no pod that you do not trust";
	else if (!confine_landlock_can(false, true))
		what = "hostPID is held; hostNetwork is not (Linux 6.12): the host's abstract "
		       "sockets can be connected to";
	(void)err_setf(why, ERR_NONE, 0, "%s (docs/SECURITY.md)", what);
	return CHECK_PASSED;
}
