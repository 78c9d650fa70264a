#include "store/record.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/cleanup.h"
#include "base/file.h"
#include "base/json.h"
#include "base/macro.h"
#include "base/str.h"

enum { BOOT_ID_MAX = 128, SWEPT_MAX = 1024 };

#define POSTSTOP_NAME "reaper-poststop" /* an empty file */

/* The kernel's name for this boot, without the newline. It is asked once: no process sees another.
 */
static int read_boot_id(char **ret_id, struct err *err)
{
	static char known[BOOT_ID_MAX + 1];
	_cleanup_free_ char *id = NULL;
	int r = *known ? 0
		       : file_read_at(AT_FDCWD, "/proc/sys/kernel/random/boot_id", BOOT_ID_MAX, &id,
				 NULL, err);

	if (r < 0)
		return r;
	if (id)
		(void)snprintf(known, sizeof(known), "%.*s", (int)strcspn(id, "\n"), id);
	r = str_dup(ret_id, known);
	return r < 0 ? err_sysf(err, -r, "boot") : 0;
}

/* ---- writing ---- */

static int put_time(struct json_object *o, const char *key, const struct timespec *t)
{
	struct json_object *child;
	int r;

	if (t->tv_sec == 0 && t->tv_nsec == 0)
		return 0;
	child = json_new_object();
	r = json_put_i64(child, "sec", t->tv_sec);
	r |= json_put_i64(child, "nsec", t->tv_nsec);
	r |= json_put_consume(o, key, child);
	return r;
}

/* NULL: no memory. */
static struct json_object *process_object(const struct store_process *process, const char *boot_id)
{
	struct json_object *o = json_new_object();
	int r = json_put_i64(o, "pid", process->pid);

	r |= json_put_u64(o, "startTicks", process->start_ticks);
	r |= json_put_str(o, "bootId", boot_id);
	if (r < 0)
		json_object_freep(&o);
	return o;
}

static int put_init(struct json_object *o, const struct store_record *rec, const char *boot_id)
{
	const struct store_process init = {rec->init_pid, rec->init_start_ticks};

	if (rec->init_pid <= 0)
		return 0;
	return json_put_consume(o, "init", process_object(&init, boot_id));
}

static int put_loggers(struct json_object *o, const struct store_record *rec, const char *boot_id)
{
	struct json_object *list;
	int r = 0;

	if (rec->n_loggers == 0)
		return 0;
	list = json_new_list();
	for (size_t i = 0; i < rec->n_loggers && i < STORE_LOGGERS_MAX; i++)
		r |= json_append(list, process_object(&rec->loggers[i], boot_id));
	r |= json_put_consume(o, "loggers", list);
	return r;
}

static int put_exit(struct json_object *o, const struct store_record *rec)
{
	struct json_object *child;
	int r;

	if (!rec->exited)
		return 0;
	child = json_new_object();
	r = json_put_u64(child, "status", rec->exit_status);
	r |= put_time(child, "at", &rec->exited_at);
	r |= json_put_consume(o, "exit", child);
	return r;
}

int store_record_write(int bundle_fd, const struct store_record *record, struct err *err)
{
	_cleanup_(json_object_freep) struct json_object *o = json_new_object();
	_cleanup_free_ char *text = NULL, *boot_id = NULL;
	size_t len = 0;
	int r;

	if (strv_len(record->cgroups) > STORE_CGROUPS_MAX)
		return err_setf(err, ERR_INTERNAL, E2BIG, "record: more than %d cgroups",
			STORE_CGROUPS_MAX);
	r = read_boot_id(&boot_id, err);
	if (r < 0)
		return r;
	r = json_put_u64(o, "version", STORE_RECORD_VERSION);
	r |= json_put_str(o, "id", record->id);
	r |= json_put_str(o, "namespace", record->ns);
	r |= json_put_str(o, "group", record->group);
	r |= json_put_str(o, "view", record->view);
	if (record->swept)
		r |= json_put_strv(o, "swept", record->swept);
	r |= json_put_str(o, "runtimeVersion", record->runtime_version);
	r |= json_put_bool(o, "sandbox", record->sandbox);
	r |= json_put_bool(o, "ownPidNamespace", record->own_pidns);
	r |= put_init(o, record, boot_id);
	r |= put_loggers(o, record, boot_id);
	r |= json_put_strv(o, "cgroups", record->cgroups);
	r |= json_put_str(o, "unit", record->unit);
	r |= json_put_str(o, "slice", record->slice);
	r |= json_put_str(o, "snapshot", record->snapshot);
	r |= put_time(o, "created", &record->created);
	r |= put_exit(o, record);
	if (r < 0 || json_write(o, JSON_PRETTY, &text, &len) < 0)
		return err_sysf(err, ENOMEM, STORE_RECORD_NAME);
	return file_replace_at(bundle_fd, STORE_RECORD_NAME, text, len, 0600, err);
}

