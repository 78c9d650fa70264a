#include "doctor/check.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include "base/cleanup.h"
#include "base/json.h"
#include "base/macro.h"
#include "base/str.h"
#include "merge/change.h"
#include "merge/engine.h"

static enum check_result check_containerd(
	struct check_ctx *ctx, const struct check *check, struct err *why);

#define REASONS_OF(name, ...) static const enum reason name[] = {__VA_ARGS__, _REASON_MAX}

REASONS_OF(no_containerd, REASON_E_NO_CONTAINERD);
REASONS_OF(not_readable, REASON_E_SYNTAX, REASON_E_IMPORTS, REASON_E_FILE, REASON_E_BROKEN_BLOCK);
REASONS_OF(not_configured, REASON_E_NOT_CONFIGURED, REASON_E_NOT_EFFECTIVE, REASON_E_CONFLICT,
	REASON_E_EDITED_BLOCK);
REASONS_OF(no_shim, REASON_E_NO_SHIM);
REASONS_OF(not_healthy, REASON_E_NOT_HEALTHY);
REASONS_OF(not_loaded, REASON_E_NOT_LOADED);

static const struct check checks[] = {
	{"kernel-version", CHECK_NODE, check_kernel, "the kernel is 5.10 or newer",
		"upgrade the kernel"},
	{"overlayfs", CHECK_NODE, check_overlayfs, "the kernel has overlayfs", "modprobe overlay"},
	{"cgroups", CHECK_NODE, check_cgroups, "cgroups are mounted",
		"mount -t cgroup2 none /sys/fs/cgroup"},
	{"pidfd", CHECK_NODE, check_pidfd, "processes can be held by descriptors",
		"upgrade the kernel, or let the filter in the way allow the call"},
	{"openat2", CHECK_NODE, check_openat2, "paths can be resolved within a view",
		"upgrade the kernel, or let the filter in the way allow the call"},
	{"mount-api", CHECK_NODE, check_mount_api, "mounts can be made by descriptors",
		"upgrade the kernel, or let the filter in the way allow the calls"},
	{"seccomp", CHECK_NODE, check_seccomp, "the kernel has seccomp filters",
		"boot a kernel with CONFIG_SECCOMP_FILTER"},
	{"mount-setattr", CHECK_NODE, check_mount_setattr,
		"what is lost without recursive mount options is told", "upgrade the kernel"},
	{"mount-groups", CHECK_NODE, check_mount_groups,
		"what is lost where mounts cannot be shared within a group is told",
		"upgrade the kernel"},
	{"device-rules", CHECK_NODE, check_device_rules,
		"what is lost where the kernel takes no device rules is told",
		"boot a kernel with CONFIG_CGROUP_BPF"},
	{"controllers", CHECK_NODE, check_controllers,
		"what is lost without a cgroup controller is told",
		"boot with cgroup_enable=memory, or whichever is named"},
	{"lsm", CHECK_NODE, check_lsm,
		"whether the kernel keeps pods to AppArmor profiles or SELinux labels is told",
		"boot with AppArmor or SELinux"},
	{"landlock", CHECK_NODE, check_landlock,
		"whether pods in the host's namespaces are kept from its processes and abstract "
		"sockets is the kernel's matter",
		"upgrade the kernel"},
	{"denials", CHECK_NODE, check_denials,
		"neither AppArmor nor SELinux has denied a program of Reaper's anything",
		"allow it in the profile that the line names, then: reaperctl doctor --task"},
	{"clock", CHECK_NODE, check_clock, "the clock has not been set back",
		"set the clock: timedatectl set-ntp true"},
	{"run-room", CHECK_NODE, check_run_room, "/run has room for records and sockets",
		"find what fills /run: du -xh /run | sort -h | tail"},
	{"disk-room", CHECK_NODE, check_disk_room, "the disk has room for the history and an undo",
		"find what fills it: du -xh /var | sort -h | tail"},
	{"upper-room", CHECK_NODE, check_upper_room, "workloads have room to write in their views",
		"reaperctl overlay diff tells what was written; reaperctl overlay reset, or "
		"REAPER_UPPER_SIZE in /etc/reaper/reaper.conf"},
	{"view-fresh", CHECK_NODE, check_view_fresh,
		"no pod holds a file open that the host has replaced or deleted since",
		"restart the pods that reaperctl overlay refresh names"},
	{"shim-version", CHECK_INSTALL, check_shim,
		"containerd-shim-reaper-v2 runs and has this program's version",
		"install the reaper package again"},
	{"runtime-version", CHECK_INSTALL, check_runtime,
		"reaper-runtime runs and has this program's version",
		"install the reaper package again"},
	{"shim-shadowed", CHECK_INSTALL, check_shadow,
		"no other shim comes before the package's on containerd's PATH",
		"remove that file, or the package"},
	{"settings", CHECK_INSTALL, check_settings, "/etc/reaper/reaper.conf can be used",
		"correct the named setting"},
	{"trust", CHECK_INSTALL, check_trust,
		"whether containers with more rights write where others read is the node's choice",
		"set REAPER_OVERLAY_TRUST in /etc/reaper/reaper.conf"},
	{"filter", CHECK_INSTALL, check_filter,
		"whether the host's secrets are hidden from pods is the node's choice",
		"set REAPER_FILTER_ENABLED and REAPER_FILTER_MODE in /etc/reaper/reaper.conf"},
	{"policy", CHECK_INSTALL, check_policy,
		"/etc/reaper/policy.d can be used, and whether it keeps any pod away is told",
		"correct the named line, then: reaperctl policy check"},
	{"containerd-found", CHECK_CONFIG, check_containerd, "containerd is installed",
		"install containerd, then: reaperctl containerd apply", .reasons = no_containerd},
	{"config-readable", CHECK_CONFIG, check_containerd,
		"containerd's configuration can be read, and our block in it is whole",
		"correct the file, then: reaperctl containerd plan", .reasons = not_readable},
	{"runtime-configured", CHECK_CONFIG, check_containerd,
		"containerd's configuration has the runtime, and it means what it should",
		"reaperctl containerd apply", .reasons = not_configured},
	/* whatever else is refused */
	{"config-usable", CHECK_CONFIG, check_containerd,
		"nothing in containerd's configuration stands in the runtime's way",
		"reaperctl containerd plan"},
	{"cgroup-driver", CHECK_CONFIG, check_cgroup_driver,
		"kubelet, containerd and systemd agree on who makes the pods' cgroups",
		"set cgroupDriver in kubelet's configuration and SystemdCgroup of containerd's "
		"default runtime to the same, then restart both"},
	{"shim-found", CHECK_DAEMON, check_containerd,
		"the shim lies where containerd looks for it",
		"install containerd-shim-reaper-v2 to /usr/bin", .reasons = no_shim},
	{"cri-healthy", CHECK_DAEMON, check_containerd, "containerd's CRI plugin answers",
		"journalctl -u containerd -n 50", .reasons = not_healthy},
	{"runtime-loaded", CHECK_DAEMON, check_containerd, "the running containerd has the runtime",
		"systemctl restart containerd", .reasons = not_loaded},
	{"image", CHECK_DAEMON, check_image, "containerd knows the image that pods name",
		"reaperctl image import", .fix = fix_image},
	{"task-start", CHECK_TASK, check_task_start, "a task starts",
		"journalctl -u containerd -n 50"},
	{"task-cgroup", CHECK_TASK, check_task_cgroup, "it has a cgroup of its own",
		"see that containerd may write to /sys/fs/cgroup"},
	{"task-overlay", CHECK_TASK, check_task_overlay, "it sees the host through an overlay",
		"reaperctl overlay list"},
	{"task-write", CHECK_TASK, check_task_write, "what it writes stays off the host",
		"delete the node's Reaper pods and report this"},
	{"task-exec", CHECK_TASK, check_task_exec, "a second process runs in it",
		"journalctl -u containerd -n 50"},
	{"task-exit", CHECK_TASK, check_task_exit, "its exit code comes back",
		"journalctl -u containerd -n 50"},
	{"mounts-left", CHECK_LEFT, check_mounts, "every mount below /run/reaper is a group's",
		"reaperctl doctor --fix unmounts it", .fix = fix_mounts},
	{"cgroups-left", CHECK_LEFT, check_cgroups_left,
		"every cgroup that Reaper has made is a container's",
		"reaperctl doctor --fix removes it, unless a process is in it",
		.fix = fix_cgroups_left},
	{"processes-left", CHECK_LEFT, check_processes_left,
		"every process of a container has its shim",
		"systemctl restart containerd: it ends what has lost its shim"},
};

