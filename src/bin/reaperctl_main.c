/* reaperctl: administration of one node. Everything it can do is a row of these tables. */
#include <stddef.h>
#include <stdio.h>
#include "base/macro.h"
#include "doctor/check.h"
#include "doctor/verify.h"
#include "cli/cli.h"
#include "cli/cli_doc.h"
#include "operate/conf_doc.h"
#include "merge/containerd.h"
#include "node/image.h"
#include "doctor/errors.h"
#include "uppers/overlay.h"
#include "package/package.h"
#include "operate/policy_command.h"
#include "operate/history.h"
#include "operate/metrics.h"
#include "operate/ps.h"
#include "operate/top.h"

enum {
	OPT_ROOT = 1 << 0,
	OPT_CONFIG = 1 << 1,
	OPT_CONTAINERD = 1 << 2,
	OPT_UNIT = 1 << 3,
	OPT_DRY_RUN = 1 << 4,
	OPT_DIFF = 1 << 5,
	OPT_JSON = 1 << 6,
	OPT_NO_RESTART = 1 << 7,
	OPT_TIMEOUT = 1 << 8,
	OPT_FORCE = 1 << 9,
	OPT_ADDRESS = 1 << 10,
	OPT_NAMESPACE = 1 << 11,
	OPT_ALL = 1 << 12,
	OPT_HANDLER = 1 << 13,
	OPT_STRATEGY = 1 << 14,
	OPT_UNVERSIONED = 1 << 15,
	OPT_STRICT = 1 << 16,
	OPT_TASK = 1 << 17,
	OPT_GROUP = 1 << 18,
	OPT_OUTPUT = 1 << 19,
	OPT_POD = 1 << 20,
	OPT_POD_NAMESPACE = 1 << 21,
	OPT_SINCE = 1 << 22,
	OPT_UNTIL = 1 << 23,
	OPT_UID = 1 << 24,
	OPT_FAILED = 1 << 25,
	OPT_WIDE = 1 << 26,
	OPT_FIX = 1 << 28,
	OPT_FOLLOW = 1 << 29,
	OPT_INTERVAL = 1 << 30, /* and how often */

	OPTS_WHERE = OPT_ROOT | OPT_CONFIG | OPT_CONTAINERD | OPT_UNIT | OPT_JSON | OPT_HANDLER,
	OPTS_WRITE = OPT_DRY_RUN | OPT_NO_RESTART | OPT_TIMEOUT | OPT_FORCE,
	/* what decides whether and where something is written; verify and status ask the same */
	OPTS_HOW = OPT_STRATEGY | OPT_UNVERSIONED | OPT_STRICT,
};

