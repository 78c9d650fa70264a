#include "cli/cli_doc.h"

#include <ctype.h>
#include <string.h>
#include "base/str.h"

/* Commands that stand in texts; the table has those of a group together. */
static bool is_shown(const struct cli_command *c)
{
	return !c->hidden;
}

static bool is_first_of_group(const struct cli *cli, size_t i)
{
	const struct cli_command *c = &cli->commands[i];

	return i == 0 || !c->group || !cli->commands[i - 1].group ||
	       !str_eq(c->group, cli->commands[i - 1].group);
}

static const char *first_word(const struct cli_command *c)
{
	return c->group ? c->group : c->name;
}

static bool takes(const struct cli_command *c, const struct cli_option *o)
{
	return (c->options & o->bit) != 0;
}

/* `s` in single quotes of a shell; quotes in it are left out, no text of ours needs them there. */
static void put_quoted(const char *s, FILE *out)
{
	(void)fputc('\'', out);
	for (; *s; s++) {
		if (*s != '\'')
			(void)fputc(*s, out);
	}
	(void)fputc('\'', out);
}

/* "auto|drop-in|block" with `between` instead of the bars. */
static void put_choices(const char *value, const char *between, FILE *out)
{
	for (; *value; value++) {
		if (*value == '|')
			(void)fputs(between, out);
		else
			(void)fputc(*value, out);
	}
}

/* The shell function's name: no '-' in it. */
static void put_function(const char *program, FILE *out)
{
	(void)fputc('_', out);
	for (; *program; program++)
		(void)fputc(isalnum((unsigned char)*program) ? *program : '_', out);
}

/* ---- bash ---- */

static void put_bash_value(const struct cli_option *o, FILE *out)
{
	if (o->kind == CLI_FLAG)
		return;
	(void)fprintf(out, "    %s)\n        ", o->name);
	if (o->kind == CLI_CHOICE) {
		(void)fputs("mapfile -t COMPREPLY < <(compgen -W '", out);
		put_choices(o->value, " ", out);
		(void)fputs("' -- \"$cur\")\n        ", out);
	} else if (o->kind == CLI_PATH) {
		(void)fprintf(out, "mapfile -t COMPREPLY < <(compgen -%c -- \"$cur\")\n        ",
			str_eq(o->value, "DIR") ? 'd' : 'f');
	}
	(void)fputs("return\n        ;;\n", out);
}

static void put_bash_commands(const struct cli *cli, FILE *out)
{
	(void)fputs("    case ${COMP_WORDS[1]} in\n", out);
	for (size_t i = 0; i < cli->n_commands; i++) {
		const struct cli_command *c = &cli->commands[i];

		if (!c->group || !is_first_of_group(cli, i))
			continue;
		(void)fprintf(out, "    %s) [ \"$COMP_CWORD\" = 2 ] && words='", c->group);
		for (size_t k = i; k < cli->n_commands; k++) {
			const struct cli_command *other = &cli->commands[k];

			if (is_shown(other) && other->group && str_eq(other->group, c->group))
				(void)fprintf(out, "%s%s", k == i ? "" : " ", other->name);
		}
		(void)fputs("' ;;\n", out);
	}
	(void)fputs("    esac\n", out);
}

static void put_bash_options(const struct cli *cli, FILE *out)
{
	(void)fputs("    case \"${COMP_WORDS[1]} ${COMP_WORDS[2]:-}\" in\n", out);
	for (size_t i = 0; i < cli->n_commands; i++) {
		const struct cli_command *c = &cli->commands[i];

		if (!is_shown(c))
			continue;
		if (c->group)
			(void)fprintf(out, "    '%s %s') ", c->group, c->name);
		else
			(void)fprintf(out, "    '%s '*) ", c->name);
		(void)fprintf(out, "[ \"$COMP_CWORD\" -gt %d ] && words='--help", c->group ? 2 : 1);
		for (size_t k = 0; k < cli->n_options; k++) {
			if (takes(c, &cli->options[k]))
				(void)fprintf(out, " %s", cli->options[k].name);
		}
		(void)fputs("' ;;\n", out);
	}
	(void)fputs("    esac\n", out);
}

void cli_print_bash(const struct cli *cli, FILE *out)
{
	(void)fprintf(
		out, "# bash completion for %s, made from its command tables\n", cli->program);
	put_function(cli->program, out);
	(void)fputs("() {\n"
		    "    local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD - 1]} "
		    "words=\n"
		    "    COMPREPLY=()\n"
		    "    case $prev in\n",
		out);
	for (size_t i = 0; i < cli->n_options; i++)
		put_bash_value(&cli->options[i], out);
	(void)fputs(
		"    esac\n    if [ \"$COMP_CWORD\" = 1 ]; then\n        words='--help --version",
		out);
	for (size_t i = 0; i < cli->n_commands; i++) {
		if (is_shown(&cli->commands[i]) && is_first_of_group(cli, i))
			(void)fprintf(out, " %s", first_word(&cli->commands[i]));
	}
	(void)fputs("'\n    fi\n", out);
	put_bash_commands(cli, out);
	put_bash_options(cli, out);
	(void)fputs("    mapfile -t COMPREPLY < <(compgen -W \"$words\" -- \"$cur\")\n"
		    "}\n"
		    "complete -F ",
		out);
	put_function(cli->program, out);
	(void)fprintf(out, " %s\n", cli->program);
}

