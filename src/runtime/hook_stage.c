#include "runtime/hook_stage.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/cleanup.h"
#include "base/fd.h"
#include "base/num.h"
#include "base/proc.h"
#include "base/str.h"
#include "oci/init_contract.h"
#include "runtime/hooks.h"

struct stage {
	const char *name, *status;
	enum oci_hook_point points[2];
	size_t n;
	bool go_on;
};

static const struct stage stages[] = {
	{HOOK_STAGE_CREATE, "creating", {OCI_HOOK_PRESTART, OCI_HOOK_CREATE_RUNTIME}, 2, false},
	{HOOK_STAGE_POSTSTART, "running", {OCI_HOOK_POSTSTART}, 1, false},
	/* nothing is left that an error could stop */
	{HOOK_STAGE_POSTSTOP, "stopped", {OCI_HOOK_POSTSTOP}, 1, true},
};

static void report(enum init_message_type type, const struct err *what)
{
	/* on an error nobody is left to tell */
	(void)init_message_send(INIT_FD_CONTROL, type, what, -EBADF);
}

static void note(UNUSED void *arg, const char *text)
{
	struct err what = ERR_INIT;

	(void)err_setf(&what, ERR_NONE, EIO, "%s", text);
	report(INIT_NOTE, &what);
}

static int run_stage(const struct hook_stage_args *args, const struct stage *stage, struct err *err)
{
	_cleanup_(oci_spec_done) struct oci_spec spec = OCI_SPEC_INIT;
	_cleanup_free_ char *root = NULL;
	uint64_t pid = 0;
	struct hooks_context context = {
		.spec = &spec,
		.id = args->id,
		.status = stage->status,
		.bundle = args->bundle,
		.cwd = args->bundle,
		.bundle_fd = -EBADF,
		.watch_fd = INIT_FD_CONTROL,
		.go_on = stage->go_on,
		.note = note,
	};
	int r = oci_spec_load(args->bundle, &spec, err);

	if (r == 0 && args->pid && num_parse_u64(args->pid, INT32_MAX, &pid) < 0)
		r = err_setf(err, ERR_INVALID, EINVAL, "--pid: %.20s: not a number", args->pid);
	if (r == 0 && pid > 0 && str_printf(&root, "/proc/%s/root", args->pid) < 0)
		r = err_sysf(err, ENOMEM, "hooks");
	context.pid = (pid_t)pid;
	context.root = root;
	for (size_t i = 0; r == 0 && i < stage->n; i++)
		r = hooks_run(&context, stage->points[i], err);
	return r;
}

int runtime_hook_stage(const struct hook_stage_args *args)
{
	struct err err = ERR_INIT;
	int r = -EINVAL;

	proc_reset_signals();
	(void)umask(0022);
	(void)fd_cloexec_from(3);
	for (size_t i = 0; i < ARRAY_LEN(stages); i++) {
		if (str_eq(stages[i].name, args->stage))
			r = run_stage(args, &stages[i], &err);
	}
	if (r < 0 && err.kind == ERR_NONE)
		(void)err_setf(&err, ERR_INVALID, EINVAL, "--stage %.40s: unknown", args->stage);
	report(r < 0 ? INIT_FAILED : INIT_READY, &err);
	return r < 0 ? 1 : 0;
}
