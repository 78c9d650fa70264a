#include "runtime/state.h"

#include <errno.h>
#include <stdio.h>
#include "base/buf.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/macro.h"
#include "base/str.h"
#include "oci/annotations.h"
#include "oci/state.h"

const char *container_status_name(enum container_status status)
{
	static const char *const names[_CONTAINER_STATUS_MAX] = {
		[CONTAINER_CREATED] = "created",
		[CONTAINER_RUNNING] = "running",
		[CONTAINER_PAUSED] = "paused",
		[CONTAINER_STOPPED] = "stopped",
	};

	return names[status];
}

const char *container_time(const struct timespec *t, char buf[CONTAINER_TIME_SIZE])
{
	if (t->tv_sec <= 0)
		return "-";
	clock_text(t->tv_sec, buf);
	return buf;
}

int container_state_json(
	const struct container_info *info, struct json_object **ret_object, struct err *err)
{
	_cleanup_(oci_annotations_done) struct oci_annotations annotations = {0};
	_cleanup_(json_object_freep) struct json_object *o = NULL;
	const struct store_record *record = &info->record;
	struct oci_state state = {
		.id = record->id,
		.status = container_status_name(info->status),
		.pid = info->status == CONTAINER_STOPPED ? 0 : record->init_pid,
		.bundle = info->bundle,
		.annotations = &annotations,
	};
	char created[CONTAINER_TIME_SIZE], exited[CONTAINER_TIME_SIZE];
	int r = 0;

	/* a bundle that lacks its config.json has no annotations */
	(void)oci_annotations_load(info->bundle, &annotations, NULL);
	o = oci_state_object(&state);
	r |= json_put_str(o, "namespace", record->ns);
	r |= json_put_str(o, "group", record->group);
	r |= json_put_bool(o, "sandbox", record->sandbox);
	r |= json_put_str(o, "created", container_time(&record->created, created));
	r |= json_put_strv(o, "cgroups", record->cgroups);
	if (record->exited) {
		r |= json_put_u64(o, "exitStatus", record->exit_status);
		r |= json_put_str(o, "exitedAt", container_time(&record->exited_at, exited));
	}
	if (r < 0)
		return err_sysf(err, ENOMEM, "state of %s", record->id);
	*ret_object = TAKE_PTR(o);
	return 0;
}

static int append_end(struct buf *b, const struct store_record *record)
{
	char at[CONTAINER_TIME_SIZE];

	if (!record->exited)
		return buf_append_str(b, "ended       not recorded\n");
	return buf_printf(b, "exit status %u\nended       %s\n", record->exit_status,
		container_time(&record->exited_at, at));
}

int container_state_text(const struct container_info *info, char **ret_text, struct err *err)
{
	_cleanup_(buf_done) struct buf b = BUF_INIT(STORE_RECORD_MAX);
	const struct store_record *record = &info->record;
	char at[CONTAINER_TIME_SIZE];
	int r;

	r = buf_printf(&b, "id          %s\nnamespace   %s\ngroup       %s%s\nstatus      %s\n",
		record->id, record->ns, record->group ? record->group : "-",
		record->sandbox ? " (its sandbox)" : "", container_status_name(info->status));
	if (r == 0 && info->status == CONTAINER_STOPPED)
		r = append_end(&b, record);
	else if (r == 0)
		r = buf_printf(&b, "pid         %d\n", (int)record->init_pid);
	if (r == 0)
		r = buf_printf(&b, "created     %s\nbundle      %s\n",
			container_time(&record->created, at), info->bundle);
	for (size_t i = 0; r == 0 && record->cgroups && record->cgroups[i]; i++)
		r = buf_printf(&b, "%-11s %s\n", i == 0 ? "cgroup" : "", record->cgroups[i]);
	if (r < 0)
		return err_sysf(err, -r, "state of %s", record->id);
	*ret_text = TAKE_PTR(b.data);
	return 0;
}
