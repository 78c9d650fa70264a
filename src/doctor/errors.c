#include "doctor/errors.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include "base/cleanup.h"
#include "base/json.h"
#include "base/macro.h"
#include "base/str.h"
#include "doctor/check.h"
#include "cli/report.h"

/* What the reasons of `reaperctl containerd` mean; what to do is theirs already. */
static const char *const reason_causes[_REASON_MAX] = {
	[REASON_E_NO_CONTAINERD] = "There is no containerd, or it says no version.",
	[REASON_E_NOT_CONFIGURED] = "The runtime is not in containerd's configuration.",
	[REASON_E_NOT_EFFECTIVE] =
		"The block is in the file, and the daemon does not read it as it should.",
	[REASON_E_NO_SHIM] = "The shim is not on containerd's PATH, or does not run.",
	[REASON_E_NOT_LOADED] = "The running containerd was started before the runtime was added.",
	[REASON_E_NOT_HEALTHY] = "The running containerd's CRI plugin does not answer.",
	[REASON_E_SYNTAX] = "A file is no TOML, at the named line and column.",
	[REASON_E_UNVERSIONED] =
		"The file has no version, so that an upgrade may change its meaning.",
	[REASON_E_HANDLER] = "--handler is no name that Kubernetes takes.",
	[REASON_E_STRICT] = "--strict was given, and there is a warning.",
	[REASON_E_NO_DROP_IN] = "--strategy drop-in was given, and there is no place for a file.",
	[REASON_E_VERSION] = "The file's version is not one that this containerd reads.",
	[REASON_E_CRI_DISABLED] = "The CRI plugin is switched off.",
	[REASON_E_NO_CRI] = "This containerd has no CRI plugin.",
	[REASON_E_INLINE_RUNTIMES] =
		"The runtimes are an inline table, to which no header can be added.",
	[REASON_E_ESCAPED_KEY] =
		"A header has an escape sequence, which containerd 1.x does not read.",
	[REASON_E_CONFLICT] = "Somebody else has a runtime of this name.",
	[REASON_E_EDITED_BLOCK] = "The block was edited so that it no longer works.",
	[REASON_E_BROKEN_BLOCK] = "The markers of the block are no pair.",
	[REASON_E_GENERATED_FILE] =
		"The file is made anew by something else, and a change would be lost.",
	[REASON_E_UNFIT_SYSTEM] = "Nothing that is written on this system lasts.",
	[REASON_E_IMPORTS] =
		"An import is missing, or no array of names: the daemon would not start.",
	[REASON_E_BASELINE] = "containerd does not take, or does not run with, what is there now.",
	[REASON_E_NO_PROOF] = "No way to add the runtime changes it and nothing else.",
	[REASON_E_FILE] = "The file cannot be read or written.",
	[REASON_E_STATE_DIR] = "/var/lib/reaper cannot be read or written.",
	[REASON_E_KILL_MODE] = "A restart of this containerd would end every pod of the node.",
	[REASON_E_DEFAULT_RUNTIME] = "The configuration names our runtime as its default.",
	[REASON_E_IN_USE] = "Reaper pods are running.",
	[REASON_E_LOCKED] = "Another reaperctl is at work.",
	[REASON_E_CHANGED] = "Somebody else edited the file meanwhile.",
	[REASON_E_UNDONE] = "It was written and did not work; everything is as it was before.",
	[REASON_E_UNDO_FAILED] = "It was written, did not work, and could not be taken back.",
	[REASON_E_INTERNAL] = "There is no memory, or this is a defect of Reaper's.",
};

static const char *const reason_steps[_REASON_MAX] = {
#define X(name, code, outcome, exit, next) [REASON_##name] = (next),
	REASONS(X)
#undef X
};

typedef int (*row_fn)(void *arg, const struct error_row *row);

static int each_reason(row_fn fn, void *arg)
{
	const struct error_row head = {.heading = "reaperctl containerd"};
	int r = fn(arg, &head);

	for (enum reason i = 0; r == 0 && i < _REASON_MAX; i++) {
		const struct error_row row = {.code = report_code(i),
			.words = "",
			.cause = reason_causes[i] ? reason_causes[i] : "",
			.remedy = reason_steps[i] ? reason_steps[i] : ""};

		if (report_is_error(i))
			r = fn(arg, &row);
	}
	return r;
}

/* Of a check the table has what holds: its cause is that it does not. */
static int each_check(row_fn fn, void *arg)
{
	const struct error_row head = {.heading = "reaperctl doctor"};
	size_t n;
	const struct check *checks = check_table(&n);
	int r = fn(arg, &head);

	for (size_t i = 0; r == 0 && i < n; i++) {
		_cleanup_free_ char *cause = NULL;
		struct error_row row = {
			.code = checks[i].id, .words = "", .remedy = checks[i].remedy};

		if (str_printf(&cause, "It is not so that %s.", checks[i].text) < 0)
			return -ENOMEM;
		row.cause = cause;
		r = fn(arg, &row);
	}
	return r;
}