const struct check *check_table(size_t *ret_n)
{
	*ret_n = ARRAY_LEN(checks);
	return checks;
}

const char *check_class_name(enum check_class class)
{
	static const char *const names[] = {[CHECK_NODE] = "node",
		[CHECK_INSTALL] = "install",
		[CHECK_CONFIG] = "config",
		[CHECK_DAEMON] = "daemon",
		[CHECK_TASK] = "task",
		[CHECK_LEFT] = "left"};

	return names[class];
}

/* The row that a refusal is about; NULL if it is none of containerd's. */
static const struct check *row_of(enum reason reason)
{
	const struct check *other = NULL;

	for (size_t i = 0; i < ARRAY_LEN(checks); i++) {
		if (checks[i].probe != check_containerd)
			continue;
		if (!checks[i].reasons)
			other = &checks[i];
		for (const enum reason *r = checks[i].reasons; r && *r != _REASON_MAX; r++) {
			if (*r == reason)
				return &checks[i];
		}
	}
	return other;
}

/* `containerd verify` judges once, up to the first thing that is wrong: that is one row, those
 * before it are passed, and of those behind it nothing is known. */
static enum check_result check_containerd(
	struct check_ctx *ctx, const struct check *check, struct err *why)
{
	const struct check *wrong;

	if (!ctx->judged)
		(void)containerd_judge(ctx->args, &ctx->plan, &ctx->report);
	ctx->judged = true;
	if (!report_is_error(ctx->report.reason)) {
		bool asked = check->class != CHECK_DAEMON ||
			     change_is_live(ctx->args, &ctx->plan.daemon);

		return asked && ctx->plan.daemon.program ? CHECK_PASSED : CHECK_SKIPPED;
	}
	wrong = row_of(ctx->report.reason);
	if (check != wrong)
		return check < wrong ? CHECK_PASSED : CHECK_SKIPPED;
	(void)err_setf(why, ERR_PRECONDITION, EINVAL, "%s: %s", report_code(ctx->report.reason),
		ctx->report.message);
	return CHECK_FAILED;
}

