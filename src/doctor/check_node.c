/* Probes of the kernel and of what is installed. With --root a tree is asked, not this machine. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>
#include "base/cleanup.h"
#include "base/file.h"
#include "base/str.h"
#include "cgroup/host.h"
#include "conf/settings.h"
#include "doctor/check.h"
#include "cli/child.h"
#include "merge/engine.h"

enum { KERNEL_MAJOR = 5, KERNEL_MINOR = 10, FILESYSTEMS_MAX = 64 << 10, MODULES_MAX = 16 << 20 };

enum check_result check_kernel(struct check_ctx *ctx, const struct check *c, struct err *why)
{
	unsigned long major, minor = 0;
	struct utsname name;
	char *end;

	(void)c;
	if (ctx->args->root || uname(&name) < 0)
		return CHECK_SKIPPED;
	major = strtoul(name.release, &end, 10);
	if (*end == '.')
		minor = strtoul(end + 1, NULL, 10);
	if (major > KERNEL_MAJOR || (major == KERNEL_MAJOR && minor >= KERNEL_MINOR))
		return CHECK_PASSED;
	(void)err_setf(why, ERR_PRECONDITION, ENOSYS, "it is %s", name.release);
	return CHECK_FAILED;
}

/* Whether the running kernel's modules have overlayfs: then the first mount loads it. */
static bool overlay_can_be_loaded(void)
{
	_cleanup_free_ char *text = NULL, *path = NULL;
	struct utsname name;

	if (uname(&name) < 0 ||
		str_printf(&path, "/lib/modules/%s/modules.dep", name.release) < 0 ||
		file_read_at(AT_FDCWD, path, MODULES_MAX, &text, NULL, NULL) < 0)
		return false;
	return text && strstr(text, "/overlay.ko");
}

enum check_result check_overlayfs(struct check_ctx *ctx, const struct check *c, struct err *why)
{
	_cleanup_free_ char *text = NULL;

	(void)c;
	if (ctx->args->root)
		return CHECK_SKIPPED;
	if (file_read_at(AT_FDCWD, "/proc/filesystems", FILESYSTEMS_MAX, &text, NULL, why) < 0)
		return CHECK_FAILED;
	if ((text && strstr(text, "\toverlay\n")) || overlay_can_be_loaded())
		return CHECK_PASSED;
	(void)err_setf(why, ERR_NOT_FOUND, ENODEV,
		"/proc/filesystems does not list it, and there is no module of it");
	return CHECK_FAILED;
}

enum check_result check_cgroups(struct check_ctx *ctx, const struct check *c, struct err *why)
{
	_cleanup_(cgroup_host_done) struct cgroup_host host = CGROUP_HOST_INIT;

	(void)c;
	if (ctx->args->root)
		return CHECK_SKIPPED;
	if (cgroup_host_detect(&host, why) < 0)
		return CHECK_FAILED;
	if (host.mode != CGROUP_MODE_NONE)
		return CHECK_PASSED;
	(void)err_setf(why, ERR_NOT_FOUND, ENOENT, "no hierarchy is mounted");
	return CHECK_FAILED;
}

/* A program of ours that lies beside this one says the same version. */
static enum check_result same_version(
	struct check_ctx *ctx, const char *program, const char *option, struct err *why)
{
	_cleanup_(child_result_done) struct child_result res = CHILD_RESULT_INIT;
	_cleanup_free_ char *path = NULL;
	char *argv[] = {(char *)(uintptr_t)program, (char *)(uintptr_t)option, NULL};
	struct child_spec spec = {.argv = argv, .timeout_s = 10};

	if (ctx->args->root)
		return CHECK_SKIPPED;
	if (child_find(program, &path, why) < 0)
		return CHECK_FAILED;
	spec.path = path;
	if (child_must(&spec, &res, why) < 0)
		return CHECK_FAILED;
	if (res.out.data && strstr(res.out.data, REAPER_VERSION))
		return CHECK_PASSED;
	(void)err_setf(why, ERR_PRECONDITION, EINVAL, "%s says \"%s\", this is " REAPER_VERSION,
		path, child_last_line(&res.out));
	return CHECK_FAILED;
}

enum check_result check_shim(struct check_ctx *ctx, const struct check *c, struct err *why)
{
	(void)c;
	return same_version(ctx, "containerd-shim-reaper-v2", "-v", why);
}

enum check_result check_runtime(struct check_ctx *ctx, const struct check *c, struct err *why)
{
	(void)c;
	return same_version(ctx, "reaper-runtime", "--version", why);
}

enum check_result check_shadow(struct check_ctx *ctx, const struct check *c, struct err *why)
{
	_cleanup_free_ char *path =
		containerd_shadowing_shim(ctx->args->root ? ctx->args->root : "");

	(void)c;
	if (!path)
		return CHECK_PASSED;
	(void)err_setf(why, ERR_PRECONDITION, EEXIST, "%s is the one that pods run with", path);
	return CHECK_FAILED;
}

enum check_result check_settings(struct check_ctx *ctx, const struct check *c, struct err *why)
{
	struct settings s = SETTINGS_INIT;
	_cleanup_free_ char *path = NULL;
	int r;

	(void)c;
	if (str_printf(&path, "%s%s", ctx->args->root ? ctx->args->root : "", CONF_PATH) < 0)
		return CHECK_SKIPPED;
	r = settings_load(path, NULL, NULL, 0, &s, why);
	if (r == 0 && s.warnings && s.warnings[0])
		(void)err_setf(why, ERR_NONE, 0, "%s%s", s.warnings[0],
			s.warnings[1] ? "; and there are more" : "");
	settings_done(&s);
	return r < 0 ? CHECK_FAILED : CHECK_PASSED;
}
