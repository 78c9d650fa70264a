#include "operate/history.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/json.h"
#include "base/macro.h"
#include "base/num.h"
#include "base/str.h"
#include "conf/settings.h"
#include "cli/text.h"
#include "oci/annotations.h"
#include "operate/history_file.h"
#include "operate/running.h"

enum { SECONDS_TEXT = 19 /* "2026-11-29T05:40:00" */ };

int history_when(const char *text, int64_t now, char ret[HISTORY_WHEN_SIZE])
{
	static const struct {
		char unit;
		int64_t seconds;
	} units[] = {{'s', 1}, {'m', 60}, {'h', 3600}, {'d', 86400}};
	static const char form[] = "0000-00-00T00:00:00";
	size_t digits = strspn(text, "0123456789"), len = strlen(text);
	char number[12], whole[CLOCK_TEXT_SIZE];
	uint64_t v;

	for (size_t i = 0; digits > 0 && digits < sizeof(number) && i < ARRAY_LEN(units); i++) {
		if (text[digits] != units[i].unit || text[digits + 1])
			continue;
		memcpy(number, text, digits);
		number[digits] = '\0';
		if (num_parse_u64(number, (uint64_t)(now / units[i].seconds), &v) < 0)
			return -EINVAL;
		clock_text(now - (int64_t)v * units[i].seconds, whole);
		(void)snprintf(ret, HISTORY_WHEN_SIZE, "%.19s", whole);
		return 0;
	}
	len -= len > 10 && text[len - 1] == 'Z';
	if (len != 10 && len != 16 && len != SECONDS_TEXT)
		return -EINVAL;
	for (size_t i = 0; i < len; i++) {
		if (form[i] == '0' ? !isdigit((unsigned char)text[i]) : text[i] != form[i])
			return -EINVAL;
	}
	memcpy(ret, text, len);
	memcpy(ret + len, form + len, SECONDS_TEXT - len);
	ret[SECONDS_TEXT] = '\0';
	return 0;
}

struct query {
	const struct cli_args *args;
	char since[HISTORY_WHEN_SIZE], until[HISTORY_WHEN_SIZE]; /* "": no bound */
	bool titled;
	size_t bad;
};

/* What is shown of a record; NULL where it has none. */
struct shown {
	char *time, *event, *id, *error, *exec_id;
	struct oci_pod_names names;
	char **command;
	bool has_uid, has_status, oom;
	uint64_t uid, status;
};

static void shown_done(struct shown *s)
{
	free(s->time);
	free(s->event);
	oci_pod_names_done(&s->names);
	free(s->id);
	free(s->error);
	free(s->exec_id);
	(void)strv_free(s->command);
}

static int read_record(const struct json_ref *o, struct shown *s)
{
	enum { COMMAND_MAX = 65536 };
	int uid, status;

	if (json_get_str(o, "time", &s->time, NULL) <= 0 ||
		json_get_str(o, "event", &s->event, NULL) <= 0 ||
		json_get_str(o, "namespace", &s->names.ns, NULL) < 0 ||
		json_get_str(o, "pod", &s->names.pod, NULL) < 0 ||
		json_get_str(o, "container", &s->names.container, NULL) < 0 ||
		json_get_str(o, "id", &s->id, NULL) <= 0 ||
		json_get_str(o, "error", &s->error, NULL) < 0 ||
		json_get_str(o, "exec_id", &s->exec_id, NULL) < 0 ||
		json_get_strv(o, "command", COMMAND_MAX, &s->command, NULL) < 0 ||
		json_get_bool(o, "oom", &s->oom, NULL) < 0)
		return -EINVAL;
	uid = json_get_u64(o, "uid", 0, UINT32_MAX, &s->uid, NULL);
	status = json_get_u64(o, "status", 0, UINT32_MAX, &s->status, NULL);
	s->has_uid = uid > 0;
	s->has_status = status > 0;
	return uid < 0 || status < 0 ? -EINVAL : 0;
}

static bool is_wanted(const struct query *q, const struct shown *s)
{
	const struct cli_args *a = q->args;
	uint64_t uid;

	if (!running_is_wanted(a, &s->names))
		return false;
	if (a->uid && (num_parse_u64(a->uid, UINT32_MAX, &uid) < 0 || !s->has_uid || s->uid != uid))
		return false;
	if (q->since[0] && strncmp(s->time, q->since, SECONDS_TEXT) < 0)
		return false;
	if (q->until[0] && strncmp(s->time, q->until, SECONDS_TEXT) >= 0)
		return false;
	return !a->failed || s->error || (s->has_status && s->status != 0);
}