/* ---- reading ---- */

/* Collects what could be read: the first problem is kept, the rest goes on. */
struct reading {
	struct err first, now;
};

/* Takes note of the answer of a getter; whether the member was there and right. */
static bool note(struct reading *rd, int r)
{
	if (r < 0 && rd->first.kind == ERR_NONE)
		rd->first = rd->now;
	return r > 0;
}

static void get_time(
	struct reading *rd, const struct json_ref *o, const char *key, struct timespec *t)
{
	struct json_ref child;
	int64_t sec = 0, nsec = 0;

	if (!note(rd, json_get_object(o, key, &child, &rd->now)))
		return;
	if (note(rd, json_get_i64(&child, "sec", 0, INT64_MAX / 2, &sec, &rd->now)) &&
		note(rd, json_get_i64(&child, "nsec", 0, 999999999, &nsec, &rd->now)))
		*t = (struct timespec) {.tv_sec = (time_t)sec, .tv_nsec = (long)nsec};
}

static bool this_boot(const char *boot_id)
{
	_cleanup_free_ char *now = NULL;

	if (!boot_id || read_boot_id(&now, NULL) < 0)
		return false;
	return str_eq(boot_id, now);
}

/* The pid counts only with all that proves it is still the same process. */
static bool get_process(
	struct reading *rd, const struct json_ref *o, struct store_process *ret_process)
{
	_cleanup_free_ char *boot_id = NULL;
	int64_t pid = 0;
	uint64_t ticks = 0;

	if (!note(rd, json_get_i64(o, "pid", 1, INT32_MAX, &pid, &rd->now)) ||
		!note(rd, json_get_u64(o, "startTicks", 0, UINT64_MAX, &ticks, &rd->now)) ||
		!note(rd, json_get_str(o, "bootId", &boot_id, &rd->now)))
		return false;
	if (!this_boot(boot_id))
		return false;
	*ret_process = (struct store_process) {(pid_t)pid, ticks};
	return true;
}

static void get_init(struct reading *rd, const struct json_ref *o, struct store_record *rec)
{
	struct store_process process;
	struct json_ref init;

	if (!note(rd, json_get_object(o, "init", &init, &rd->now)) ||
		!get_process(rd, &init, &process))
		return;
	rec->init_pid = process.pid;
	rec->init_start_ticks = process.start_ticks;
}

static void get_loggers(struct reading *rd, const struct json_ref *o, struct store_record *rec)
{
	struct json_ref list;
	size_t n;

	if (!note(rd, json_get_array(o, "loggers", STORE_LOGGERS_MAX, &list, &n, &rd->now)) ||
		n == 0)
		return;
	rec->loggers = calloc(n, sizeof(*rec->loggers));
	if (!rec->loggers) {
		(void)note(rd, err_sysf(&rd->now, ENOMEM, STORE_RECORD_NAME));
		return;
	}
	for (size_t i = 0; i < n; i++) {
		struct json_ref element;
		int r = json_element_object(&list, i, &element, &rd->now);

		(void)note(rd, r);
		if (r == 0 && get_process(rd, &element, &rec->loggers[rec->n_loggers]))
			rec->n_loggers++;
	}
}

static void get_exit(struct reading *rd, const struct json_ref *o, struct store_record *rec)
{
	struct json_ref child;

	if (!note(rd, json_get_object(o, "exit", &child, &rd->now)))
		return;
	if (!note(rd, json_get_u32(&child, "status", &rec->exit_status, &rd->now)))
		return;
	rec->exited = true;
	get_time(rd, &child, "at", &rec->exited_at);
}

/* Everything in these directories will be killed: only whole, plain paths are believed. */
static bool is_cgroup_path(const char *path)
{
	return path[0] == '/' && path[1] && !strstr(path, "/../") && !str_has_suffix(path, "/..") &&
	       !strstr(path, "//");
}

