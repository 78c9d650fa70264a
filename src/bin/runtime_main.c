/* reaper-runtime: turns one OCI bundle into one running host process. Started by the shim; people
 * use `plan` and `features`. */
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include "base/cleanup.h"
#include "base/macro.h"
#include "base/str.h"
#include "oci/features.h"
#include "oci/spec.h"
#include "runtime/hook_stage.h"
#include "runtime/init.h"
#include "runtime/load.h"
#include "runtime/plan.h"

enum { EXIT_USAGE = 2 };

/* All options of all commands; each command says which it wants. */
struct options {
	const char *bundle, *id, *ns, *exec_id, *stage, *pid;
};

struct command {
	const char *name, *usage, *help;
	unsigned required, optional; /* bits: index in option_names */
	int (*run)(const struct options *o, char *const *env);
};

enum {
	OPT_BUNDLE = 1,
	OPT_ID = 2,
	OPT_NAMESPACE = 4,
	OPT_EXEC = 8,
	OPT_STAGE = 16,
	OPT_PID = 32,
};

static int run_init(const struct options *o, char *const *env)
{
	struct init_args args = {o->bundle, o->id, o->ns, o->exec_id};

	return runtime_init(&args, env);
}

static int run_hooks(const struct options *o, UNUSED char *const *env)
{
	const struct hook_stage_args args = {o->bundle, o->id, o->stage, o->pid};

	return runtime_hook_stage(&args);
}

static int fail(const struct err *err)
{
	(void)fprintf(stderr, "reaper-runtime: %s\n", err->text);
	return EXIT_FAILURE;
}

/* Only what the plan is made from; nothing on this machine is changed. */
static int run_plan(const struct options *o, char *const *env)
{
	_cleanup_(loaded_done) struct loaded l = LOADED_INIT;
	_cleanup_(plan_done) struct plan plan = PLAN_INIT;
	_cleanup_free_ char *text = NULL;
	struct plan_input in;
	struct err err = ERR_INIT;
	int r = load_bundle(&l, o->bundle, env, &err);

	if (r == 0) { /* a bundle that no shim has touched has no cgroup yet */
		r = load_cgroup(&l, o->bundle, &err);
		if (r == -ENOENT)
			r = 0;
	}
	if (r == 0)
		r = load_plan_input(&l, false, &in, &err);
	if (r == 0)
		r = plan_make(&in, &plan, &err);
	if (r == 0)
		r = plan_format(&plan, &text, &err);
	if (r < 0)
		return fail(&err);
	return fputs(text, stdout) < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}

static int run_features(const struct options *o UNUSED, char *const *env UNUSED)
{
	_cleanup_free_ char *text = NULL;
	struct err err = ERR_INIT;

	if (oci_features_write(JSON_PRETTY, &text, NULL, &err) < 0)
		return fail(&err);
	return fputs(text, stdout) < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}

static int run_version(const struct options *o UNUSED, char *const *env UNUSED)
{
	(void)printf("reaper-runtime version %s\nspec: %s\n", REAPER_VERSION, OCI_VERSION_MAX);
	return EXIT_SUCCESS;
}

static int run_help(const struct options *o, char *const *env);

static const struct command commands[] = {
	{"init", "init --bundle DIR --id ID --namespace NS [--exec ID]",
		"becomes the workload; only for the shim", OPT_BUNDLE | OPT_ID | OPT_NAMESPACE,
		OPT_EXEC, run_init},
	{"hooks", "hooks --bundle DIR --id ID --namespace NS --stage STAGE",
		"runs hooks of the spec; only for the shim",
		OPT_BUNDLE | OPT_ID | OPT_NAMESPACE | OPT_STAGE, OPT_PID, run_hooks},
	{"plan", "plan --bundle DIR", "says what would be done with a bundle", OPT_BUNDLE,
		OPT_ID | OPT_NAMESPACE, run_plan},
	{"features", "features", "what this runtime can do, as OCI features JSON", 0, 0,
		run_features},
	{"--version", "--version", "the version", 0, 0, run_version},
	{"--help", "--help", "this text", 0, 0, run_help},
};

static int run_help(const struct options *o UNUSED, char *const *env UNUSED)
{
	(void)printf("usage: reaper-runtime COMMAND [OPTION]...\n\n");
	for (size_t i = 0; i < ARRAY_LEN(commands); i++)
		(void)printf("  %-54s %s\n", commands[i].usage, commands[i].help);
	return EXIT_SUCCESS;
}

static int usage(const char *what, const char *word)
{
	(void)fprintf(stderr, "reaper-runtime: %s%s%s; see reaper-runtime --help\n", what,
		*word ? " " : "", word);
	return EXIT_USAGE;
}

static int parse_options(
	const struct command *c, int argc, char **argv, struct options *ret_options)
{
	struct options o = {0};
	const struct {
		const char *name;
		const char **value;
		unsigned bit;
		bool identifier;
	} known[] = {
		{"--bundle", &o.bundle, OPT_BUNDLE, false},
		{"--id", &o.id, OPT_ID, true},
		{"--namespace", &o.ns, OPT_NAMESPACE, true},
		{"--exec", &o.exec_id, OPT_EXEC, true},
		{"--stage", &o.stage, OPT_STAGE, true},
		{"--pid", &o.pid, OPT_PID, true},
	};
	unsigned seen = 0;

	for (int i = 0; i < argc; i++) {
		bool found = false;

		for (size_t j = 0; j < ARRAY_LEN(known) && !found; j++) {
			if (!str_eq(argv[i], known[j].name) ||
				!((c->required | c->optional) & known[j].bit))
				continue;
			if (++i == argc || !*argv[i])
				return usage("a value is missing after", known[j].name);
			if (known[j].identifier && !str_is_identifier(argv[i]))
				return usage("not an identifier:", argv[i]);
			*known[j].value = argv[i];
			seen |= known[j].bit;
			found = true;
		}
		if (!found)
			return usage("unknown argument", argv[i]);
	}
	for (size_t j = 0; j < ARRAY_LEN(known); j++) {
		if (c->required & ~seen & known[j].bit)
			return usage("missing option", known[j].name);
	}
	*ret_options = o;
	return 0;
}

int main(int argc, char **argv)
{
	extern char **environ;
	struct options o;

	if (argc < 2)
		return usage("a command is missing", "");
	for (size_t i = 0; i < ARRAY_LEN(commands); i++) {
		int r;

		if (!str_eq(argv[1], commands[i].name))
			continue;
		r = parse_options(&commands[i], argc - 2, argv + 2, &o);
		return r != 0 ? r : commands[i].run(&o, environ);
	}
	return usage("unknown command", argv[1]);
}
