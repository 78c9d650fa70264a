#include "operate/counters.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include "base/cleanup.h"
#include "base/file.h"
#include "base/json.h"
#include "base/macro.h"
#include "base/str.h"
#include "operate/history_file.h"

enum { STATE_MAX = 64 << 10, KEY_SIZE = 48 };

static const struct {
	uint32_t ms;
	char seconds[8]; /* as Prometheus spells it */
} bounds[COUNTERS_BOUNDS] = {{5, "0.005"}, {10, "0.01"}, {25, "0.025"}, {50, "0.05"}, {100, "0.1"},
	{250, "0.25"}, {500, "0.5"}, {1000, "1"}, {2500, "2.5"}, {10000, "10"}};

/* ---- one record ---- */

static size_t bucket_of(uint64_t ms)
{
	size_t i = 0;

	while (i < COUNTERS_BOUNDS && ms > bounds[i].ms)
		i++;
	return COUNTER_BUCKETS + i;
}

static size_t refused_as(const char *cause)
{
	for (int k = ERR_NONE + 1; cause && k < _ERR_KIND_MAX; k++) {
		if (str_eq(err_kind_name((enum err_kind)k), cause))
			return (size_t)COUNTER_REFUSED + (size_t)k;
	}
	return (size_t)COUNTER_REFUSED + (size_t)ERR_UNKNOWN;
}

static int count_record(const struct json_ref *o, uint64_t *v)
{
	_cleanup_free_ char *event = NULL, *cause = NULL;
	uint64_t ms = 0, status = 0;
	bool oom = false;
	int timed;

	if (json_get_str(o, "event", &event, NULL) <= 0)
		return -EINVAL;
	if (str_eq(event, "start")) {
		timed = json_get_u64(o, "start_ms", 0, INT64_MAX, &ms, NULL);
		v[COUNTER_STARTS]++;
		if (timed > 0) {
			v[bucket_of(ms)]++;
			v[COUNTER_START_MS] += ms;
		}
	} else if (str_eq(event, "exec")) {
		v[COUNTER_EXECS]++;
	} else if (str_eq(event, "exit")) {
		(void)json_get_u64(o, "status", 0, UINT32_MAX, &status, NULL);
		(void)json_get_bool(o, "oom", &oom, NULL);
		v[oom ? COUNTER_EXITS_OOM : status ? COUNTER_EXITS_FAILED : COUNTER_EXITS_OK]++;
	} else if (str_eq(event, "refused")) {
		(void)json_get_str(o, "cause", &cause, NULL);
		v[refused_as(cause)]++;
	}
	return 0;
}

static void count_line(void *arg, const char *line, size_t len)
{
	_cleanup_json_ struct json_ref root = {.value = NULL};
	uint64_t *v = arg;

	if (json_parse(line, len, "history", &root, NULL) < 0 || count_record(&root, v) < 0)
		v[COUNTER_BAD_LINES]++;
}

/* ---- what is kept ---- */

/* A name that stays what it is when others come between: a kept number is found by it. */
static void key_of(size_t i, char key[KEY_SIZE])
{
	static const char *const names[] = {"starts", "execs", "exits_ok", "exits_failed",
		"exits_oom", "bad_lines", "start_ms"};

	if (i < ARRAY_LEN(names))
		(void)snprintf(key, KEY_SIZE, "%s", names[i]);
	else if (i < COUNTER_BUCKETS + COUNTERS_BOUNDS)
		(void)snprintf(key, KEY_SIZE, "start_ms_%u", bounds[i - COUNTER_BUCKETS].ms);
	else if (i == COUNTER_BUCKETS + COUNTERS_BOUNDS)
		(void)snprintf(key, KEY_SIZE, "start_ms_more");
	else
		(void)snprintf(key, KEY_SIZE, "refused %s",
			err_kind_name((enum err_kind)(i - COUNTER_REFUSED)));
}

static const char *const place_names[2] = {"old", "now"};

/* Nothing kept, or nothing that can be understood: counting begins anew, as after a disk was lost.
 */
static void read_state(const char *path, struct history_place places[2], uint64_t *v)
{
	_cleanup_json_ struct json_ref root = {.value = NULL};
	_cleanup_free_ char *text = NULL;
	char key[KEY_SIZE];
	size_t len;

	if (file_read_at(AT_FDCWD, path, STATE_MAX, &text, &len, NULL) < 0 ||
		json_parse(text, len, path, &root, NULL) < 0)
		return;
	for (size_t i = 0; i < _COUNTER_MAX; i++) {
		key_of(i, key);
		(void)json_get_u64(&root, key, 0, INT64_MAX, &v[i], NULL);
	}
	for (size_t i = 0; i < 2; i++) {
		struct history_place *p = &places[i];
		struct json_ref o;

		if (json_get_object(&root, place_names[i], &o, NULL) <= 0 ||
			json_get_u64(&o, "device", 0, UINT64_MAX, &p->device, NULL) < 0 ||
			json_get_u64(&o, "inode", 0, UINT64_MAX, &p->inode, NULL) < 0 ||
			json_get_u64(&o, "born", 0, UINT64_MAX, &p->born, NULL) < 0 ||
			json_get_u64(&o, "offset", 0, INT64_MAX, &p->offset, NULL) < 0)
			p->offset = 0;
	}
}