/* Every row of all tables, headings too. What `fn` answers other than 0 ends it. */
static int each_row(row_fn fn, void *arg)
{
	size_t n;
	const struct error_row *rows = errors_table(&n);
	int r = 0;

	for (size_t i = 0; r == 0 && i < n; i++)
		r = fn(arg, &rows[i]);
	if (r == 0)
		r = each_reason(fn, arg);
	return r == 0 ? each_check(fn, arg) : r;
}

/* ---- search ---- */

static bool has_words(const char *text, const char *words)
{
	while (*words) {
		size_t len = strcspn(words, "|");

		if (memmem(text, strlen(text), words, len))
			return true;
		words += len + (words[len] == '|');
	}
	return false;
}

/* Whether the text is the code, or begins with "CODE: ". */
static bool has_code(const char *text, const char *code)
{
	size_t len = strlen(code);

	return strncmp(text, code, len) == 0 && (text[len] == '\0' || text[len] == ':');
}

const struct error_row *errors_find(const char *text)
{
	size_t n;
	const struct error_row *rows = errors_table(&n);

	for (size_t i = 0; i < n; i++) {
		if (rows[i].code && has_words(text, rows[i].words))
			return &rows[i];
	}
	return NULL;
}

/* ---- output ---- */

static int print_row(void *arg, const struct error_row *row)
{
	(void)arg;
	if (row->heading)
		(void)printf("\n%s\n", row->heading);
	else
		(void)printf("%s\n    %s\n    next: %s\n", row->code, row->cause, row->remedy);
	return 0;
}

static int put_row(void *arg, const struct error_row *row)
{
	_cleanup_(json_object_freep) struct json_object *o = json_new_object();
	_cleanup_strv_ char **words = NULL;

	if (row->heading)
		return 0;
	if (strv_split(&words, row->words, "|") < 0 || json_put_str(o, "cause", row->cause) < 0 ||
		json_put_str(o, "next", row->remedy) < 0 || json_put_strv(o, "words", words) < 0)
		return -ENOMEM;
	return json_put_consume(arg, row->code, TAKE_PTR(o));
}

struct wanted {
	const char *text;
	row_fn print;
	void *arg;
};

/* 1: it was the one. */
static int print_wanted(void *arg, const struct error_row *row)
{
	const struct wanted *w = arg;
	int r;

	if (row->heading || !has_code(w->text, row->code))
		return 0;
	r = w->print(w->arg, row);
	return r < 0 ? r : 1;
}

int errors_command(const struct cli_args *args)
{
	_cleanup_(json_object_freep) struct json_object *out = json_new_object();
	row_fn print = args->json ? put_row : print_row;
	struct wanted w = {.text = args->operand, .print = print, .arg = out};
	const struct error_row *found;
	int r;

	if (!args->operand) {
		r = each_row(print, out);
	} else {
		r = each_row(print_wanted, &w);
		found = r == 0 ? errors_find(args->operand) : NULL;
		if (r == 0 && !found) {
			(void)fprintf(stderr, "reaperctl: errors: no row for this text; reaperctl "
					      "doctor looks at "
					      "the node\n");
			return 1;
		}
		if (found)
			r = print(out, found);
	}
	if (r < 0) {
		(void)fputs("reaperctl: errors: out of memory\n", stderr);
		return 1;
	}
	return args->json ? cli_print_json(out) : 0;
}

/* ---- the page ---- */

static void print_cell(const char *text)
{
	for (; *text; text++)
		(void)printf(*text == '|' ? "\\|" : "%c", *text);
}

static int print_line(void *arg, const struct error_row *row)
{
	(void)arg;
	if (row->heading) {
		(void)printf("\n## %s\n\n| code | cause | next |\n|---|---|---|\n", row->heading);
		return 0;
	}
	(void)printf("| `%s` | ", row->code);
	print_cell(row->cause);
	(void)printf(" | ");
	print_cell(row->remedy);
	(void)printf(" |\n");
	return 0;
}

int errors_page_command(const struct cli_args *args)
{
	(void)args;
	(void)fputs(
		"# Errors\n"
		"\n"
		"Made by `reaperctl errors-page` from the tables of the code; change those, not "
		"this page.\n"
		"`{unit}` is containerd's unit.\n"
		"\n"
		"`reaperctl errors 'TEXT'` finds the row of a message, as `kubectl describe` or "
		"a log has it;\n"
		"`reaperctl errors CODE` shows one, without a word all.\n",
		stdout);
	return each_row(print_line, NULL);
}