/* ---- zsh ---- */

/* An _arguments spec: brackets and colons have a meaning there. */
static void put_zsh_option(const struct cli_option *o, FILE *out)
{
	(void)fprintf(out, " '%s[", o->name);
	for (const char *s = o->help; *s; s++) {
		if (strchr("[]:\\", *s))
			(void)fputc('\\', out);
		if (*s != '\'')
			(void)fputc(*s, out);
	}
	(void)fputc(']', out);
	if (o->kind == CLI_CHOICE) {
		(void)fputs(":word:(", out);
		put_choices(o->value, " ", out);
		(void)fputc(')', out);
	} else if (o->kind != CLI_FLAG) {
		(void)fprintf(out, ":%s:%s", o->value,
			o->kind != CLI_PATH       ? ""
			: str_eq(o->value, "DIR") ? "_files -/"
						  : "_files");
	}
	(void)fputc('\'', out);
}

void cli_print_zsh(const struct cli *cli, FILE *out)
{
	(void)fprintf(out,
		"#compdef %s\n# made from the program's command tables\n"
		"if ((CURRENT == 2)); then\n    compadd -- --help --version",
		cli->program);
	for (size_t i = 0; i < cli->n_commands; i++) {
		if (is_shown(&cli->commands[i]) && is_first_of_group(cli, i))
			(void)fprintf(out, " %s", first_word(&cli->commands[i]));
	}
	(void)fputs("\n    return\nfi\ncase \"$words[2] $words[3]\" in\n", out);
	for (size_t i = 0; i < cli->n_commands; i++) {
		const struct cli_command *c = &cli->commands[i];

		if (!is_shown(c))
			continue;
		if (c->group)
			(void)fprintf(out, "'%s %s')\n    shift words\n    ((CURRENT--))\n",
				c->group, c->name);
		else
			(void)fprintf(out, "'%s '*)\n", c->name);
		(void)fputs("    shift words\n    ((CURRENT--))\n    _arguments '--help[its help]'",
			out);
		for (size_t k = 0; k < cli->n_options; k++) {
			if (takes(c, &cli->options[k]))
				put_zsh_option(&cli->options[k], out);
		}
		(void)fputs("\n    ;;\n", out);
	}
	(void)fputs("*)\n    case $words[2] in\n", out);
	for (size_t i = 0; i < cli->n_commands; i++) {
		const struct cli_command *c = &cli->commands[i];

		if (!c->group || !is_shown(c))
			continue;
		if (is_first_of_group(cli, i))
			(void)fprintf(out, "    %s) compadd --", c->group);
		(void)fprintf(out, " %s", c->name);
		if (i + 1 == cli->n_commands || is_first_of_group(cli, i + 1))
			(void)fputs(" ;;\n", out);
	}
	(void)fputs("    esac\n    ;;\nesac\n", out);
}

/* ---- fish ---- */

static void put_fish_command(const struct cli *cli, const struct cli_command *c, FILE *out)
{
	(void)fprintf(out, "complete -c %s -n ", cli->program);
	if (c->group)
		(void)fprintf(out,
			"'__fish_seen_subcommand_from %s; and __fish_is_nth_token 2' -a %s -d ",
			c->group, c->name);
	else
		(void)fprintf(out, "__fish_use_subcommand -a %s -d ", c->name);
	put_quoted(c->help, out);
	(void)fputc('\n', out);
}

static void put_fish_option(
	const struct cli *cli, const struct cli_command *c, const struct cli_option *o, FILE *out)
{
	(void)fprintf(
		out, "complete -c %s -n '__fish_seen_subcommand_from %s", cli->program, c->name);
	if (c->group)
		(void)fprintf(out, "; and __fish_seen_subcommand_from %s", c->group);
	if (o->name[1] == '-')
		(void)fprintf(out, "' -l %s", o->name + 2);
	else
		(void)fprintf(out, "' -s %s", o->name + 1);
	if (o->kind == CLI_CHOICE) {
		(void)fputs(" -x -a '", out);
		put_choices(o->value, " ", out);
		(void)fputc('\'', out);
	} else if (o->kind != CLI_FLAG) {
		(void)fputs(o->kind == CLI_PATH ? " -r -F" : " -x", out);
	}
	(void)fputs(" -d ", out);
	put_quoted(o->help, out);
	(void)fputc('\n', out);
}

