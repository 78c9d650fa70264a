/*
 * Command lines as tables: what `reaperctl` can do is one array of commands and one of options, and
 * parsing, help, and whatever else wants to know (completions, man pages) read the same rows.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/err.h"
#include "base/json.h"

/* Values of all options of all commands; a command reads the ones its row lists. Strings are
 * borrowed from argv. */
struct cli_args {
	const char *root;       /* NULL: the machine itself */
	const char *config;     /* NULL: the daemon's own */
	const char *containerd; /* NULL: the unit's program */
	const char *unit;
	const char *address;
	const char *containerd_namespace;
	uint64_t timeout_s;
	const char *group;   /* of the overlay, NULL: the node's */
	const char *output;  /* NULL: standard output */
	const char *handler; /* NULL: the usual one */
	const char *operand; /* the word that is no option: struct cli_command.operand */
	const char *pod, *pod_namespace; /* Kubernetes' */
	const char *since, *until, *uid; /* as given: history.h */
	uint64_t interval_s;
	unsigned strategy, format; /* enum strategy, cli_format: in the order of the option's words
				    */
	bool dry_run, diff, json, no_restart, force, all, allow_unversioned, strict, task, fix,
		failed, wide, follow, batch;
	bool quiet; /* no option: a package's script says nothing when there was nothing to do */
};

enum cli_kind {
	CLI_FLAG,
	CLI_STRING,
	CLI_PATH,
	CLI_SECONDS,
	CLI_CHOICE, /* one of the words that `value` lists with '|' between: its index */
};

/* The words of --strategy. */
enum strategy { STRATEGY_AUTO, STRATEGY_DROP_IN, STRATEGY_BLOCK };

/* The words of -o. */
enum cli_format { CLI_FORMAT_TABLE, CLI_FORMAT_WIDE, CLI_FORMAT_JSON };

struct cli_option {
	uint32_t bit; /* which commands take it: struct cli_command.options */
	const char *name;
	const char *value; /* word for the value in help texts, NULL for a flag */
	enum cli_kind kind;
	size_t offset; /* in struct cli_args */
	const char *help;
};

struct cli_command {
	const char *group; /* "containerd"; NULL for a command without one */
	const char *name;
	uint32_t options;
	int (*run)(const struct cli_args *args); /* returns the exit status */
	const char *help;
	const char *detail;  /* further paragraphs of its own help, or NULL */
	const char *operand; /* "ID|POD": it takes one word that is no option; NULL: none */
	bool hidden;         /* not in the overview */
};

struct cli {
	const char *program, *version, *about;
	const struct cli_command *commands;
	size_t n_commands;
	const struct cli_option *options;
	size_t n_options;
};

enum { CLI_EXIT_USAGE = 2 };

/*
 * Runs the command that argv names and returns its exit status. `--help` and `--version` are
 * answered here; a command line that is wrong costs one line on standard error that names the word,
 * and CLI_EXIT_USAGE. `defaults` are the values of options that are not given.
 */
int cli_main(const struct cli *cli, const struct cli_args *defaults, int argc, char **argv);

/* What --json asks for: the object on standard output. 0, or 1 without memory; `o` stays the
 * caller's. */
int cli_print_json(struct json_object *o);