const struct check *check_run(struct check_ctx *ctx, enum check_class first, enum check_class last,
	struct check_finding *found)
{
	const struct check *wrong = NULL;

	for (size_t i = 0; i < ARRAY_LEN(checks); i++) {
		struct check_finding one = {.result = CHECK_SKIPPED};

		if (checks[i].class >= first && checks[i].class <= last)
			one.result = checks[i].probe(ctx, &checks[i], &one.why);
		if (one.result == CHECK_FAILED && !wrong)
			wrong = &checks[i];
		if (found)
			found[i] = one;
	}
	return wrong;
}

/* What failed and can be put right without a person is, and is asked again. */
static void fix_all(struct check_ctx *ctx, struct check_finding *found)
{
	bool dry_run = ctx->args->dry_run;

	for (size_t i = 0; i < ARRAY_LEN(checks); i++) {
		struct check_finding *f = &found[i];
		struct err what = ERR_INIT;

		if (f->result != CHECK_FAILED || !checks[i].fix)
			continue;
		if (checks[i].fix(ctx, dry_run, &what) <= 0) {
			if (what.text[0])
				(void)err_wrapf(&f->why, "could not be put right (%s)", what.text);
			continue;
		}
		f->fixed = what;
		if (dry_run)
			continue;
		f->why = (struct err)ERR_INIT;
		f->result = checks[i].probe(ctx, &checks[i], &f->why);
	}
}