void cli_print_fish(const struct cli *cli, FILE *out)
{
	(void)fprintf(
		out, "# made from the program's command tables\ncomplete -c %s -f\n", cli->program);
	for (size_t i = 0; i < cli->n_commands; i++) {
		const struct cli_command *c = &cli->commands[i];

		if (!is_shown(c))
			continue;
		if (c->group && is_first_of_group(cli, i))
			(void)fprintf(out, "complete -c %s -n __fish_use_subcommand -a %s\n",
				cli->program, c->group);
		put_fish_command(cli, c, out);
		for (size_t k = 0; k < cli->n_options; k++) {
			if (takes(c, &cli->options[k]))
				put_fish_option(cli, c, &cli->options[k], out);
		}
	}
}

/* ---- man ---- */

static void put_roff_n(const char *s, size_t len, FILE *out)
{
	for (size_t i = 0; i < len; i++) {
		bool start = i == 0 || s[i - 1] == '\n';

		if (start && (s[i] == '.' || s[i] == '\''))
			(void)fputs("\\&", out);
		if (s[i] == '-')
			(void)fputs("\\-", out);
		else if (s[i] == '\\')
			(void)fputs("\\e", out);
		else
			(void)fputc(s[i], out);
	}
}

static void put_roff(const char *s, FILE *out)
{
	put_roff_n(s, strlen(s), out);
}

/* Paragraphs of a help text: an empty line is between two. */
static void put_paragraphs(const char *s, FILE *out)
{
	const char *end;

	while ((end = strstr(s, "\n\n"))) {
		put_roff_n(s, (size_t)(end - s), out);
		(void)fputs("\n.PP\n", out);
		s = end + 2;
	}
	put_roff(s, out);
	(void)fputc('\n', out);
}

static void put_man_synopsis(const struct cli *cli, FILE *out)
{
	bool first = true;

	(void)fputs(".SH SYNOPSIS\n", out);
	for (size_t i = 0; i < cli->n_commands; i++) {
		const struct cli_command *c = &cli->commands[i];

		if (!is_shown(c) || !is_first_of_group(cli, i))
			continue;
		if (!first)
			(void)fputs(".br\n", out);
		first = false;
		(void)fputs(".B ", out);
		put_roff(cli->program, out);
		(void)fprintf(out, " %s\n", first_word(c));
		for (size_t k = i; c->group && k < cli->n_commands; k++) {
			const struct cli_command *other = &cli->commands[k];

			if (!is_shown(other) || !other->group || !str_eq(other->group, c->group))
				continue;
			(void)fputs(k == i ? ".BR " : " | ", out);
			put_roff(other->name, out);
		}
		(void)fputs(c->group ? "\n.RI [ options ]\n" : ".RI [ options ]\n", out);
	}
}

static void put_man_command(const struct cli *cli, const struct cli_command *c, FILE *out)
{
	(void)fputs(".SS ", out);
	if (c->group) {
		put_roff(c->group, out);
		(void)fputc(' ', out);
	}
	put_roff(c->name, out);
	(void)fputc('\n', out);
	put_roff(c->help, out);
	(void)fputs(".\n", out);
	for (size_t k = 0, n = 0; k < cli->n_options; k++) {
		if (!takes(c, &cli->options[k]))
			continue;
		(void)fputs(n++ == 0 ? "Options:\n.BR " : ",\n.BR ", out);
		put_roff(cli->options[k].name, out);
		(void)fputc(' ', out);
	}
	(void)fputs(c->options ? ".\n" : "", out);
	if (c->detail) {
		(void)fputs(".PP\n", out);
		put_paragraphs(c->detail, out);
	}
}

void cli_print_man(const struct cli *cli, const char *date, const char *tail, FILE *out)
{
	(void)fputs(".\\\" made from the program's command tables\n.TH ", out);
	for (const char *s = cli->program; *s; s++)
		(void)fputc(toupper((unsigned char)*s), out);
	(void)fprintf(out, " 8 %s \"Reaper %s\" \"System administration\"\n.SH NAME\n", date,
		cli->version);
	put_roff(cli->program, out);
	(void)fputs(" \\- ", out);
	put_roff(cli->about, out);
	(void)fputc('\n', out);
	put_man_synopsis(cli, out);
	(void)fputs(".SH COMMANDS\n", out);
	for (size_t i = 0; i < cli->n_commands; i++) {
		if (is_shown(&cli->commands[i]))
			put_man_command(cli, &cli->commands[i], out);
	}
	(void)fputs(".SH OPTIONS\n", out);
	for (size_t i = 0; i < cli->n_options; i++) {
		const struct cli_option *o = &cli->options[i];

		(void)fputs(".TP\n.B ", out);
		put_roff(o->name, out);
		if (o->value) {
			(void)fputs(" \\fI", out);
			put_roff(o->value, out);
			(void)fputs("\\fP", out);
		}
		(void)fputc('\n', out);
		put_roff(o->help, out);
		(void)fputc('\n', out);
	}
	(void)fputs(tail, out);
}
