#include "recorder/recorder.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statfs.h>
#include <sys/utsname.h>
#include <unistd.h>
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/num.h"
#include "base/str.h"
#include "oci/annotations.h"
#include "recorder/entry.h"
#include "recorder/file.h"
#include "recorder/identity.h"
#include "recorder/mask.h"

enum {
	COMMAND_MAX = 4096, /* bytes of all arguments that are kept */
	TMPFS = 0x01021994,
	TIME_SIZE = CLOCK_TEXT_SIZE + 24,
};

static const char *const event_names[] = {
	[RECORDER_START] = "start",
	[RECORDER_EXIT] = "exit",
	[RECORDER_REFUSED] = "refused",
	[RECORDER_EXEC] = "exec",
	[RECORDER_EXEC_EXIT] = "exec-exit",
};

/* The arguments as they are kept; what is too long ends in "...". */
static int keep_command(enum history_mode mode, char *const *args, char ***ret_command)
{
	_cleanup_strv_ char **kept = NULL;
	size_t left = COMMAND_MAX;
	bool next = false;

	for (size_t i = 0; args && args[i] && (i == 0 || mode == HISTORY_FULL); i++) {
		_cleanup_(buf_done) struct buf b = BUF_INIT(SIZE_MAX / 2);
		const char *text;

		if (mask_argument(args[i], &next, &b) < 0)
			return -ENOMEM;
		text = b.data ? b.data : "";
		if (b.len > left)
			return strv_appendf(&kept, "%.*s...", (int)left, text) < 0
				       ? -ENOMEM
				       : (*ret_command = TAKE_PTR(kept), 0);
		left -= b.len;
		if (strv_append(&kept, text) < 0)
			return -ENOMEM;
	}
	*ret_command = TAKE_PTR(kept);
	return 0;
}

/* Only a tmpfs is the workloads' alone; on a disk others write as well. */
static struct recorder_usage usage_of(const char *dir)
{
	struct statfs st;

	if (!dir || statfs(dir, &st) < 0 || st.f_type != TMPFS)
		return (struct recorder_usage) {.known = false};
	return (struct recorder_usage) {true,
		(uint64_t)(st.f_blocks - st.f_bfree) * (uint64_t)st.f_bsize,
		(uint64_t)(st.f_files - st.f_ffree)};
}

static int keep_spec(struct recorder *r, const struct oci_spec *spec)
{
	const struct oci_annotations *a = &spec->annotations;

	r->sandbox = oci_container_type(a) == OCI_TYPE_SANDBOX;
	r->uid = spec->process.uid;
	r->gid = spec->process.gid;
	if (oci_pod_names_copy(a, &r->names) < 0)
		return -ENOMEM;
	return r->sandbox ? 0 : keep_command(r->mode, spec->process.args, &r->command);
}

int recorder_init(struct recorder *r, const struct oci_spec *spec, const struct settings *settings,
	const char *ns, const char *id)
{
	int e;

	*r = (struct recorder) {
		.mode = settings->history, .max = settings->history_bytes, .uid = (uid_t)-1};
	if (r->mode == HISTORY_NONE)
		return 0;
	e = str_dup(&r->id, id);
	if (e == 0)
		e = str_dup(&r->ns, ns);
	if (e == 0)
		e = str_dup(&r->file, settings->history_file);
	if (e == 0)
		e = str_dup(&r->user, settings->user);
	if (e == 0 && spec)
		e = keep_spec(r, spec);
	if (e < 0)
		recorder_done(r);
	return e;
}

int recorder_set_group(struct recorder *r, const char *key, const char *base_dir)
{
	if (r->mode == HISTORY_NONE)
		return 0;
	return str_dup(&r->group, key) < 0 || str_dup(&r->written, base_dir) < 0 ? -ENOMEM : 0;
}

void recorder_measure(struct recorder *r)
{
	r->before = usage_of(r->written);
}

void recorder_done(struct recorder *r)
{
	free(r->file);
	free(r->id);
	free(r->ns);
	oci_pod_names_done(&r->names);
	free(r->group);
	free(r->written);
	free(r->user);
	(void)strv_free(r->command);
	*r = (struct recorder)RECORDER_INIT;
}

/* "2026-11-29T05:40:00.123456Z"; NULL for a time that is not known. */
static const char *time_text(const struct timespec *t, char buf[TIME_SIZE])
{
	char whole[CLOCK_TEXT_SIZE];

	if (t->tv_sec == 0)
		return NULL;
	clock_text(t->tv_sec, whole);
	whole[strcspn(whole, "Z")] = '\0';
	(void)snprintf(buf, TIME_SIZE, "%s.%06ldZ", whole, t->tv_nsec / 1000);
	return buf;
}

/* What is only known of the process itself, or else what was asked for. */
static void put_identity(struct entry *e, const struct recorder *r, const struct recorder_moment *m,
	const struct identity *now)
{
	if (now->known) {
		entry_i64(e, "uid", now->uid);
		entry_i64(e, "gid", now->gid);
		entry_str(e, "capabilities", now->capabilities);
	} else if (m->exec) {
		entry_i64(e, "uid", m->exec->uid);
		entry_i64(e, "gid", m->exec->gid);
	} else if (!r->user && r->uid != (uid_t)-1) {
		entry_i64(e, "uid", r->uid);
		entry_i64(e, "gid", r->gid);
	}
	entry_str(e, "user", m->exec_id ? NULL : r->user);
}