/* Text from a workload: what is no printable text does not reach a terminal. */
static void print_text(const char *text)
{
	_cleanup_free_ char *safe = text_escape(text);

	(void)fputs(safe ? safe : "?", stdout);
}

static void print_what(const struct shown *s)
{
	if (s->has_status)
		(void)printf("status %" PRIu64 "%s", s->status, s->oom ? ", out of memory" : "");
	else if (s->error)
		print_text(s->error);
	else
		for (size_t i = 0; s->command && s->command[i]; i++) {
			(void)fputs(i ? " " : "", stdout);
			print_text(s->command[i]);
		}
	(void)putchar('\n');
}

static void print_record(struct query *q, const struct shown *s)
{
	_cleanup_free_ char *name = running_name(&s->names, s->id);
	char uid[16] = "-";

	if (!q->titled)
		(void)printf("%-20s %-9s %6s  %-32s %s\n", "TIME", "EVENT", "UID", "POD, CONTAINER",
			"COMMAND, STATUS OR REASON");
	q->titled = true;
	if (s->has_uid)
		(void)snprintf(uid, sizeof(uid), "%" PRIu64, s->uid);
	(void)printf("%.19sZ %-9s %6s  %-32s ", s->time, s->event, uid, name ? name : "?");
	print_what(s);
}

static void handle_line(void *arg, const char *line, size_t len)
{
	struct query *q = arg;
	_cleanup_(shown_done) struct shown s = {.time = NULL};
	_cleanup_json_ struct json_ref root = {.value = NULL};

	if (json_parse(line, len, "history", &root, NULL) < 0 || read_record(&root, &s) < 0) {
		q->bad++;
		return;
	}
	if (!is_wanted(q, &s))
		return;
	if (q->args->json)
		(void)fwrite(line, 1, len, stdout);
	else
		print_record(q, &s);
}

static int show(struct query *q, struct err *err)
{
	_cleanup_(settings_done) struct settings s = SETTINGS_INIT;
	_cleanup_(history_reader_done) struct history_reader reader =
		HISTORY_READER_INIT(NULL, handle_line, q);
	int r = settings_load(NULL, environ, NULL, 0, &s, err);

	if (r < 0)
		return r;
	if (!s.history_file)
		return err_setf(err, ERR_PRECONDITION, ENOENT,
			"REAPER_HISTORY_FILE is none: see journalctl -t reaper");
	reader.path = s.history_file;
	if (q->args->follow)
		return history_follow(&reader, err);
	r = history_read(&reader, NULL, err);
	history_read_rest(&reader);
	if (r == 0 && !q->args->json)
		(void)printf("no history: %s is not there%s\n", s.history_file,
			s.history == HISTORY_NONE ? ", and REAPER_HISTORY is none" : "");
	return r;
}

static int wrong_value(const char *option, const char *value, const char *allowed)
{
	(void)fprintf(
		stderr, "reaperctl: option \"%s\": \"%s\": must be %s\n", option, value, allowed);
	return CLI_EXIT_USAGE;
}

int history_command(const struct cli_args *args)
{
	static const char times[] =
		"90s, 15m, 2h or 3d, or a time in UTC like 2026-11-29T05:40:00Z";
	struct query q = {.args = args};
	int64_t now = clock_wall().tv_sec;
	struct err err = ERR_INIT;
	uint64_t uid;

	if (args->since && history_when(args->since, now, q.since) < 0)
		return wrong_value("--since", args->since, times);
	if (args->until && history_when(args->until, now, q.until) < 0)
		return wrong_value("--until", args->until, times);
	if (args->uid && num_parse_u64(args->uid, UINT32_MAX, &uid) < 0)
		return wrong_value("--uid", args->uid, "a number");
	if (show(&q, &err) < 0) {
		(void)fprintf(stderr, "reaperctl: history: %s\n", err.text);
		return 1;
	}
	if (q.bad > 0)
		(void)fprintf(stderr, "reaperctl: history: %zu lines are no records\n", q.bad);
	return 0;
}