static void get_cgroups(struct reading *rd, const struct json_ref *o, struct store_record *rec)
{
	_cleanup_strv_ char **all = NULL;

	if (!note(rd, json_get_strv(o, "cgroups", STORE_CGROUPS_MAX, &all, &rd->now)))
		return;
	for (size_t i = 0; all && all[i]; i++) {
		int r = 0;

		if (is_cgroup_path(all[i]))
			r = strv_append(&rec->cgroups, all[i]);
		else
			r = err_setf(&rd->now, ERR_INVALID, EINVAL,
				STORE_RECORD_NAME ": cgroups[%zu]: \"%.200s\": not a plain "
						  "absolute path",
				i, all[i]);
		(void)note(rd, r);
	}
}

static int check_version(const struct json_ref *root, struct err *err)
{
	uint64_t version = STORE_RECORD_VERSION;
	int r = json_get_u64(root, "version", 0, UINT64_MAX, &version, err);

	if (r < 0 || version <= STORE_RECORD_VERSION)
		return r < 0 ? r : 0;
	return err_setf(err, ERR_UNIMPLEMENTED, EPROTO,
		STORE_RECORD_NAME ": version %llu, this program knows up to %d: it was written by "
				  "a newer Reaper",
		(unsigned long long)version, STORE_RECORD_VERSION);
}

int store_record_parse(
	const char *text, size_t len, struct store_record *ret_record, struct err *err)
{
	_cleanup_json_ struct json_ref root = {.value = NULL};
	struct store_record rec = STORE_RECORD_INIT;
	struct reading rd = {.first = ERR_INIT};
	int r = json_parse(text, len, STORE_RECORD_NAME, &root, err);

	if (r == 0)
		r = check_version(&root, err);
	if (r < 0)
		return r;
	(void)note(&rd, json_get_str(&root, "id", &rec.id, &rd.now));
	(void)note(&rd, json_get_str(&root, "namespace", &rec.ns, &rd.now));
	(void)note(&rd, json_get_str(&root, "group", &rec.group, &rd.now));
	(void)note(&rd, json_get_str(&root, "view", &rec.view, &rd.now));
	(void)note(&rd, json_get_strv(&root, "swept", SWEPT_MAX, &rec.swept, &rd.now));
	(void)note(&rd, json_get_str(&root, "runtimeVersion", &rec.runtime_version, &rd.now));
	(void)note(&rd, json_get_bool(&root, "sandbox", &rec.sandbox, &rd.now));
	(void)note(&rd, json_get_bool(&root, "ownPidNamespace", &rec.own_pidns, &rd.now));
	(void)note(&rd, json_get_str(&root, "unit", &rec.unit, &rd.now));
	(void)note(&rd, json_get_str(&root, "slice", &rec.slice, &rd.now));
	(void)note(&rd, json_get_str(&root, "snapshot", &rec.snapshot, &rd.now));
	get_init(&rd, &root, &rec);
	get_loggers(&rd, &root, &rec);
	get_cgroups(&rd, &root, &rec);
	get_time(&rd, &root, "created", &rec.created);
	get_exit(&rd, &root, &rec);
	*ret_record = rec;
	if (rd.first.kind == ERR_NONE)
		return 0;
	if (err)
		*err = rd.first;
	return STORE_RECORD_PARTIAL;
}

int store_record_read(int bundle_fd, struct store_record *ret_record, struct err *err)
{
	_cleanup_free_ char *text = NULL;
	size_t len = 0;
	int r = file_read_at(bundle_fd, STORE_RECORD_NAME, STORE_RECORD_MAX, &text, &len, err);

	return r < 0 ? r : store_record_parse(text, len, ret_record, err);
}

int store_claim_poststop(int bundle_fd)
{
	_cleanup_close_ int fd = openat(bundle_fd, POSTSTOP_NAME,
		O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);

	if (fd >= 0)
		return 1;
	return errno == EEXIST ? 0 : -errno;
}

void store_record_done(struct store_record *record)
{
	if (!record)
		return;
	free(record->id);
	free(record->ns);
	free(record->group);
	free(record->view);
	(void)strv_free(record->swept);
	free(record->runtime_version);
	free(record->loggers);
	(void)strv_free(record->cgroups);
	free(record->unit);
	free(record->slice);
	free(record->snapshot);
	*record = (struct store_record)STORE_RECORD_INIT;
}
