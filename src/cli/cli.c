#include "cli/cli.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/cleanup.h"
#include "base/num.h"
#include "base/str.h"

static void print_command_name(FILE *out, const struct cli *cli, const struct cli_command *c)
{
	(void)fprintf(out, "%s %s%s%s", cli->program, c->group ? c->group : "", c->group ? " " : "",
		c->name);
}

static void print_overview(FILE *out, const struct cli *cli)
{
	const char *group = NULL;

	(void)fprintf(out, "%s: %s\n\nUsage: %s COMMAND [OPTIONS]\n", cli->program, cli->about,
		cli->program);
	for (size_t i = 0; i < cli->n_commands; i++) {
		const struct cli_command *c = &cli->commands[i];
		char name[64];

		if (c->hidden)
			continue;
		if (!group || !c->group || !str_eq(group, c->group))
			(void)fputc('\n', out);
		group = c->group;
		(void)snprintf(name, sizeof(name), "%s%s%s", group ? group : "", group ? " " : "",
			c->name);
		(void)fprintf(out, "  %-20s %s\n", name, c->help);
	}
	(void)fprintf(out,
		"\n  %-20s this text; behind a command, its own\n"
		"  %-20s the version of this program\n",
		"--help", "--version");
}

static void print_command_help(FILE *out, const struct cli *cli, const struct cli_command *c)
{
	(void)fputs("Usage: ", out);
	print_command_name(out, cli, c);
	(void)fprintf(out, "%s%s%s\n\n%s.\n", c->options ? " [OPTIONS]" : "", c->operand ? " " : "",
		c->operand ? c->operand : "", c->help);
	if (c->detail)
		(void)fprintf(out, "\n%s\n", c->detail);
	if (c->options)
		(void)fputs("\nOptions:\n", out);
	for (size_t i = 0; i < cli->n_options; i++) {
		const struct cli_option *o = &cli->options[i];
		char name[64];

		if (!(o->bit & c->options))
			continue;
		(void)snprintf(name, sizeof(name), "%s%s%s", o->name, o->value ? " " : "",
			o->value ? o->value : "");
		(void)fprintf(out, "  %-20s %s\n", name, o->help);
	}
}

/* A line on standard error that names the word and where to read on. */
static int usage(const struct cli *cli, const struct cli_command *c, const char *what,
	const char *word, const char *why)
{
	(void)fprintf(stderr, "%s: %s \"%s\"%s (see: ", cli->program, what, word, why);
	if (c)
		print_command_name(stderr, cli, c);
	else
		(void)fputs(cli->program, stderr);
	(void)fputs(" --help)\n", stderr);
	return CLI_EXIT_USAGE;
}

static const struct cli_command *find_command(
	const struct cli *cli, int argc, char **argv, int *ret_used, bool *ret_group)
{
	*ret_group = false;
	for (size_t i = 0; i < cli->n_commands; i++) {
		const struct cli_command *c = &cli->commands[i];

		*ret_used = c->group ? 2 : 1;
		if (c->group && str_eq(argv[1], c->group))
			*ret_group = true;
		if (c->group && argc > 2 && str_eq(argv[1], c->group) && str_eq(argv[2], c->name))
			return c;
		if (!c->group && str_eq(argv[1], c->name))
			return c;
	}
	return NULL;
}

/* Which of the words in "a|b|c" it is; -1: none. */
static int choice_of(const char *words, const char *word)
{
	size_t len = strlen(word);
	int index = 0;

	for (const char *w = words; w && *w; index++) {
		size_t n = strcspn(w, "|");

		if (n == len && strncmp(w, word, n) == 0)
			return index;
		w += n + (w[n] == '|');
	}
	return -1;
}