/* How much more there is in its group than when it was started; others of it have their part. */
static void put_written(struct entry *e, const struct recorder *r)
{
	struct recorder_usage now = usage_of(r->written);

	if (!now.known || !r->before.known)
		return;
	entry_i64(e, "overlay_bytes", (int64_t)(now.bytes - r->before.bytes));
	entry_i64(e, "overlay_files", (int64_t)(now.files - r->before.files));
}

static int64_t milliseconds(const struct timespec *from, const struct timespec *to)
{
	return (int64_t)(to->tv_sec - from->tv_sec) * 1000 +
	       (to->tv_nsec - from->tv_nsec) / 1000000;
}

/* "start default/web-0 main", "refused ID: why" */
static int message_of(const struct recorder *r, const struct recorder_moment *m, char **ret_text)
{
	bool over = m->event == RECORDER_EXIT || m->event == RECORDER_EXEC_EXIT;
	char end[32] = "";

	if (over)
		(void)snprintf(end, sizeof(end), ": status %u", m->status);
	return str_printf(ret_text, "%s %s%s%s%s%s%s%s%s", event_names[m->event],
		r->names.pod && r->names.ns ? r->names.ns : "", r->names.pod ? "/" : "",
		r->names.pod ? r->names.pod : r->id, r->names.container ? " " : "",
		r->names.container ? r->names.container : "", end, m->why ? ": " : "",
		m->why ? m->why->text : "");
}

/* Who and what it was. */
static void put_subject(struct entry *e, const struct recorder *r, const struct recorder_moment *m)
{
	entry_str(e, "namespace", r->names.ns);
	entry_str(e, "pod", r->names.pod);
	entry_str(e, "pod_uid", r->names.uid);
	entry_str(e, "container", r->names.container);
	entry_str(e, "id", r->id);
	entry_str(e, "containerd_namespace", r->ns);
	entry_str(e, "exec_id", m->exec_id);
	entry_str(e, "group", r->group);
	if (r->sandbox)
		entry_bool(e, "sandbox", true);
}

static void put_result(struct entry *e, const struct recorder *r, const struct recorder_moment *m)
{
	if (m->event == RECORDER_EXIT || m->event == RECORDER_EXEC_EXIT) {
		entry_i64(e, "status", m->status);
		entry_bool(e, "oom", m->oom);
	}
	if (m->event == RECORDER_EXIT)
		put_written(e, r);
	if (m->why) {
		entry_str(e, "cause", err_kind_name((enum err_kind)m->why->kind));
		entry_str(e, "error", m->why->text);
	}
}

static int deliver(const struct recorder *r, const struct recorder_moment *m, const struct entry *e,
	struct err *err)
{
	_cleanup_(buf_done) struct buf datagram = BUF_INIT(ENTRY_TEXT_MAX);
	_cleanup_free_ char *line = NULL, *message = NULL;
	size_t len;
	int x;

	/* a journal that does not take it is no reason to have no file */
	if (message_of(r, m, &message) == 0 &&
		entry_datagram(e, message, m->why != NULL, &datagram) == 0)
		(void)entry_send(ENTRY_JOURNAL, &datagram);
	if (!r->file)
		return 0;
	x = entry_json(e, &line, &len);
	if (x < 0)
		return err_sysf(err, -x, "history");
	return recorder_append(r->file, r->max, line, len, err);
}

int recorder_write(struct recorder *r, const struct recorder_moment *m, struct err *err)
{
	_cleanup_(identity_done) struct identity now = IDENTITY_INIT;
	_cleanup_strv_ char **command = NULL;
	char at[TIME_SIZE], created[TIME_SIZE], exited[TIME_SIZE];
	struct timespec wall = clock_wall();
	struct entry e = {.n = 0};
	struct utsname node;

	if (r->mode == HISTORY_NONE || !r->id || (r->sandbox && m->event != RECORDER_REFUSED))
		return 0;
	if (m->pid > 0)
		identity_read(m->pid, &now);
	if (m->exec && keep_command(r->mode, m->exec->args, &command) < 0)
		return err_sysf(err, ENOMEM, "history");
	entry_str(&e, "time", time_text(&wall, at));
	entry_str(&e, "event", event_names[m->event]);
	if (uname(&node) == 0)
		entry_str(&e, "node", node.nodename);
	put_subject(&e, r, m);
	entry_strv(&e, "command", m->exec ? command : m->exec_id ? NULL : r->command);
	put_identity(&e, r, m, &now);
	if (m->pid > 0)
		entry_i64(&e, "pid", m->pid);
	entry_str(&e, "created", time_text(&m->created, created));
	entry_str(&e, "exited", time_text(&m->exited, exited));
	if (m->event == RECORDER_START && m->created.tv_sec)
		entry_i64(&e, "start_ms", milliseconds(&m->created, &wall));
	if (m->event == RECORDER_START && r->before.known) { /* for recorder/last.h */
		entry_i64(&e, "group_bytes", (int64_t)r->before.bytes);
		entry_i64(&e, "group_files", (int64_t)r->before.files);
	}
	put_result(&e, r, m);
	return deliver(r, m, &e, err);
}
