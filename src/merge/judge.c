#include "base/cleanup.h"
#include "merge/change.h"
#include "merge/engine.h"
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