static int set_option(const struct cli *cli, const struct cli_command *c,
	const struct cli_option *o, const char *value, struct cli_args *args)
{
	void *field = (char *)args + o->offset;

	switch (o->kind) {
	case CLI_FLAG:
		*(bool *)field = true;
		return 0;
	case CLI_SECONDS:
		if (num_parse_u64(value, 86400, (uint64_t *)field) < 0)
			return usage(
				cli, c, o->name, value, ": not a number of seconds up to 86400");
		return 0;
	case CLI_PATH:
		if (value[0] != '/')
			return usage(cli, c, o->name, value, ": not an absolute path");
		*(const char **)field = value;
		return 0;
	case CLI_CHOICE:
		if (choice_of(o->value, value) < 0)
			return usage(cli, c, o->name, value, ": none of the words it knows");
		*(unsigned *)field = (unsigned)choice_of(o->value, value);
		return 0;
	case CLI_STRING:
		if (value[0] == '\0')
			return usage(cli, c, o->name, value, ": empty");
		*(const char **)field = value;
		return 0;
	}
	return CLI_EXIT_USAGE;
}

/* The option of this command that `word` names; *ret_value is the text behind "--name=". */
static const struct cli_option *find_option(const struct cli *cli, const struct cli_command *c,
	const char *word, const char **ret_value)
{
	const char *equals = strchr(word, '=');
	size_t len = equals ? (size_t)(equals - word) : strlen(word);

	*ret_value = equals ? equals + 1 : NULL;
	for (size_t i = 0; i < cli->n_options; i++) {
		const struct cli_option *o = &cli->options[i];

		if ((o->bit & c->options) && strlen(o->name) == len &&
			strncmp(o->name, word, len) == 0)
			return o;
	}
	return NULL;
}

/* - is standard input. */
static bool is_operand(const char *word)
{
	return word[0] && (word[0] != '-' || !word[1]);
}

static int parse_options(const struct cli *cli, const struct cli_command *c, int argc, char **argv,
	int at, struct cli_args *args)
{
	for (; at < argc; at++) {
		const struct cli_option *o;
		const char *value;
		int r;

		if (c->operand && !args->operand && is_operand(argv[at])) {
			args->operand = argv[at];
			continue;
		}
		o = find_option(cli, c, argv[at], &value);
		if (!o)
			return usage(cli, c, "unknown argument", argv[at], "");
		if (o->kind == CLI_FLAG && value)
			return usage(cli, c, "option", o->name, " takes no value");
		if (o->kind != CLI_FLAG && !value) {
			if (++at == argc)
				return usage(cli, c, "option", o->name, " needs a value");
			value = argv[at];
		}
		r = set_option(cli, c, o, value, args);
		if (r != 0)
			return r;
	}
	return 0;
}

int cli_main(const struct cli *cli, const struct cli_args *defaults, int argc, char **argv)
{
	const struct cli_command *c;
	struct cli_args args = *defaults;
	int used, r;
	bool group;

	if (argc < 2) {
		print_overview(stderr, cli);
		return CLI_EXIT_USAGE;
	}
	if (str_eq(argv[1], "--version") || str_eq(argv[1], "-v")) {
		(void)printf("%s %s\n", cli->program, cli->version);
		return 0;
	}
	if (str_eq(argv[1], "--help") || str_eq(argv[1], "-h") || str_eq(argv[1], "help")) {
		print_overview(stdout, cli);
		return 0;
	}
	c = find_command(cli, argc, argv, &used, &group);
	if (!c && group && (argc == 2 || strv_asks_help(argv + 2))) {
		print_overview(argc == 2 ? stderr : stdout, cli);
		return argc == 2 ? CLI_EXIT_USAGE : 0;
	}
	if (!c)
		return usage(cli, NULL, "unknown command", argv[group ? 2 : 1], "");
	if (strv_asks_help(argv + used + 1)) {
		print_command_help(stdout, cli, c);
		return 0;
	}
	r = parse_options(cli, c, argc, argv, used + 1, &args);
	return r != 0 ? r : c->run(&args);
}

int cli_print_json(struct json_object *o)
{
	_cleanup_free_ char *text = NULL;

	if (json_write(o, JSON_COMPACT, &text, NULL) < 0)
		return 1;
	(void)fputs(text, stdout);
	return 0;
}