static const struct cli_option options[] = {
	{OPT_ROOT, "--root", "DIR", CLI_PATH, offsetof(struct cli_args, root),
		"a tree instead of this machine: all files and state lie below DIR, no daemon is "
		"asked"},
	{OPT_CONFIG, "--config", "FILE", CLI_PATH, offsetof(struct cli_args, config),
		"containerd's configuration (default: the daemon's own)"},
	{OPT_CONTAINERD, "--containerd", "BIN", CLI_PATH, offsetof(struct cli_args, containerd),
		"containerd's program (default: the running daemon's)"},
	{OPT_UNIT, "--unit", "NAME", CLI_STRING, offsetof(struct cli_args, unit),
		"containerd's unit (default: containerd.service)"},
	{OPT_HANDLER, "--handler", "NAME", CLI_STRING, offsetof(struct cli_args, handler),
		"the runtime's name, as in a RuntimeClass (default: reaper-v2)"},
	{OPT_STRATEGY, "--strategy", "auto|drop-in|block", CLI_CHOICE,
		offsetof(struct cli_args, strategy),
		"a new entry goes to a file of its own, to the end of the file, or as it fits"},
	{OPT_UNVERSIONED, "--allow-unversioned", NULL, CLI_FLAG,
		offsetof(struct cli_args, allow_unversioned),
		"also change a file that says no version (an upgrade may change its meaning)"},
	{OPT_STRICT, "--strict", NULL, CLI_FLAG, offsetof(struct cli_args, strict),
		"refuse where there would be a warning"},
	{OPT_DRY_RUN, "--dry-run", NULL, CLI_FLAG, offsetof(struct cli_args, dry_run),
		"as plan: say what would be done, write nothing"},
	{OPT_DIFF, "--diff", NULL, CLI_FLAG, offsetof(struct cli_args, diff),
		"show the change as a unified diff"},
	{OPT_NO_RESTART, "--no-restart", NULL, CLI_FLAG, offsetof(struct cli_args, no_restart),
		"leave the restart of containerd to somebody else"},
	{OPT_TIMEOUT, "--timeout", "SECONDS", CLI_SECONDS, offsetof(struct cli_args, timeout_s),
		"for the restart and until containerd is healthy, and for the lock (default: 60)"},
	{OPT_FORCE, "--force", NULL, CLI_FLAG, offsetof(struct cli_args, force),
		"go on where a refusal names this option"},
	{OPT_ADDRESS, "--address", "SOCKET", CLI_PATH, offsetof(struct cli_args, address),
		"containerd's socket (default: /run/containerd/containerd.sock)"},
	{OPT_NAMESPACE, "--namespace", "NAME", CLI_STRING,
		offsetof(struct cli_args, containerd_namespace),
		"containerd's namespace (default: k8s.io)"},
	{OPT_ALL, "--all", NULL, CLI_FLAG, offsetof(struct cli_args, all),
		"also caches and empty directories; fails if a view is in use"},
	{OPT_GROUP, "--group", "NAME", CLI_STRING, offsetof(struct cli_args, group),
		"the group, as `overlay list` names it (default: node)"},
	{OPT_OUTPUT, "--output", "FILE", CLI_PATH, offsetof(struct cli_args, output),
		"the file that is written (default: standard output)"},
	{OPT_TASK, "--task", NULL, CLI_FLAG, offsetof(struct cli_args, task),
		"also run a throw-away task on the running containerd"},
	{OPT_FIX, "--fix", NULL, CLI_FLAG, offsetof(struct cli_args, fix),
		"put right what nobody uses and what is only missing; with --dry-run say what that "
		"would be"},
	{OPT_POD, "--pod", "NAME", CLI_STRING, offsetof(struct cli_args, pod), "of this pod only"},
	{OPT_POD_NAMESPACE, "--namespace", "NAME", CLI_STRING,
		offsetof(struct cli_args, pod_namespace), "of this namespace of Kubernetes only"},
	{OPT_SINCE, "--since", "TIME", CLI_STRING, offsetof(struct cli_args, since),
		"from then on: 15m, 2h or 3d ago, or 2026-11-29T05:40:00Z"},
	{OPT_UNTIL, "--until", "TIME", CLI_STRING, offsetof(struct cli_args, until),
		"before then, spelt as with --since"},
	{OPT_UID, "--uid", "NUMBER", CLI_STRING, offsetof(struct cli_args, uid),
		"of processes that ran as this user"},
	{OPT_FAILED, "--failed", NULL, CLI_FLAG, offsetof(struct cli_args, failed),
		"refusals, and ends with another status than 0"},
	{OPT_WIDE, "--wide", NULL, CLI_FLAG, offsetof(struct cli_args, wide),
		"also the pid and the id"},
	{OPT_WIDE, "-o", "table|wide|json", CLI_CHOICE, offsetof(struct cli_args, format),
		"as --wide and --json"},
	{OPT_FOLLOW, "--follow", NULL, CLI_FLAG, offsetof(struct cli_args, follow),
		"go on with new records"},
	{OPT_INTERVAL, "--interval", "SECONDS", CLI_SECONDS, offsetof(struct cli_args, interval_s),
		"between the two readings (default: 1)"},
	{OPT_INTERVAL, "--batch", NULL, CLI_FLAG, offsetof(struct cli_args, batch),
		"go on with a table for each interval, until it is interrupted"},
	{OPT_JSON, "--json", NULL, CLI_FLAG, offsetof(struct cli_args, json),
		"one JSON object on standard output instead of text"},
};

#define EXIT_TEXT                                                                               \
	"Exit status: 0 done or nothing to do, 2 wrong arguments, 3 refused and nothing "       \
	"written,\n"                                                                            \
	"4 did not work and was undone, 5 could not be undone, 6 somebody else holds the lock " \
	"or\n"                                                                                  \
	"edited the file, 10 plan sees a change."

#define PACKAGE_TEXT                                                                           \
	"For the scripts of the deb and the rpm. REAPER_CONTAINERD_MERGE=no and "              \
	"REAPER_FORCE_REMOVE=1\nin the environment are heard. Exit status: 0, or 1 where the " \
	"package manager must stop."

static int print_bash(const struct cli_args *args);
static int print_zsh(const struct cli_args *args);
static int print_fish(const struct cli_args *args);
static int print_man(const struct cli_args *args);
static int print_configuration(const struct cli_args *args);

