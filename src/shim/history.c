#include "shim/history.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/log.h"
#include "oci/annotations.h"
#include "recorder/last.h"
#include "shim/container.h"
#include "shim/shim.h"
#include "store/group.h"
#include "store/record.h"

static void tell(const struct container *c, const struct recorder_moment *moment)
{
	struct err err = ERR_INIT;

	if (recorder_write(c->recorder, moment, &err) < 0)
		log_warn("container %s: history: %s, continuing without", c->id, err.text);
}

static void begin(struct container *c, const struct oci_spec *spec, const struct settings *settings)
{
	c->recorder = calloc(1, sizeof(*c->recorder));
	if (c->recorder && recorder_init(c->recorder, spec, settings, c->shim->ns, c->id) == 0)
		return;
	free(c->recorder);
	c->recorder = NULL;
	log_warn("container %s: history: no memory, continuing without", c->id);
}

void history_begin(struct container *c, const struct oci_spec *spec,
	const struct settings *settings, const char *base_dir)
{
	begin(c, spec, settings);
	if (c->recorder && c->view && recorder_set_group(c->recorder, c->view, base_dir) < 0)
		log_warn("container %s: history: no memory, continuing without its group", c->id);
}

/* It has not come as far as its settings: what its bundle says of it, and the node's settings, or
 * the defaults if it is these that are wrong. */
static void begin_late(struct container *c)
{
	_cleanup_(settings_done) struct settings settings = SETTINGS_INIT;
	_cleanup_(oci_spec_done) struct oci_spec spec = OCI_SPEC_INIT;

	if (settings_load(NULL, environ, NULL, 0, &settings, NULL) < 0 &&
		settings_load("", NULL, NULL, 0, &settings, NULL) < 0)
		return;
	(void)oci_annotations_load(c->bundle, &spec.annotations, NULL);
	begin(c, &spec, &settings);
	if (c->recorder)
		c->recorder->uid = (uid_t)-1; /* nobody has said one */
}

void history_ready(struct container *c)
{
	if (c->recorder)
		recorder_measure(c->recorder);
}

void history_refused(struct container *c, const struct err *why)
{
	const struct recorder_moment moment = {
		.event = RECORDER_REFUSED, .created = c->created, .why = why};

	if (!c->recorder)
		begin_late(c);
	if (c->recorder)
		tell(c, &moment);
}

/* The program of an exec, for as long as `spec` is held. */
static void add_exec(struct recorder_moment *m, const struct process *p, struct oci_process *spec)
{
	if (!p->exec_id)
		return;
	m->exec_id = p->exec_id;
	if (p->spec_json && oci_process_parse(p->spec_json, strlen(p->spec_json), spec, NULL) == 0)
		m->exec = spec;
}

void history_runs(const struct process *p)
{
	_cleanup_(oci_process_done) struct oci_process spec = OCI_PROCESS_INIT;
	const struct container *c = p->container;
	struct recorder_moment moment = {
		.event = p->exec_id ? RECORDER_EXEC : RECORDER_START, .pid = (pid_t)p->pid};

	if (!c->recorder)
		return;
	if (!p->exec_id)
		moment.created = c->created;
	if (!process_alive(p)) /* reaped: the number is nobody's, or somebody else's */
		moment.pid = 0;
	add_exec(&moment, p, &spec);
	tell(c, &moment);
}

void history_over(const struct process *p)
{
	_cleanup_(oci_process_done) struct oci_process spec = OCI_PROCESS_INIT;
	const struct container *c = p->container;
	struct recorder_moment moment = {.exited = p->exited_at};

	/* deleted before it was started: nothing has happened */
	if (!c->recorder || (!p->started && !p->failed))
		return;
	if (p->started) {
		moment.event = p->exec_id ? RECORDER_EXEC_EXIT : RECORDER_EXIT;
		moment.status = p->exit_status;
		moment.oom = !p->exec_id && c->oom.kills > 0;
	} else {
		moment.event = RECORDER_REFUSED;
		moment.why = &p->failure;
	}
	add_exec(&moment, p, &spec);
	tell(c, &moment);
}

/* As the shim has begun it, from what is on disk. */
static int begin_again(
	struct recorder *r, const char *bundle, const struct store_record *record, struct err *err)
{
	_cleanup_(store_layout_done) struct store_layout layout = STORE_LAYOUT_INIT;
	_cleanup_(store_group_done) struct store_group group = STORE_GROUP_INIT;
	_cleanup_(settings_done) struct settings settings = SETTINGS_INIT;
	_cleanup_(oci_spec_done) struct oci_spec spec = OCI_SPEC_INIT;
	/* half a bundle: then it is what its record says */
	bool known = oci_spec_load(bundle, &spec, NULL) == 0;
	int e = settings_load(NULL, environ, known ? spec.annotations.v : NULL,
		known ? spec.annotations.n : 0, &settings, err);

	if (e < 0)
		return e;
	if (recorder_init(r, known ? &spec : NULL, &settings, record->ns, record->id) < 0)
		return err_sysf(err, ENOMEM, "history");
	if (!record->view)
		return 0;
	e = store_layout_init(&layout, NULL, settings.overlay_base, err);
	if (e == 0)
		e = store_group_load(&layout, record->view, &group, err);
	if (e == 0 && recorder_set_group(r, record->view, group.base_dir) < 0)
		e = err_sysf(err, ENOMEM, "history");
	return e;
}

int history_after_shim(
	const char *bundle, const struct store_record *record, bool ran, struct err *err)
{
	const struct recorder_moment moment = {.event = RECORDER_EXIT,
		.exited = record->exited ? record->exited_at : clock_wall(),
		.status = record->exited ? record->exit_status : 128 + SIGKILL};
	_cleanup_(recorder_done) struct recorder r = RECORDER_INIT;
	enum recorder_last last;
	int e = begin_again(&r, bundle, record, err);

	if (e < 0)
		return err_wrapf(err, "history");
	last = recorder_find_last(&r, record->created.tv_sec);
	if (last != RECORDER_LAST_STARTED && !(last == RECORDER_LAST_UNKNOWN && ran))
		return 0;
	return recorder_write(&r, &moment, err);
}
