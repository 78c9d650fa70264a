/*
 * A throw-away task of the running containerd, made with its `ctr` in ctr's own namespace,
 * which no kubelet and no CRI plugin looks at (a new one would leave containerd's directories for
 * it behind). It ends by itself after LIFE seconds should this program
 * be killed.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "base/cleanup.h"
#include "base/file.h"
#include "base/macro.h"
#include "base/num.h"
#include "base/str.h"
#include "doctor/check.h"
#include "cli/child.h"

#define NAMESPACE "default"
#define RUNTIME   "io.containerd.reaper.v2"
#define LIFE      "300" /* seconds */

enum {
	WORDS_MAX = 24,
	CTR_TIMEOUT_S = 60,
	PROC_FILE_MAX = 4 << 20,
	EXEC_STATUS = 7,
	EXIT_STATUS = 9
};

struct check_task {
	char *ctr;
	char id[32], rootfs[64], written[96];
	char pid[16]; /* of the task: "" until it runs */
};

/* ctr WORDS… NULL: its exit status, or -errno. */
static int run_ctr(struct check_ctx *ctx, struct child_result *res, struct err *why, ...)
	__attribute__((sentinel));

static int run_ctr(struct check_ctx *ctx, struct child_result *res, struct err *why, ...)
{
	const char *address = ctx->args->address ? ctx->args->address : ctx->plan.address;
	const char *words[WORDS_MAX + 1] = {"ctr", "--address",
		address ? address : DAEMON_ADDRESS_DEFAULT, "--namespace", NAMESPACE};
	struct child_spec spec = {.path = ctx->task->ctr,
		.argv = (char *const *)(uintptr_t)words,
		.timeout_s = CTR_TIMEOUT_S};
	size_t n = 5;
	va_list ap;
	int r;

	va_start(ap, why);
	while (n < WORDS_MAX && (words[n] = va_arg(ap, const char *)))
		n++;
	va_end(ap);
	r = child_run(&spec, res, why);
	return r < 0 ? r : (int)res->status;
}

static enum check_result failed(struct err *why, struct child_result *res, int status)
{
	if (status >= 0) /* else it is set */
		(void)err_setf(why, ERR_PRECONDITION, EIO, "ctr ended with %d: %s", status,
			child_last_line(&res->err));
	return CHECK_FAILED;
}

/* The number in "ID PID STATUS" of `ctr tasks ls`. */
static void find_pid(struct check_task *t, const char *list)
{
	const char *line = list ? strstr(list, t->id) : NULL;
	uint64_t pid;
	size_t len;

	if (!line)
		return;
	line += strlen(t->id);
	line += strspn(line, " \t");
	len = strspn(line, "0123456789");
	if (len == 0 || len >= sizeof(t->pid))
		return;
	memcpy(t->pid, line, len);
	t->pid[len] = '\0';
	if (num_parse_u64(t->pid, INT32_MAX, &pid) < 0 || pid == 0)
		t->pid[0] = '\0';
}

static int make_task(struct check_ctx *ctx, struct err *why)
{
	struct check_task *t = calloc(1, sizeof(*t));

	if (!t)
		return err_sysf(why, ENOMEM, "task");
	ctx->task = t;
	(void)snprintf(t->id, sizeof(t->id), "reaper-check-%d", (int)getpid());
	(void)snprintf(t->written, sizeof(t->written), "/var/tmp/%s", t->id);
	(void)snprintf(t->rootfs, sizeof(t->rootfs), "/run/reaper-check.XXXXXX");
	if (!mkdtemp(t->rootfs)) {
		t->rootfs[0] = '\0';
		return err_sysf(why, errno, "/run/reaper-check.XXXXXX");
	}
	return child_find("ctr", &t->ctr, why);
}

enum check_result check_task_start(struct check_ctx *ctx, const struct check *c, struct err *why)
{
	_cleanup_(child_result_done) struct child_result res = CHILD_RESULT_INIT,
							 list = CHILD_RESULT_INIT;
	int r;

	(void)c;
	if (!ctx->args->task || ctx->args->root || report_is_error(ctx->report.reason))
		return CHECK_SKIPPED;
	if (make_task(ctx, why) < 0)
		return CHECK_FAILED;
	r = run_ctr(ctx, &res, why, "run", "--detach", "--runtime", RUNTIME, "--rootfs",
		ctx->task->rootfs, ctx->task->id, "/bin/sleep", LIFE, NULL);
	if (r != 0)
		return failed(why, &res, r);
	r = run_ctr(ctx, &list, why, "tasks", "ls", NULL);
	if (r != 0)
		return failed(why, &list, r);
	find_pid(ctx->task, list.out.data);
	if (ctx->task->pid[0])
		return CHECK_PASSED;
	(void)err_setf(why, ERR_NOT_FOUND, ESRCH, "ctr tasks ls does not list it");
	return CHECK_FAILED;
}

static bool runs(const struct check_ctx *ctx)
{
	return ctx->task && ctx->task->pid[0];
}

static int read_proc(const char *pid, const char *name, char **ret, struct err *why)
{
	char path[64];

	(void)snprintf(path, sizeof(path), "/proc/%s/%s", pid, name);
	return file_read_at(AT_FDCWD, path, PROC_FILE_MAX, ret, NULL, why);
}