static const struct cli_command commands[] = {
	{"containerd", "plan", OPTS_WHERE | OPTS_HOW | OPT_DIFF | OPT_FORCE | OPT_NO_RESTART,
		containerd_plan, "Shows what apply would do, proved and without writing",
		EXIT_TEXT},
	{"containerd", "apply", OPTS_WHERE | OPTS_HOW | OPTS_WRITE | OPT_DIFF, containerd_apply,
		"Adds the runtime to containerd's configuration and sees that it works", EXIT_TEXT},
	{"containerd", "verify", OPTS_WHERE | OPTS_HOW | OPT_TIMEOUT, containerd_verify,
		"Checks that the runtime is configured and the running containerd has it",
		EXIT_TEXT},
	{"containerd", "undo", OPTS_WHERE | OPTS_WRITE | OPT_DIFF, containerd_undo,
		"Gives containerd's configuration back byte for byte", EXIT_TEXT},
	{"containerd", "status", OPTS_WHERE | OPTS_HOW | OPT_DIFF, containerd_status,
		"Tells what is configured, without judging it", NULL},
	{"image", "import", OPT_ADDRESS | OPT_NAMESPACE | OPT_CONTAINERD | OPT_TIMEOUT | OPT_JSON,
		image_import_command, "Makes the image " IMAGE_NAME " known to containerd",
		"Pods that run host programs name this image; it has no content. Nothing is "
		"downloaded."},
	{"image", "tar", 0, image_tar_command,
		"Writes the image " IMAGE_NAME " to standard output as an OCI tar", NULL},
	{"overlay", "list", OPT_JSON, overlay_list_command,
		"Lists the views of the host that pods share, and what they use", NULL},
	{"overlay", "show", OPT_GROUP | OPT_JSON, overlay_show_command,
		"Tells what a group is, what it uses, and where its layers are", NULL},
	{"overlay", "diff", OPT_GROUP | OPT_JSON, overlay_diff_command,
		"Lists what workloads have changed of the host as they see it",
		"Each path that was added, changed (type, content, mode, owner, xattr) or deleted, "
		"and\nthe Debian or RPM package that owns it. In a name, a backslash is doubled, "
		"and "
		"what is\nno printable UTF-8 is written as \\xNN."},
	{"overlay", "export", OPT_GROUP | OPT_OUTPUT, overlay_export_command,
		"Writes what workloads have written as the tar of an OCI layer",
		"Exit status: 0 done, 1 failed, or something that a layer cannot hold was left "
		"out."},
	{"overlay", "reset", OPT_GROUP | OPT_JSON, overlay_reset_command,
		"Gives the next containers of a group the host as it is",
		"Running containers keep what they see; what they write is gone with the last of "
		"them."},
	{"overlay", "refresh", OPT_JSON, overlay_refresh_command,
		"Brings the views to what the host has mounted, replaced and deleted since",
		"The next container's start does the same. Files of which a running pod still "
		"holds an\nold version are listed: that one is what the pods see."},
	{"overlay", "gc", OPT_ALL | OPT_JSON, overlay_gc_command,
		"Removes views that no pod uses, with all that was written in them",
		"Exit status: 0 done, 1 something could not be removed, or --all and a view is in "
		"use."},
	{"policy", "check", OPT_ROOT, policy_check_command,
		"Checks that the files in " POLICY_DIR " can be used",
		"Exit status: 0 they can, 1 they cannot: no pod starts then."},
	{"policy", "list", OPT_ROOT, policy_list_command,
		"Lists the rules of this node's policy in the order in which they count", NULL},
	{"policy", "test", OPT_ROOT, policy_test_command,
		"Tells what this node's policy says of a pod",
		"The file is a pod's manifest, in YAML or JSON (-: standard input), or the "
		"config.json of\na bundle, of which the runtime's plan is shown. Exit status: 0 "
		"allowed, 1 denied or not\nreadable.",
		.operand = "POD.yaml|config.json"},
	{NULL, "doctor", OPTS_WHERE | OPTS_HOW | OPT_ADDRESS | OPT_TASK | OPT_FIX | OPT_DRY_RUN,
		doctor_command, "Checks everything that a Reaper pod needs of this node",
		"Exit status: 0 all passed; else the class of the first check that failed: 11 "
		"node,\n"
		"12 install, 13 config, 14 daemon, 15 task, 16 left behind. --fix unmounts mounts "
		"and removes "
		"cgroups\nof nobody's and imports the image; it ends no process and changes no "
		"configuration."},
	{NULL, "ps", OPT_POD | OPT_POD_NAMESPACE | OPT_WIDE | OPT_JSON, ps_command,
		"Lists what runs on this node, also when containerd is down",
		"For which pod, since when, as whom, in which group of the overlay, with which "
		"memory\nand CPU time. The real user of the first process is shown."},
	{NULL, "top", OPT_POD | OPT_POD_NAMESPACE | OPT_INTERVAL | OPT_WIDE | OPT_JSON, top_command,
		"Shows what each pod uses, also when containerd is down",
		"CPU time over one interval in percent of one CPU, and memory now, of all "
		"containers of\na pod together, the busiest first; -o wide: of each container."},
	{NULL, "inspect", OPT_POD_NAMESPACE | OPT_JSON, inspect_command,
		"Tells all of one container or pod, and how to reach it",
		"ID may be the beginning of one; POD is its name, or NAMESPACE/NAME. The lines at "
		"the\nend are for its logs, a shell in it, and its end.",
		.operand = "ID|POD"},
	{NULL, "history",
		OPT_POD | OPT_POD_NAMESPACE | OPT_SINCE | OPT_UNTIL | OPT_UID | OPT_FAILED |
			OPT_FOLLOW | OPT_JSON,
		history_command, "Tells what was started, refused, run and ended on this node",
		"With --json each record is one line. REAPER_HISTORY in /etc/reaper/reaper.conf "
		"says how\nmuch is kept; the same records are in the journal: journalctl -t "
		"reaper."},
	{NULL, "errors", OPT_JSON, errors_command,
		"Tells what an error message means, and what to do",
		"Of one code, or of a message as kubectl describe or a log has it (in quotes); "
		"without\na word of all.",
		.operand = "CODE|TEXT"},
	{NULL, "metrics", OPT_OUTPUT, metrics_command,
		"Writes what Reaper does on this node as metrics of Prometheus",
		"Text for the textfile collector of the node exporter; with --output the file is "
		"replaced\nin one step. reaper-metrics.timer does it every 30 seconds where it is "
		"enabled."},
	{"package", "configure", OPT_TIMEOUT, package_configure,
		"What a package's script does after its files are there", PACKAGE_TEXT,
		.hidden = true},
	{"package", "triggered", OPT_TIMEOUT, package_triggered,
		"The same when containerd or its configuration changed", PACKAGE_TEXT,
		.hidden = true},
	{"package", "remove", OPT_TIMEOUT, package_remove,
		"What a package's script does before its files go", PACKAGE_TEXT, .hidden = true},
	{"package", "deconfigure", OPT_TIMEOUT, package_deconfigure,
		"The same for the sake of another package, which it never blocks", PACKAGE_TEXT,
		.hidden = true},
	{"completion", "bash", 0, print_bash, "Writes the completion for bash", NULL},
	{"completion", "zsh", 0, print_zsh, "Writes the completion for zsh", NULL},
	{"completion", "fish", 0, print_fish, "Writes the completion for fish", NULL},
	{NULL, "man", 0, print_man, "Writes the man page", .hidden = true},
	{NULL, "errors-page", 0, errors_page_command, "Writes the page about errors",
		.hidden = true},
	{NULL, "configuration", 0, print_configuration,
		"Writes the page about settings and annotations", .hidden = true},
};

