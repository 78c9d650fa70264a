#include "cli/cli.h"

#include <criterion/criterion.h>
#include <criterion/redirect.h>
#include <stdio.h>
#include <string.h>
#include "base/macro.h"
#include "base/str.h"

static struct cli_args seen;

static int remember(const struct cli_args *args)
{
	seen = *args;
	return 42;
}

static const struct cli_option options[] = {
	{1, "--root", "DIR", CLI_PATH, offsetof(struct cli_args, root), "tree"},
	{2, "--json", NULL, CLI_FLAG, offsetof(struct cli_args, json), "as JSON"},
	{4, "--timeout", "S", CLI_SECONDS, offsetof(struct cli_args, timeout_s), "time"},
};
static const struct cli_command commands[] = {
	{"group", "do", 7, remember, "Does it", NULL},
	{"group", "less", 2, remember, "Does less", NULL},
	{NULL, "alone", 0, remember, "Stands alone", NULL},
};
static const struct cli cli = {.program = "prog",
	.version = "1.2",
	.about = "a test",
	.commands = commands,
	.n_commands = ARRAY_LEN(commands),
	.options = options,
	.n_options = ARRAY_LEN(options)};

static int run(const char *line)
{
	static const struct cli_args defaults = {.timeout_s = 60};
	static char **kept[64]; /* the values in `seen` point into argv */
	static size_t n;
	char **argv = NULL;

	cr_assert_eq(strv_split(&argv, line, " "), 0);
	cr_assert_lt(n, ARRAY_LEN(kept));
	kept[n++] = argv;
	return cli_main(&cli, &defaults, (int)strv_len(argv), argv);
}

Test(cli_tables, hands_over_what_was_given)
{
	cr_expect_eq(run("prog group do --root /x --timeout=5 --json"), 42);
	cr_expect_str_eq(seen.root, "/x");
	cr_expect_eq(seen.timeout_s, 5);
	cr_expect(seen.json);
	cr_expect_eq(run("prog alone"), 42);
	cr_expect_null(seen.root);
	cr_expect_eq(seen.timeout_s, 60);
}

Test(cli_tables, names_the_word_that_is_wrong, .init = cr_redirect_stderr)
{
	static const struct {
		const char *line, *error;
	} lines[] = {
		{"prog nope", "prog: unknown command \"nope\" (see: prog --help)\n"},
		{"prog group nope", "prog: unknown command \"nope\" (see: prog --help)\n"},
		{"prog group less --root /x",
			"unknown argument \"--root\" (see: prog group less --help)\n"},
		{"prog group do extra", "unknown argument \"extra\""},
		{"prog group do --root", "option \"--root\" needs a value"},
		{"prog group do --root x", "option"},
		{"prog group do --json=1", "option \"--json\" takes no value"},
		{"prog group do --timeout 1h", "not a number of seconds"},
		{"prog group do --jso", "unknown argument \"--jso\""},
	};

	char said[4096];
	size_t len;

	for (size_t i = 0; i < ARRAY_LEN(lines); i++)
		cr_expect_eq(run(lines[i].line), CLI_EXIT_USAGE, "%s", lines[i].line);
	(void)fflush(stderr);
	(void)fclose(stderr);
	len = fread(said, 1, sizeof(said) - 1, cr_get_redirected_stderr());
	said[len] = '\0';
	for (size_t i = 0; i < ARRAY_LEN(lines); i++)
		cr_expect_not_null(strstr(said, lines[i].error), "%s", lines[i].error);
}

Test(cli_tables, writes_its_help_from_the_tables, .init = cr_redirect_stdout)
{
	cr_expect_eq(run("prog --help"), 0);
	cr_expect_eq(run("prog group --help"), 0);
	cr_expect_eq(run("prog group less --help"), 0);
	cr_expect_eq(run("prog --version"), 0);
	(void)fflush(stdout);
	cr_assert_stdout_eq_str(
		"prog: a test\n\nUsage: prog COMMAND [OPTIONS]\n\n"
		"  group do             Does it\n  group less           Does less\n\n"
		"  alone                Stands alone\n\n"
		"  --help               this text; behind a command, its own\n"
		"  --version            the version of this program\n"
		"prog: a test\n\nUsage: prog COMMAND [OPTIONS]\n\n"
		"  group do             Does it\n  group less           Does less\n\n"
		"  alone                Stands alone\n\n"
		"  --help               this text; behind a command, its own\n"
		"  --version            the version of this program\n"
		"Usage: prog group less [OPTIONS]\n\nDoes less.\n\nOptions:\n"
		"  --json               as JSON\nprog 1.2\n");
}
