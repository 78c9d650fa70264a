#include "node/report.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include "base/cleanup.h"
#include "base/json.h"
#include "base/str.h"

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

void report_note(struct report *r, const char *fmt, ...)
{
	char text[2048];
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	(void)strv_append(&r->notes, text);
}

static void print_json(const struct report *r)
{
	_cleanup_(json_object_freep) struct json_object *o = json_new_object();
	_cleanup_free_ char *text = NULL;
	int bad = 0;

	bad |= json_put_str(o, "result", outcome_names[reasons[r->reason].outcome]);
	bad |= json_put_str(o, "reason", reasons[r->reason].code);
	bad |= json_put_str(o, "message", r->message);
	bad |= json_put_str(o, "next", reasons[r->reason].next);
	bad |= json_put_str(o, "strategy", r->strategy);
	bad |= json_put_str(o, "config", r->config[0] ? r->config : NULL);
	bad |= json_put_bool(o, "restart", r->restart);
	bad |= json_put_str(o, "containerd", r->containerd[0] ? r->containerd : NULL);
	bad |= json_put_str(o, "proof", r->proof);
	bad |= json_put_str(o, "hash_before", r->hash_before[0] ? r->hash_before : NULL);
	bad |= json_put_str(o, "hash_after", r->hash_after[0] ? r->hash_after : NULL);
	bad |= json_put_strv(o, "notes", r->notes);
	if (bad == 0)
		bad = json_write(o, JSON_COMPACT, &text, NULL);
	if (bad == 0)
		(void)fputs(text, stdout);
	else
		(void)fputs("{\"result\":\"failed\",\"reason\":\"E_INTERNAL\",\"message\":\"out of "
			    "memory\"}\n",
			stdout);
}

int report_print(const struct report *r, bool json)
{
	bool error = report_is_error(r->reason);
	FILE *out = error ? stderr : stdout;

	if (json) {
		print_json(r);
		return reasons[r->reason].status;
	}
	(void)fprintf(out, "reaperctl: %s%s%s\n", error ? reasons[r->reason].code : "",
		error ? ": " : "", r->message);
	for (char **n = r->notes; n && *n; n++)
		(void)fprintf(out, "  note: %s\n", *n);
	if (reasons[r->reason].next)
		(void)fprintf(out, "  next: %s\n", reasons[r->reason].next);
	return reasons[r->reason].status;
}