enum check_result check_task_cgroup(struct check_ctx *ctx, const struct check *c, struct err *why)
{
	_cleanup_free_ char *ours = NULL, *own = NULL;

	(void)c;
	if (!runs(ctx))
		return CHECK_SKIPPED;
	if (read_proc("self", "cgroup", &own, why) < 0 ||
		read_proc(ctx->task->pid, "cgroup", &ours, why) < 0)
		return CHECK_FAILED;
	if (ours && own && !str_eq(ours, own) && strstr(ours, ctx->task->id))
		return CHECK_PASSED;
	(void)err_setf(why, ERR_PRECONDITION, EINVAL, "no cgroup of process %s is named %s",
		ctx->task->pid, ctx->task->id);
	return CHECK_FAILED;
}

enum check_result check_task_overlay(struct check_ctx *ctx, const struct check *c, struct err *why)
{
	_cleanup_free_ char *mounts = NULL;

	(void)c;
	if (!runs(ctx))
		return CHECK_SKIPPED;
	if (read_proc(ctx->task->pid, "mounts", &mounts, why) < 0)
		return CHECK_FAILED;
	/* DEVICE / TYPE OPTIONS */
	if (mounts && strstr(mounts, " / overlay "))
		return CHECK_PASSED;
	(void)err_setf(why, ERR_PRECONDITION, EINVAL, "the root of process %s is no overlay",
		ctx->task->pid);
	return CHECK_FAILED;
}

enum check_result check_task_write(struct check_ctx *ctx, const struct check *c, struct err *why)
{
	_cleanup_(child_result_done) struct child_result res = CHILD_RESULT_INIT;
	_cleanup_free_ char *script = NULL;
	bool there;
	int r;

	(void)c;
	if (!runs(ctx))
		return CHECK_SKIPPED;
	if (str_printf(&script, "echo x > %s && test -s %s && rm %s && echo x > %s",
		    ctx->task->written, ctx->task->written, ctx->task->written,
		    ctx->task->written) < 0)
		return CHECK_SKIPPED;
	r = run_ctr(ctx, &res, why, "tasks", "exec", "--exec-id", "write", ctx->task->id, "/bin/sh",
		"-c", script, NULL);
	there = access(ctx->task->written, F_OK) == 0;
	if (there)
		(void)unlink(ctx->task->written);
	if (r != 0)
		return failed(why, &res, r);
	if (!there)
		return CHECK_PASSED;
	(void)err_setf(why, ERR_PRECONDITION, EEXIST, "%s came to the host", ctx->task->written);
	return CHECK_FAILED;
}

static enum check_result want_status(
	int status, int want, struct child_result *res, struct err *why)
{
	if (status == want)
		return CHECK_PASSED;
	if (status < 0)
		return CHECK_FAILED;
	(void)err_setf(why, ERR_PRECONDITION, EIO, "it should end with %d, and ctr says %d: %s",
		want, status, child_last_line(&res->err));
	return CHECK_FAILED;
}

enum check_result check_task_exec(struct check_ctx *ctx, const struct check *c, struct err *why)
{
	_cleanup_(child_result_done) struct child_result res = CHILD_RESULT_INIT;
	char script[96];
	int r;

	(void)c;
	if (!runs(ctx))
		return CHECK_SKIPPED;
	/* the overlay forgets what check_task_write left in it */
	(void)snprintf(
		script, sizeof(script), "rm -f %.64s; exit %d", ctx->task->written, EXEC_STATUS);
	r = run_ctr(ctx, &res, why, "tasks", "exec", "--exec-id", "status", ctx->task->id,
		"/bin/sh", "-c", script, NULL);
	return want_status(r, EXEC_STATUS, &res, why);
}

enum check_result check_task_exit(struct check_ctx *ctx, const struct check *c, struct err *why)
{
	_cleanup_(child_result_done) struct child_result res = CHILD_RESULT_INIT;
	char id[48], script[32];
	int r;

	(void)c;
	if (!runs(ctx))
		return CHECK_SKIPPED;
	(void)snprintf(id, sizeof(id), "%s-exit", ctx->task->id);
	(void)snprintf(script, sizeof(script), "exit %d", EXIT_STATUS);
	r = run_ctr(ctx, &res, why, "run", "--rm", "--runtime", RUNTIME, "--rootfs",
		ctx->task->rootfs, id, "/bin/sh", "-c", script, NULL);
	return want_status(r, EXIT_STATUS, &res, why);
}

void check_task_done(struct check_ctx *ctx)
{
	struct check_task *t = ctx->task;

	if (!t)
		return;
	if (t->ctr) {
		_cleanup_(child_result_done) struct child_result a = CHILD_RESULT_INIT,
								 b = CHILD_RESULT_INIT;

		(void)run_ctr(ctx, &a, NULL, "tasks", "delete", "--force", t->id, NULL);
		(void)run_ctr(ctx, &b, NULL, "containers", "delete", t->id, NULL);
	}
	if (t->rootfs[0])
		(void)rmdir(t->rootfs);
	free(t->ctr);
	free(t);
	ctx->task = NULL;
}