static const struct check *first_failed(const struct check_finding *found)
{
	for (size_t i = 0; i < ARRAY_LEN(checks); i++) {
		if (found[i].result == CHECK_FAILED)
			return &checks[i];
	}
	return NULL;
}

/* ---- reaperctl doctor ---- */

static int print_text(const struct check_finding *found, bool task)
{
	static const char *const words[] = {
		[CHECK_PASSED] = "ok", [CHECK_FAILED] = "FAILED", [CHECK_SKIPPED] = "-"};
	size_t n[ARRAY_LEN(words)] = {0};

	for (size_t i = 0; i < ARRAY_LEN(checks); i++) {
		(void)printf(
			"%-8s %-20s %s\n", words[found[i].result], checks[i].id, checks[i].text);
		if (found[i].result == CHECK_PASSED && found[i].why.text[0])
			(void)printf("%-8s %-20s %s\n", "", "", found[i].why.text);
		if (found[i].result == CHECK_FAILED)
			(void)printf("%-8s %-20s %s\n%-8s %-20s next: %s\n", "", "",
				found[i].why.text, "", "", checks[i].remedy);
		if (found[i].fixed.text[0])
			(void)printf("%-8s %-20s --fix: %s\n", "", "", found[i].fixed.text);
		n[found[i].result]++;
	}
	(void)printf("%zu passed, %zu failed, %zu had nothing to look at (-)%s\n", n[CHECK_PASSED],
		n[CHECK_FAILED], n[CHECK_SKIPPED], task ? "" : "; --task also runs a task");
	return 0;
}

static int put_finding(
	struct json_object *list, const struct check *c, const struct check_finding *f)
{
	static const char *const words[] = {
		[CHECK_PASSED] = "passed", [CHECK_FAILED] = "failed", [CHECK_SKIPPED] = "skipped"};
	bool failed = f->result == CHECK_FAILED;
	bool told = failed || (f->result == CHECK_PASSED && f->why.text[0]);
	struct json_object *o = json_new_object();

	if (json_put_str(o, "class", check_class_name(c->class)) < 0 ||
		json_put_str(o, "result", words[f->result]) < 0 ||
		json_put_str(o, "text", c->text) < 0 ||
		json_put_str(o, "why", told ? f->why.text : NULL) < 0 ||
		json_put_str(o, "next", failed ? c->remedy : NULL) < 0 ||
		json_put_str(o, "fix", f->fixed.text[0] ? f->fixed.text : NULL) < 0) {
		json_object_freep(&o);
		return -ENOMEM;
	}
	return json_put_consume(list, c->id, o);
}

static int print_json(const struct check_finding *found, bool failed)
{
	_cleanup_(json_object_freep) struct json_object *o = json_new_object();
	struct json_object *list = json_new_object();
	int bad = json_put_str(o, "result", failed ? "failed" : "passed");

	for (size_t i = 0; i < ARRAY_LEN(checks) && bad == 0; i++)
		bad = put_finding(list, &checks[i], &found[i]);
	bad |= json_put_consume(o, "checks", list);
	return bad != 0 || cli_print_json(o) != 0 ? -ENOMEM : 0;
}

int doctor_command(const struct cli_args *args)
{
	struct check_ctx ctx = {.args = args, .plan = PLAN_INIT, .report = REPORT_INIT};
	struct check_finding found[ARRAY_LEN(checks)] = {0};
	const struct check *wrong;
	int status;

	(void)check_run(&ctx, 0, _CHECK_CLASS_MAX - 1, found);
	if (args->fix)
		fix_all(&ctx, found);
	wrong = first_failed(found);
	status = wrong ? CHECK_EXIT_FIRST + (int)wrong->class : 0;
	check_task_done(&ctx);
	plan_done(&ctx.plan);
	report_done(&ctx.report);
	if ((args->json ? print_json(found, status != 0) : print_text(found, args->task)) < 0) {
		(void)fputs("reaperctl: doctor: out of memory\n", stderr);
		return 1;
	}
	return status;
}