static const struct cli cli = {
	.program = "reaperctl",
	.version = REAPER_VERSION,
	.about = "administration of a node that runs Reaper pods",
	.commands = commands,
	.n_commands = ARRAY_LEN(commands),
	.options = options,
	.n_options = ARRAY_LEN(options),
};

static int print_bash(const struct cli_args *args)
{
	(void)args;
	cli_print_bash(&cli, stdout);
	return 0;
}

static int print_zsh(const struct cli_args *args)
{
	(void)args;
	cli_print_zsh(&cli, stdout);
	return 0;
}

static int print_fish(const struct cli_args *args)
{
	(void)args;
	cli_print_fish(&cli, stdout);
	return 0;
}

static int print_man(const struct cli_args *args)
{
	static const char tail[] = ".SH FILES\n"
				   ".TP\n.I /etc/reaper/reaper.conf\nsettings\n"
				   ".TP\n.I /var/lib/reaper/containerd\n"
				   "what an undo needs: the journal and the bytes from before\n"
				   ".SH SEE ALSO\n"
				   ".BR containerd\\-shim\\-reaper\\-v2 (8),\n"
				   ".BR reaper\\-runtime (8)\n";

	(void)args;
	cli_print_man(&cli, "2026-11-28", tail, stdout);
	return 0;
}

static int print_configuration(const struct cli_args *args)
{
	(void)args;
	conf_print_doc(stdout);
	return 0;
}

int main(int argc, char **argv)
{
	static const struct cli_args defaults = {.timeout_s = 60, .interval_s = 1};

	return cli_main(&cli, &defaults, argc, argv);
}
