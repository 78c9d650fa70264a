#include "package/package.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "base/cleanup.h"
#include "base/macro.h"
#include "base/str.h"
#include "conf/settings.h"
#include "cli/child.h"
#include "merge/containerd.h"
#include "merge/engine.h"
#include "uppers/overlay.h"
#include "cli/report.h"
#include "view/inside.h"

enum { POLICY_DENIED = 101, STATUS_TIMEOUT_S = 20 };

static const char config_path[] = "/etc/containerd/config.toml";

/* A line on standard error, where package managers show it: "reaper: warning: …". */
static PRINTF_LIKE(1, 2) void say(const char *fmt, ...)
{
	va_list ap;

	(void)fputs("reaper: ", stderr);
	va_start(ap, fmt);
	(void)vfprintf(stderr, fmt, ap);
	va_end(ap);
	(void)fputc('\n', stderr);
}

/*
 * Whether services may not be restarted: an image is being built, or a pod's view is looked at.
 * policy-rc.d says so, as it does to invoke-rc.d and deb-systemd-invoke.
 */
static bool restart_is_denied(void)
{
	static const char *const argv[] = {"policy-rc.d", "containerd", "restart", NULL};
	_cleanup_(child_result_done) struct child_result result = CHILD_RESULT_INIT;
	struct child_spec spec = {
		.path = "/usr/sbin/policy-rc.d",
		.argv = (char *const *)argv,
		.timeout_s = STATUS_TIMEOUT_S,
	};

	return access(spec.path, X_OK) == 0 && child_run(&spec, &result, NULL) == 0 &&
	       result.status == POLICY_DENIED;
}

/* Whether a package of containerd's is unpacked and not yet configured, as dpkg's records say. */
static bool containerd_is_unpacked(void)
{
	static const char *const argv[] = {"dpkg-query", "-W", "-f", "${db:Status-Status}\\n",
		"containerd", "containerd.io", NULL};
	_cleanup_(child_result_done) struct child_result result = CHILD_RESULT_INIT;
	_cleanup_free_ char *path = NULL;
	struct child_spec spec = {.argv = (char *const *)argv, .timeout_s = STATUS_TIMEOUT_S};

	if (child_find("dpkg-query", &path, NULL) < 0)
		return false;
	spec.path = path;
	/* 1: one of the two is not known, which is the usual case */
	if (child_run(&spec, &result, NULL) < 0 || result.status > 1)
		return false;
	if (buf_append(&result.out, "", 1) < 0)
		return false;
	return strstr(result.out.data, "unpacked") || strstr(result.out.data, "half-configured") ||
	       strstr(result.out.data, "half-installed");
}

/* containerd's own package brings or asks about the file, and comes after us. */
static bool containerd_comes_later(void)
{
	return access("/etc/containerd/config.toml.dpkg-new", F_OK) == 0 ||
	       containerd_is_unpacked();
}

/* What reaper.conf and the environment say; a file with an error is told and means no. */
static bool merge_is_wanted(void)
{
	_cleanup_(settings_done) struct settings settings = SETTINGS_INIT;
	struct err err = ERR_INIT;

	if (settings_load(NULL, environ, NULL, 0, &settings, &err) < 0) {
		say("warning: %s", err.text);
		say("warning: containerd's configuration is left as it is; when the setting is "
		    "right, run: reaperctl containerd apply");
		return false;
	}
	return settings.containerd_merge != CONTAINERD_MERGE_NO;
}

static void name_shadow(void)
{
	_cleanup_free_ char *path = containerd_shadowing_shim("");

	if (path)
		say("warning: %s comes before the package's program on containerd's PATH: "
		    "pods run with it until it is removed",
			path);
}

static int apply(const struct cli_args *args)
{
	struct cli_args mine = *args;
	int status;

	if (!merge_is_wanted())
		return 0;
	if (containerd_comes_later()) {
		say("containerd is being installed: its configuration is merged after that");
		return 0;
	}
	mine.quiet = true;
	mine.no_restart = restart_is_denied();
	status = containerd_apply(&mine);
	if (status == REPORT_OK)
		return 0;
	say("warning: the package is installed, but containerd does not serve reaper-v2 yet "
	    "(code %d)",
		status);
	say("warning: the reason stands above; nothing of it is left in containerd's "
	    "configuration");
	say("warning: when it is solved, run: reaperctl containerd apply");
	/* the old configuration could not be given back: somebody has to look at it now */
	return status == REPORT_BROKEN ? 1 : 0;
}

static bool nothing_to_do_here(void)
{
	if (!mount_inside_view())
		return false;
	say("this is the view of a Reaper pod: the node's containerd is left as it is");
	return true;
}

int package_configure(const struct cli_args *args)
{
	if (nothing_to_do_here())
		return 0;
	name_shadow();
	/* without containerd there is nothing to merge; the trigger comes when it is installed */
	return containerd_is_there(args) ? apply(args) : 0;
}

int package_triggered(const struct cli_args *args)
{
	if (nothing_to_do_here() || access(config_path, F_OK) < 0 || !containerd_is_there(args))
		return 0;
	return apply(args);
}

static bool is_forced(void)
{
	const char *value = getenv("REAPER_FORCE_REMOVE");

	return value && str_eq(value, "1");
}

static int undo(const struct cli_args *args)
{
	struct cli_args mine = *args;

	mine.quiet = true;
	mine.no_restart = restart_is_denied();
	mine.force = is_forced();
	return containerd_undo(&mine);
}

static void remove_overlays(const struct cli_args *args)
{
	struct cli_args mine = *args;

	mine.all = true;
	if (overlay_gc_command(&mine) != 0)
		say("warning: some overlays are still in use; they are gone after a reboot");
}

int package_remove(const struct cli_args *args)
{
	if (nothing_to_do_here())
		return 0;
	if (undo(args) != REPORT_OK) {
		if (!is_forced()) {
			say("error: containerd's configuration still names reaper-v2, so the "
			    "package stays");
			say("error: the reason stands above; to remove it in spite of it, set "
			    "REAPER_FORCE_REMOVE=1");
			return 1;
		}
		say("warning: removed by force; look at containerd's configuration");
	}
	remove_overlays(args);
	return 0;
}

int package_deconfigure(const struct cli_args *args)
{
	if (!nothing_to_do_here() && undo(args) != REPORT_OK)
		say("warning: containerd's configuration still names reaper-v2");
	return 0;
}
