/* reaper-runtime: turns one OCI bundle into one running host process. Started by the shim (`init`);
 * everything else is for people. */
#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/cleanup.h"
#include "base/macro.h"
#include "base/str.h"
#include "oci/features.h"
#include "oci/init_contract.h"
#include "oci/spec.h"
#include "runtime/hook_stage.h"
#include "runtime/init.h"
#include "runtime/load.h"
#include "runtime/plan.h"
#include "runtime/run.h"
#include "runtime/state.h"

enum { EXIT_USAGE = 2 };

/* All options of all commands; each command says which it wants. */
struct options {
	const char *bundle, *id, *ns, *exec_id, *stage, *pid;
	bool json, born;
};

struct command {
	const char *name, *usage, *help;
	unsigned required, optional; /* bits: OPT_… */
	unsigned operand;            /* the option that stands without its name, 0: none */
	int (*run)(const struct options *o, char *const *env);
};

enum {
	OPT_BUNDLE = 1,
	OPT_ID = 2,
	OPT_NAMESPACE = 4,
	OPT_EXEC = 8,
	OPT_STAGE = 16,
	OPT_PID = 32,
	OPT_JSON = 64,
	OPT_BORN = 128,
};

struct option {
	const char *name;
	unsigned bit;
	size_t member; /* of struct options: a const char *, or the bool of a switch */
	bool takes_value, identifier;
	const char *usage, *help;
};

static const struct option known_options[] = {
	{"--bundle", OPT_BUNDLE, offsetof(struct options, bundle), true, false, "--bundle BUNDLE",
		"the bundle's directory"},
	{"--id", OPT_ID, offsetof(struct options, id), true, true, "--id ID",
		"the container's id; else the name of the bundle's directory"},
	{"--namespace", OPT_NAMESPACE, offsetof(struct options, ns), true, true, "--namespace NS",
		"containerd's namespace; else run (of a bundle), or all"},
	{"--json", OPT_JSON, offsetof(struct options, json), false, false, "--json",
		"JSON in place of text"},
	{"--exec", OPT_EXEC, offsetof(struct options, exec_id), true, true, "--exec ID",
		"the exec that the process is"},
	{"--stage", OPT_STAGE, offsetof(struct options, stage), true, false, "--stage STAGE",
		"which of the spec's hooks"},
	{"--pid", OPT_PID, offsetof(struct options, pid), true, false, "--pid PID",
		"the process that the hooks are told of"},
	{INIT_BORN_IN_CGROUP, OPT_BORN, offsetof(struct options, born), false, false,
		INIT_BORN_IN_CGROUP, "the process is in its cgroup already"},
};