static int put_place(struct json_object *o, const char *name, const struct history_place *p)
{
	struct json_object *place = json_new_object();

	if (json_put_u64(place, "device", p->device) < 0 ||
		json_put_u64(place, "inode", p->inode) < 0 ||
		json_put_u64(place, "born", p->born) < 0 ||
		json_put_u64(place, "offset", p->offset) < 0) {
		json_object_freep(&place);
		return -ENOMEM;
	}
	return json_put_consume(o, name, place);
}

static int write_state(
	const char *path, const struct history_reader *r, const uint64_t *v, struct err *err)
{
	_cleanup_(json_object_freep) struct json_object *o = json_new_object();
	_cleanup_free_ char *text = NULL;
	char key[KEY_SIZE];
	size_t len = 0;
	int e = put_place(o, place_names[0], &r->old.at);

	if (e == 0)
		e = put_place(o, place_names[1], &r->now.at);
	for (size_t i = 0; e == 0 && i < _COUNTER_MAX; i++) {
		key_of(i, key);
		e = json_put_u64(o, key, v[i]);
	}
	if (e == 0)
		e = json_write(o, JSON_COMPACT, &text, &len);
	if (e < 0)
		return err_sysf(err, -e, "%s", path);
	return file_replace_at(AT_FDCWD, path, text, len, 0600, err);
}

int counters_update(
	const char *dir, const char *history_file, uint64_t ret_v[_COUNTER_MAX], struct err *err)
{
	_cleanup_(history_reader_done) struct history_reader reader =
		HISTORY_READER_INIT(history_file, count_line, ret_v);
	struct history_place places[2] = {{.device = 0}, {.device = 0}};
	_cleanup_free_ char *path = NULL, *lock_path = NULL;
	_cleanup_close_ int lock = -EBADF;
	int r;

	memset(ret_v, 0, sizeof(*ret_v) * _COUNTER_MAX);
	if (str_printf(&path, "%s/metrics.json", dir) < 0 ||
		str_printf(&lock_path, "%s/metrics.lock", dir) < 0)
		return err_sysf(err, ENOMEM, "%s", dir);
	r = file_mkdir_p(dir, 0755);
	if (r < 0)
		return err_sysf(err, -r, "%s", dir);
	lock = file_lock(lock_path, err);
	if (lock < 0)
		return lock;
	read_state(path, places, ret_v);
	r = history_read(&reader, places, err);
	return r < 0 ? r : write_state(path, &reader, ret_v, err);
}

/* ---- Prometheus ---- */

static int print_refused(const uint64_t *v, struct buf *out)
{
	int r = buf_append_str(out,
		"# HELP reaper_start_failures_total Containers that were not started, by cause.\n"
		"# TYPE reaper_start_failures_total counter\n");

	for (int k = ERR_NONE + 1; r == 0 && k < _ERR_KIND_MAX; k++)
		r = buf_printf(out, "reaper_start_failures_total{cause=\"%s\"} %" PRIu64 "\n",
			err_kind_name((enum err_kind)k), v[COUNTER_REFUSED + k]);
	return r;
}

static int print_histogram(const uint64_t *v, struct buf *out)
{
	uint64_t n = 0;
	int r = buf_append_str(out,
		"# HELP reaper_start_duration_seconds From Create to the running program.\n"
		"# TYPE reaper_start_duration_seconds histogram\n");

	for (size_t i = 0; r == 0 && i < COUNTERS_BOUNDS; i++) {
		n += v[COUNTER_BUCKETS + i];
		r = buf_printf(out, "reaper_start_duration_seconds_bucket{le=\"%s\"} %" PRIu64 "\n",
			bounds[i].seconds, n);
	}
	n += v[COUNTER_BUCKETS + COUNTERS_BOUNDS];
	if (r == 0)
		r = buf_printf(out,
			"reaper_start_duration_seconds_bucket{le=\"+Inf\"} %" PRIu64 "\n"
			"reaper_start_duration_seconds_sum %" PRIu64 ".%03" PRIu64 "\n"
			"reaper_start_duration_seconds_count %" PRIu64 "\n",
			n, v[COUNTER_START_MS] / 1000, v[COUNTER_START_MS] % 1000, n);
	return r;
}

int counters_print(const uint64_t v[_COUNTER_MAX], struct buf *out)
{
	int r = buf_printf(out,
		"# HELP reaper_starts_total Containers whose program has run.\n"
		"# TYPE reaper_starts_total counter\n"
		"reaper_starts_total %" PRIu64 "\n"
		"# HELP reaper_execs_total Further programs that were run in containers.\n"
		"# TYPE reaper_execs_total counter\n"
		"reaper_execs_total %" PRIu64 "\n"
		"# HELP reaper_exits_total Ends of containers: status 0, another, or for want of "
		"memory.\n"
		"# TYPE reaper_exits_total counter\n"
		"reaper_exits_total{result=\"ok\"} %" PRIu64 "\n"
		"reaper_exits_total{result=\"failed\"} %" PRIu64 "\n"
		"reaper_exits_total{result=\"oom\"} %" PRIu64 "\n"
		"# HELP reaper_history_bad_lines_total Lines of the history that are no records.\n"
		"# TYPE reaper_history_bad_lines_total counter\n"
		"reaper_history_bad_lines_total %" PRIu64 "\n",
		v[COUNTER_STARTS], v[COUNTER_EXECS], v[COUNTER_EXITS_OK], v[COUNTER_EXITS_FAILED],
		v[COUNTER_EXITS_OOM], v[COUNTER_BAD_LINES]);

	if (r == 0)
		r = print_refused(v, out);
	return r < 0 ? r : print_histogram(v, out);
}
