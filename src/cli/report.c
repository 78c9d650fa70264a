#include "cli/report.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "base/buf.h"
#include "base/cleanup.h"
#include "base/json.h"
#include "base/str.h"
#include "cli/cli.h"

static const struct {
	const char *code;
	enum outcome outcome;
	int status;
	const char *next;
} reasons[_REASON_MAX] = {
#define X(name, text, result, exit, step)    \
	[REASON_##name] = {.code = (text),   \
		.outcome = OUTCOME_##result, \
		.status = REPORT_##exit,     \
		.next = (step)},
	REASONS(X)
#undef X
};

static const char *const outcome_names[] = {
	[OUTCOME_UNCHANGED] = "unchanged",
	[OUTCOME_CHANGED] = "changed",
	[OUTCOME_PENDING] = "pending",
	[OUTCOME_REFUSED] = "refused",
	[OUTCOME_FAILED] = "failed",
};

const char *report_code(enum reason reason)
{
	return reasons[reason].code;
}

int report_exit(enum reason reason)
{
	return reasons[reason].status;
}

bool report_is_error(enum reason reason)
{
	return reasons[reason].outcome >= OUTCOME_REFUSED;
}

void report_done(struct report *r)
{
	r->notes = strv_free(r->notes);
}

int report_set(struct report *r, enum reason reason, const char *fmt, ...)
{
	va_list ap;

	r->reason = reason;
	va_start(ap, fmt);
	(void)vsnprintf(r->message, sizeof(r->message), fmt, ap);
	va_end(ap);
	return reasons[reason].status;
}

PRINTF_LIKE(2, 0) static void add_note(struct report *r, const char *fmt, va_list ap)
{
	char text[2048];

	(void)vsnprintf(text, sizeof(text), fmt, ap);
	(void)strv_append(&r->notes, text);
}

void report_note(struct report *r, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	add_note(r, fmt, ap);
	va_end(ap);
}

void report_warn(struct report *r, const char *fmt, ...)
{
	size_t n = strv_len(r->notes);
	va_list ap;

	va_start(ap, fmt);
	add_note(r, fmt, ap);
	va_end(ap);
	if (strv_len(r->notes) == n)
		return;
	if (r->warnings++ == 0)
		r->first_warning = n;
}

/* ---- the next step ---- */

static int put_option(struct buf *b, const char *name, const char *value)
{
	static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
				    "0123456789-_./:@+,=";
	bool quote;
	int r;

	if (!value)
		return 0;
	quote = strspn(value, plain) != strlen(value);
	r = buf_printf(b, " %s %s", name, quote ? "'" : "");
	for (const char *c = value; *c && r == 0; c++)
		r = *c == '\'' ? buf_append_str(b, "'\\''") : buf_append(b, c, 1);
	return r == 0 && quote ? buf_append_str(b, "'") : r;
}

void report_where(struct report *r, const struct cli_args *args, const char *unit)
{
	_cleanup_(buf_done) struct buf b = BUF_INIT(sizeof(r->where) - 1);
	int bad = 0;

	bad |= put_option(&b, "--root", args->root);
	bad |= put_option(&b, "--config", args->config);
	bad |= put_option(&b, "--containerd", args->containerd);
	bad |= put_option(&b, "--unit", args->unit);
	bad |= put_option(&b, "--handler", args->handler);
	if (bad == 0 && b.data)
		(void)snprintf(r->where, sizeof(r->where), "%s", b.data);
	if (unit)
		(void)snprintf(r->unit, sizeof(r->unit), "%s", unit);
}

/* The step with the unit and the options of this run put in; NULL if there is none. */
static char *next_step(const struct report *r)
{
	static const char command[] = "reaperctl containerd ", unit[] = "{unit}";
	struct buf b = BUF_INIT(16 << 10);
	int bad = 0;

	for (const char *p = reasons[r->reason].next; p && *p && bad == 0;) {
		if (str_has_prefix(p, command)) {
			size_t n = strlen(command);

			n += strcspn(p + n, " ,;:");
			bad |= buf_append(&b, p, n);
			bad |= buf_append_str(&b, r->where);
			p += n;
		} else if (str_has_prefix(p, unit)) {
			bad |= buf_append_str(&b, r->unit[0] ? r->unit : "containerd");
			p += strlen(unit);
		} else {
			bad |= buf_append(&b, p++, 1);
		}
	}
	if (bad == 0)
		return b.data;
	buf_done(&b);
	return NULL;
}

