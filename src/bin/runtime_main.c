/* reaper-runtime: turns one OCI bundle into one running host process. Started by the shim (`init`);
 * everything else is for people. */
#include <errno.h>
#include <stdbool.h>
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
	{"plan", "plan --bundle DIR", "says what would be done with a bundle", OPT_BUNDLE,
		OPT_ID | OPT_NAMESPACE, OPT_BUNDLE, run_plan},
	{"features", "features", "what this runtime can do, as OCI features JSON", 0, 0, 0,
		run_features},
	{"init", "init --bundle DIR --id ID --namespace NS [--exec ID]",
		"becomes the workload; only for the shim", OPT_BUNDLE | OPT_ID | OPT_NAMESPACE,
		OPT_EXEC | OPT_BORN, 0, run_init},
	{"hooks", "hooks --bundle DIR --id ID --namespace NS --stage STAGE",
		"runs hooks of the spec; only for the shim",
		OPT_BUNDLE | OPT_ID | OPT_NAMESPACE | OPT_STAGE, OPT_PID, 0, run_hooks},
	{"--version", "--version", "the version", 0, 0, 0, run_version},
	{"--help", "--help", "this text", 0, 0, 0, run_help},
};

static int run_help(const struct options *o UNUSED, char *const *env UNUSED)
{
	(void)printf("usage: reaper-runtime COMMAND [OPTION]...\n\n");
	for (size_t i = 0; i < ARRAY_LEN(commands); i++)
		(void)printf("  %-54s %s\n", commands[i].usage, commands[i].help);
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

struct option {
	const char *name;
	const char **value; /* NULL: a switch */
	unsigned bit;
	bool identifier;
	bool *on; /* of a switch */
};

enum { N_OPTIONS = 8 };

static int take_value(const struct option *option, const char *value, unsigned *seen)
{
	if (str_empty(value))
		return usage("a value is missing after", option->name);
	if (*seen & option->bit)
		return usage("given twice:", option->name);
	if (option->identifier && !str_is_identifier(value))
		return usage("not an identifier:", value);
	*option->value = value;
	*seen |= option->bit;
	return 0;
}

static const struct option *find_option(
	const struct option *known, const struct command *c, const char *word)
{
	for (size_t j = 0; j < N_OPTIONS; j++) {
		bool fits = c->required & known[j].bit || c->optional & known[j].bit;

		/* a word that is no option is the command's operand */
		if (fits && (str_eq(word, known[j].name) ||
				    (word[0] != '-' && known[j].bit == c->operand)))
			return &known[j];
	}
	return NULL;
}

static int parse_options(
	const struct command *c, int argc, char **argv, struct options *ret_options)
{
	struct options o = {0};
	const struct option known[N_OPTIONS] = {
		{"--bundle", &o.bundle, OPT_BUNDLE, false, NULL},
		{"--id", &o.id, OPT_ID, true, NULL},
		{"--namespace", &o.ns, OPT_NAMESPACE, true, NULL},
		{"--exec", &o.exec_id, OPT_EXEC, true, NULL},
		{"--stage", &o.stage, OPT_STAGE, true, NULL},
		{"--pid", &o.pid, OPT_PID, true, NULL},
		{"--json", NULL, OPT_JSON, false, &o.json},
		{INIT_BORN_IN_CGROUP, NULL, OPT_BORN, false, &o.born},
	};
	unsigned seen = 0;
	int r = 0;

	for (int i = 0; r == 0 && i < argc; i++) {
		const struct option *option = find_option(known, c, argv[i]);

		if (!option)
			return usage("unknown argument", argv[i]);
		if (!option->value)
			*option->on = true;
		else if (str_eq(argv[i], option->name))
			r = take_value(option, ++i < argc ? argv[i] : NULL, &seen);
		else
			r = take_value(option, argv[i], &seen);
	}
	for (size_t j = 0; r == 0 && j < ARRAY_LEN(known); j++) {
		if (c->required & ~seen & known[j].bit)
			return usage(known[j].bit == c->operand ? "missing operand of"
								: "missing option",
				known[j].bit == c->operand ? c->usage : known[j].name);
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
		r = parse_options(&commands[i], argc - 2, argv + 2, &o);
		return r != 0 ? r : commands[i].run(&o, environ);
	}
	return usage("unknown command", argv[1]);
}