static int run_init(const struct options *o, char *const *env)
{
	struct init_args args = {o->bundle, o->id, o->ns, o->exec_id, o->born};

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
	const char *slash = strrchr(o->bundle, '/');
	int r = load_bundle(&l, o->bundle, o->ns ? o->ns : RUN_NAMESPACE,
		o->id ? o->id : (slash ? slash + 1 : o->bundle), env, &err);

	if (r == 0) { /* a bundle that no shim has touched has no cgroup yet */
		r = load_cgroup(&l, o->bundle, &err);
		if (r == -ENOENT)
			r = 0;
	}
	if (r == 0 && l.settings.user) {
		r = identity_lookup(l.settings.user, -EBADF, &l.identity, &err);
		l.has_identity = r == 0;
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

static void print_note(const char *text)
{
	(void)fprintf(stderr, "reaper-runtime: %s\n", text);
}

static int run_run(const struct options *o, char *const *env)
{
	struct run_args args = {.bundle = o->bundle, .id = o->id, .ns = o->ns};
	struct err err = ERR_INIT;
	int status;

	if (runtime_run(&args, env, print_note, &status, &err) < 0)
		(void)fail(&err);
	return status;
}

static int find(const struct options *o, struct containers *ret_containers, struct err *err)
{
	int r = containers_find(o->ns, ret_containers, err);

	for (size_t i = 0; r == 0 && ret_containers->warnings && ret_containers->warnings[i]; i++)
		print_note(ret_containers->warnings[i]);
	return r;
}

static int print_json(struct json_object *o, struct err *err)
{
	_cleanup_free_ char *text = NULL;

	if (json_write(o, JSON_PRETTY, &text, NULL) < 0)
		return err_sysf(err, ENOMEM, "JSON");
	return fputs(text, stdout) < 0 ? err_sysf(err, EIO, "standard output") : 0;
}

static int list_json(const struct containers *c, struct err *err)
{
	_cleanup_(json_object_freep) struct json_object *list = json_new_list();
	int r = 0;

	for (size_t i = 0; r == 0 && i < c->n; i++) {
		struct json_object *o;

		r = container_state_json(&c->v[i], &o, err);
		if (r == 0 && json_append(list, o) < 0)
			r = err_sysf(err, ENOMEM, "JSON");
	}
	return r < 0 ? r : print_json(list, err);
}

static int column(int so_far, const char *text)
{
	int n = (int)strlen(text);

	return n > so_far ? n : so_far;
}

/* Columns as wide as what stands in them. */
static void list_table(const struct containers *c)
{
	int ns = column(0, "NAMESPACE"), id = column(0, "ID");

	for (size_t i = 0; i < c->n; i++) {
		ns = column(ns, c->v[i].record.ns);
		id = column(id, c->v[i].record.id);
	}
	(void)printf("%-*s  %-*s  %8s  %-7s  %-20s  %s\n", ns, "NAMESPACE", id, "ID", "PID",
		"STATUS", "CREATED", "BUNDLE");
	for (size_t i = 0; i < c->n; i++) {
		const struct container_info *info = &c->v[i];
		bool stopped = info->status == CONTAINER_STOPPED;
		char at[CONTAINER_TIME_SIZE];

		(void)printf("%-*s  %-*s  %8d  %-7s  %-20s  %s\n", ns, info->record.ns, id,
			info->record.id, stopped ? 0 : (int)info->record.init_pid,
			container_status_name(info->status),
			container_time(&info->record.created, at), info->bundle);
	}
}

static int run_list(const struct options *o, char *const *env UNUSED)
{
	_cleanup_(containers_done) struct containers c = CONTAINERS_INIT;
	struct err err = ERR_INIT;
	int r = find(o, &c, &err);

	if (r == 0 && o->json)
		r = list_json(&c, &err);
	else if (r == 0)
		list_table(&c);
	return r < 0 ? fail(&err) : EXIT_SUCCESS;
}

static int run_state(const struct options *o, char *const *env UNUSED)
{
	_cleanup_(containers_done) struct containers c = CONTAINERS_INIT;
	_cleanup_(json_object_freep) struct json_object *json = NULL;
	_cleanup_free_ char *text = NULL;
	const struct container_info *info;
	struct err err = ERR_INIT;
	int r = find(o, &c, &err);

	if (r == 0)
		r = containers_get(&c, o->id, &info, &err);
	if (r == 0 && o->json) {
		r = container_state_json(info, &json, &err);
		if (r == 0)
			r = print_json(json, &err);
	} else if (r == 0) {
		r = container_state_text(info, &text, &err);
		if (r == 0 && fputs(text, stdout) < 0)
			r = err_sysf(&err, EIO, "standard output");
	}
	return r < 0 ? fail(&err) : EXIT_SUCCESS;
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
	{"run", "run BUNDLE [--id ID] [--namespace NS]",
		"runs a bundle in the foreground, without containerd", OPT_BUNDLE,
		OPT_ID | OPT_NAMESPACE, OPT_BUNDLE, run_run},
	{"list", "list [--namespace NS] [--json]", "the containers of this node", 0,
		OPT_NAMESPACE | OPT_JSON, 0, run_list},
	{"state", "state ID [--namespace NS] [--json]",
		"what one container is in; --json: the OCI state", OPT_ID, OPT_NAMESPACE | OPT_JSON,
		OPT_ID, run_state},
	{"plan", "plan BUNDLE [--id ID] [--namespace NS]", "says what would be done with a bundle",
		OPT_BUNDLE, OPT_ID | OPT_NAMESPACE, OPT_BUNDLE, run_plan},
	{"features", "features", "what this runtime can do, as OCI features JSON", 0, 0, 0,
		run_features},
	{"init",
		"init --bundle BUNDLE --id ID --namespace NS [--exec ID] [" INIT_BORN_IN_CGROUP "]",
		"becomes the workload; only for the shim", OPT_BUNDLE | OPT_ID | OPT_NAMESPACE,
		OPT_EXEC | OPT_BORN, 0, run_init},
	{"hooks", "hooks --bundle BUNDLE --id ID --namespace NS --stage STAGE [--pid PID]",
		"runs hooks of the spec; only for the shim",
		OPT_BUNDLE | OPT_ID | OPT_NAMESPACE | OPT_STAGE, OPT_PID, 0, run_hooks},
	{"--version", "--version", "the version", 0, 0, 0, run_version},
	{"--help", "--help", "this text; behind a command, its own", 0, 0, 0, run_help},
};

/* The option as this command has it: `state` is given an id where others have --id. */
static void print_option(const struct command *c, const struct option *o)
{
	const char *words = o->usage;

	if (o->bit == c->operand)
		words = o->bit == OPT_ID ? "ID" : "BUNDLE";
	(void)printf("  %-17s %s\n", words,
		o->bit == OPT_ID && c->operand == OPT_ID ? "the container's id" : o->help);
}

static void print_command_help(const struct command *c)
{
	(void)printf("usage: reaper-runtime %s\n\n%s\n", c->usage, c->help);
	for (size_t i = 0, n = 0; i < ARRAY_LEN(known_options); i++) {
		if (!((c->required | c->optional) & known_options[i].bit))
			continue;
		(void)fputs(n++ ? "" : "\n", stdout);
		print_option(c, &known_options[i]);
	}
}

static int run_help(const struct options *o UNUSED, char *const *env UNUSED)
{
	(void)printf("usage: reaper-runtime COMMAND [OPTIONS]\n\n");
	for (size_t i = 0; i < ARRAY_LEN(commands); i++)
		(void)printf("  %s\n      %s\n", commands[i].usage, commands[i].help);
	(void)printf("\nOptions, of the commands that name them:\n\n");
	for (size_t i = 0; i < ARRAY_LEN(known_options); i++)
		(void)printf("  %-17s %s\n", known_options[i].usage, known_options[i].help);
	(void)printf("\n`run` exits with the status of the workload, or 128 and the number of the "
		     "signal that\n"
		     "ended it; 126 to 128 when no program could be run. Otherwise 0 is success, 1 "
		     "a failure\n"
		     "and 2 a mistake on the command line. docs/RUNTIME-CLI.md has the rest.\n");
	return EXIT_SUCCESS;
}

static int usage(const char *what, const char *word)
{
	(void)fprintf(stderr, "reaper-runtime: %s%s%s; see reaper-runtime --help\n", what,
		*word ? " " : "", word);
	return EXIT_USAGE;
}

static int take_value(
	const struct option *option, const char *value, struct options *o, unsigned *seen)
{
	if (str_empty(value))
		return usage("a value is missing after", option->name);
	if (*seen & option->bit)
		return usage("given twice:", option->name);
	if (option->identifier && !str_is_identifier(value))
		return usage("not an identifier:", value);
	*(const char **)((char *)o + option->member) = value;
	*seen |= option->bit;
	return 0;
}

static const struct option *find_option(const struct command *c, const char *word)
{
	for (size_t i = 0; i < ARRAY_LEN(known_options); i++) {
		const struct option *o = &known_options[i];

		/* a word that is no option is the command's operand */
		if ((c->required | c->optional) & o->bit &&
			(str_eq(word, o->name) || (word[0] != '-' && o->bit == c->operand)))
			return o;
	}
	return NULL;
}

static int parse_options(
	const struct command *c, int argc, char **argv, struct options *ret_options)
{
	struct options o = {0};
	unsigned seen = 0;
	int r = 0;

	for (int i = 0; r == 0 && i < argc; i++) {
		const struct option *option = find_option(c, argv[i]);

		if (!option)
			return usage("unknown argument", argv[i]);
		if (!option->takes_value)
			*(bool *)((char *)&o + option->member) = true;
		else if (str_eq(argv[i], option->name))
			r = take_value(option, ++i < argc ? argv[i] : NULL, &o, &seen);
		else
			r = take_value(option, argv[i], &o, &seen);
	}
	for (size_t i = 0; r == 0 && i < ARRAY_LEN(known_options); i++) {
		const struct option *option = &known_options[i];

		if (c->required & ~seen & option->bit)
			return usage(
				option->bit == c->operand ? "missing operand of" : "missing option",
				option->bit == c->operand ? c->usage : option->name);
	}
	*ret_options = o;
	return r;
}

int main(int argc, char **argv)
{
	extern char **environ;
	struct options o;

	if (argc < 2)
		return usage("a command is missing", "");
	if (str_eq(argv[1], "-h") || str_eq(argv[1], "help"))
		return run_help(NULL, environ);
	for (size_t i = 0; i < ARRAY_LEN(commands); i++) {
		int r;

		if (!str_eq(argv[1], commands[i].name))
			continue;
		if (strv_asks_help(argv + 2)) {
			print_command_help(&commands[i]);
			return EXIT_SUCCESS;
		}
		r = parse_options(&commands[i], argc - 2, argv + 2, &o);
		return r != 0 ? r : commands[i].run(&o, environ);
	}
	return usage("unknown command", argv[1]);
}