static void print_json(const struct report *r)
{
	_cleanup_free_ char *next = next_step(r);
	_cleanup_(json_object_freep) struct json_object *o = json_new_object();
	int bad = 0;

	bad |= json_put_str(o, "result", outcome_names[reasons[r->reason].outcome]);
	bad |= json_put_str(o, "reason", reasons[r->reason].code);
	bad |= json_put_str(o, "message", r->message);
	bad |= json_put_str(o, "check", r->check[0] ? r->check : NULL);
	bad |= json_put_str(o, "next", next);
	bad |= json_put_str(o, "strategy", r->strategy);
	bad |= json_put_str(o, "why", r->why[0] ? r->why : NULL);
	bad |= json_put_str(o, "handler", r->handler[0] ? r->handler : NULL);
	bad |= json_put_str(o, "config", r->config[0] ? r->config : NULL);
	bad |= json_put_bool(o, "restart", r->restart);
	bad |= json_put_str(o, "containerd", r->containerd[0] ? r->containerd : NULL);
	bad |= json_put_str(o, "proof", r->proof);
	bad |= json_put_str(o, "hash_before", r->hash_before[0] ? r->hash_before : NULL);
	bad |= json_put_str(o, "hash_after", r->hash_after[0] ? r->hash_after : NULL);
	bad |= json_put_strv(o, "notes", r->notes);
	if (bad != 0 || cli_print_json(o) != 0)
		(void)fputs("{\"result\":\"failed\",\"reason\":\"E_INTERNAL\",\"message\":\"out of "
			    "memory\"}\n",
			stdout);
}

/* no-color.org: any value but an empty one means no */
bool report_wants_colour(FILE *out)
{
	return str_empty(getenv("NO_COLOR")) && isatty(fileno(out)) == 1;
}

static void print_row(FILE *out, const char *name, const char *text)
{
	if (!str_empty(text))
		(void)fprintf(out, "  %-10s %s\n", name, text);
}

/* What was found, why this way, and how it is known. */
static void print_reasoning(const struct report *r, FILE *out)
{
	_cleanup_free_ char *daemon = NULL, *way = NULL, *bytes = NULL;
	char version[32] = "";

	if (r->version > 1)
		(void)snprintf(version, sizeof(version), ", file version %u", r->version);
	if (r->containerd[0] && str_printf(&daemon, "%s%s", r->containerd, version) == 0)
		print_row(out, "containerd", daemon);
	if (str_printf(&way, "%s%s%s", r->strategy, r->why[0] ? ": " : "", r->why) == 0)
		print_row(out, "strategy", way);
	if (r->hash_after[0] && !str_eq(r->hash_before, r->hash_after) &&
		str_printf(&bytes, "%.12s -> %.12s (SHA-256)",
			r->hash_before[0] ? r->hash_before : "no file", r->hash_after) == 0)
		print_row(out, "bytes", bytes);
	if (str_eq(r->proof, "oracle"))
		print_row(out, "proof",
			"containerd's own view (config dump) has this runtime more and nothing "
			"else changed");
}

int report_print(const struct report *r, bool json)
{
	bool error = report_is_error(r->reason), colour;
	FILE *out = error ? stderr : stdout;
	_cleanup_free_ char *next = next_step(r);

	if (json) {
		print_json(r);
		return reasons[r->reason].status;
	}
	colour = report_wants_colour(out);
	(void)fprintf(out, "reaperctl: %s%s%s%s%s\n", error && colour ? "\033[31m" : "",
		error ? reasons[r->reason].code : "", error && colour ? "\033[0m" : "",
		error ? ": " : "", r->message);
	if (!error && !str_eq(r->strategy, "none"))
		print_reasoning(r, out);
	print_row(out, "check", r->check);
	for (char **n = r->notes; n && *n; n++)
		print_row(out, "note", *n);
	if (next)
		(void)fprintf(out, "  next       %s\n", next);
	return reasons[r->reason].status;
}

int report_print_change(const struct report *r)
{
	bool nothing = reasons[r->reason].outcome == OUTCOME_UNCHANGED &&
		       reasons[r->reason].next == NULL && !r->notes;

	return nothing ? reasons[r->reason].status : report_print(r, false);
}
