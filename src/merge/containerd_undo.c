#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "base/cleanup.h"
#include "base/file.h"
#include "base/macro.h"
#include "base/sha256.h"
#include "base/str.h"
#include "merge/change.h"
#include "merge/containerd.h"
#include "merge/engine.h"
#include "node/distro.h"
#include "merge/nodeadm.h"
#include "node/pods.h"
#include "merge/undo_cut.h"
#include "merge/write.h"
#include "node/root.h"

static void undo_done(struct undo *u)
{
	plan_done(&u->plan);
	journal_done(&u->journal);
	free(u->text);
}

/* ---- what stands in the way ---- */

/* Who else names our runtime: the default, or the images' snapshotter table. */
static const char *who_needs(
	const struct toml_doc *doc, const struct toml_node *plugin, const char *handler)
{
	const char *name =
		toml_get_string(doc, toml_get(doc, plugin, "containerd"), "default_runtime_name");

	if (name && str_eq(name, handler))
		return "default_runtime_name";
	return toml_find(doc, plugin, "runtime_platforms", handler, NULL) ? "runtime_platforms"
									  : NULL;
}

static int check_references(const struct plan *p, struct report *rep)
{
	for (size_t i = 0; i < p->set.n; i++) {
		const struct toml_doc *doc = p->set.files[i].doc;
		const struct toml_node *plugins =
			doc ? toml_get(doc, toml_root(doc), "plugins") : NULL;

		for (const struct toml_node *n = plugins ? plugins->first : NULL; n; n = n->next) {
			const char *who = who_needs(doc, n, p->handler);

			if (who)
				return report_set(rep, REASON_E_DEFAULT_RUNTIME,
					"%s: %s names \"%s\": without that runtime the CRI plugin "
					"would not work",
					p->set.files[i].path, who, p->handler);
		}
	}
	return 0;
}

static int check_obstacles(const struct cli_args *args, const struct undo *u, struct report *rep)
{
	unsigned shims = args->root ? 0 : pods_count();
	int r = check_references(&u->plan, rep);

	if (r != 0)
		return r;
	if (shims > 0)
		return report_set(rep, REASON_E_IN_USE,
			"%u Reaper pods run on this node: without the runtime nobody could end "
			"them",
			shims);
	return 0;
}

/* ---- what is to be done ---- */

/* The source that a distribution renders the daemon's file from; a block in that comes from it. */
static int add_source(struct undo *u, struct report *rep)
{
	struct plan *p = &u->plan;
	const struct distro *distro = u->explicit_config ? NULL : distro_of(&p->daemon);
	struct err err = ERR_INIT;

	p->source = 0;
	if (!distro || !distro_source(distro, &p->daemon))
		return 0;
	if (confset_add_template(
		    &p->daemon, &p->set, distro_source(distro, &p->daemon), &p->source, &err) < 0)
		return report_set(rep, REASON_E_FILE, "%s", err.text);
	return 0;
}

/* A file of our own that nobody imports any more is found by the journal only. */
static int add_journals_file(struct undo *u, struct report *rep)
{
	struct err err = ERR_INIT;
	size_t index;
	int r;

	r = add_source(u, rep);
	if (r != 0 || u->journal.phase == JOURNAL_NONE ||
		!drop_in_is_ours(&u->plan, u->journal.config))
		return r;
	if (confset_add_file(&u->plan.daemon, &u->plan.set, u->journal.config, &index, &err) < 0)
		return report_set(rep, REASON_E_FILE, "%s", err.text);
	return 0;
}

static bool find_restore(struct undo *u)
{
	struct plan *p = &u->plan;

	for (size_t i = 0; u->journal.phase != JOURNAL_NONE && i < p->set.n; i++) {
		const struct conf_file *f = &p->set.files[i];
		char hash[SHA256_HEX_SIZE];

		if (!f->exists || !str_eq(u->journal.config, f->name))
			continue;
		sha256_hex(f->text, f->len, hash);
		if (!str_eq(u->journal.after, hash))
			continue;
		p->target = i;
		u->way = UNDO_RESTORE;
		return true;
	}
	return false;
}

static int find_way(struct undo *u, struct report *rep)
{
	struct plan *p = &u->plan;
	struct err err = ERR_INIT;
	int r = add_journals_file(u, rep);

	if (r != 0 || find_restore(u))
		return r;
	for (size_t i = p->source ? 1 : 0; i < p->set.n; i++) {
		const struct conf_file *f = &p->set.files[i];

		if (!f->exists)
			continue;
		r = stanza_find(
			f->text ? f->text : "", f->len, f->doc, p->handler, &p->block, &err);
		if (r < 0)
			return report_set(rep, REASON_E_BROKEN_BLOCK, "%s: %s", f->path, err.text);
		if (r > 0) {
			p->target = i;
			p->has_block = true;
			return undo_cut_block(u, rep);
		}
	}
	/* only what we are known to have written: somebody else's entry of this name is not ours */
	for (size_t i = 0; u->journal.phase != JOURNAL_NONE && i < p->set.n; i++) {
		if (!p->set.files[i].exists || !str_eq(u->journal.config, p->set.files[i].name))
			continue;
		p->target = i;
		return undo_cut_table(u, rep);
	}
	return 0;
}

/* ---- doing it ---- */

static int write_cut(struct undo *u, struct err *err)
{
	_cleanup_(write_job_done) struct write_job job = WRITE_JOB_INIT;
	const struct conf_file *f = plan_file(&u->plan);
	const char *root = u->plan.daemon.root;
	char hash[SHA256_HEX_SIZE];
	int r, made = 0;

	sha256_hex(f->text, f->len, hash);
	if (u->edited || u->way == UNDO_CUT_TABLE) {
		_cleanup_free_ char *name = NULL;

		r = journal_backup(root, f->text, f->len, &name, &made, err);
		if (r < 0)
			return r;
	}
	if (!u->text) {
		_cleanup_free_ char *path = NULL;

		r = root_path(root, f->name, &path);
		return r < 0 ? err_sysf(err, -r, "%s", f->path) : write_unlink(path, err);
	}
	r = write_prepare(&job, root, f->name, hash, u->text, u->len, err);
	return r < 0 ? r : write_commit(&job, err);
}

static bool would_restart(const struct cli_args *args, const struct daemon *d)
{
	return !args->root && d->program && change_is_live(args, d) && !args->no_restart;
}

static int restart_after(const struct cli_args *args, struct undo *u, struct report *rep)
{
	struct daemon *d = &u->plan.daemon;
	struct health_want want = {
		.address = u->plan.address ? u->plan.address : DAEMON_ADDRESS_DEFAULT,
		.name = u->plan.handler};
	struct err err = ERR_INIT;

	if (args->root || !d->program)
		return 0;
	if (!change_is_live(args, d)) {
		report_note(rep, "containerd is not running here as a unit; nothing was restarted");
		return 0;
	}
	if (args->no_restart)
		return report_set(rep, REASON_UNDO_NO_RESTART,
			"%s: the runtime was taken out; containerd still has it until it is "
			"restarted",
			plan_file(&u->plan)->path);
	rep->restart = true;
	if (change_restart(d, &want, args->timeout_s, rep, &err) < 0) {
		change_note_journal(d, rep);
		return report_set(rep, REASON_E_UNDO_FAILED,
			"%s: the runtime was taken out, but containerd is not well after its "
			"restart: %s",
			plan_file(&u->plan)->path, err.text);
	}
	return 0;
}

static int undo_write(struct undo *u, struct report *rep)
{
	const struct daemon *d = &u->plan.daemon;
	const struct conf_file *f = plan_file(&u->plan);
	_cleanup_free_ char *path = NULL;
	struct err err = ERR_INIT;
	int r;

	sha256_hex(f->text, f->len, rep->hash_before);
	r = u->way == UNDO_RESTORE ? change_restore(d, &u->journal, &err) : write_cut(u, &err);
	if (r == -ESTALE)
		return report_set(rep, REASON_E_CHANGED, "%s", err.text);
	if (r < 0)
		return report_set(rep, r == -ENOTRECOVERABLE ? REASON_E_UNDO_FAILED : REASON_E_FILE,
			"%s", err.text);
	if (root_path(d->root, f->name, &path) < 0 || write_hash(path, rep->hash_after) < 0)
		rep->hash_after[0] = '\0';
	journal_remove(d->root, u->plan.handler, 0);
	journal_rotate(d->root, NULL);
	if (u->edited)
		report_note(rep,
			"the block had been edited; the file as it was lies in %s" JOURNAL_DIR
			"/backups",
			d->root);
	return report_set(rep, REASON_REMOVED, "%s: the runtime \"%s\" was taken out%s", f->path,
		u->plan.handler,
		u->way != UNDO_RESTORE ? "; everything else is as it was"
		: u->journal.created   ? "; the file did not exist before and is gone"
				       : "; the file has its original bytes");
}

/* The socket, for the health check after the restart; the default where it cannot be told. */
static void find_address(struct plan *p)
{
	_cleanup_(toml_doc_freep) struct toml_doc *dump = NULL;
	_cleanup_free_ char *text = NULL;

	if (p->daemon.program &&
		confset_dump(&p->daemon, &p->set, 0, NULL, 0, &text, &dump, NULL) == 0)
		(void)str_dup(&p->address, containerd_address(dump));
}

static int load_files(struct undo *u, struct report *rep)
{
	struct plan *p = &u->plan;

	confset_done(&p->set);
	p->has_block = false;
	p->target = 0;
	u->way = UNDO_NOTHING;
	u->edited = false;
	free(u->text);
	u->text = NULL;
	return plan_load_files(p, rep);
}

static int prepare(const struct cli_args *args, struct undo *u, int *lock, struct report *rep)
{
	struct plan *p = &u->plan;
	struct err err = ERR_INIT;
	int r;

	p->handler = plan_handler(args);
	u->explicit_config = args->config != NULL;
	(void)snprintf(rep->handler, sizeof(rep->handler), "%s", p->handler);
	if (!stanza_is_handler(p->handler))
		return report_set(
			rep, REASON_E_HANDLER, "\"%s\" cannot be a handler's name", p->handler);
	r = daemon_resolve(args, &p->daemon, &err);
	report_where(rep, args, p->daemon.unit);
	if (r < 0 && !p->daemon.config)
		return report_set(rep, REASON_E_NO_CONTAINERD, "%s", err.text);
	(void)snprintf(rep->containerd, sizeof(rep->containerd), "%s", p->daemon.version);
	(void)snprintf(rep->config, sizeof(rep->config), "%s%s", p->daemon.root, p->daemon.config);
	if (!args->dry_run) {
		*lock = change_lock(p->daemon.root, p->daemon.config, args->timeout_s, &err);
		if (*lock < 0)
			return report_set(rep,
				*lock == -ETIMEDOUT ? REASON_E_LOCKED : REASON_E_FILE, "%s",
				err.text);
		r = change_recover(&p->daemon, p->handler, &u->journal, &err);
	} else {
		r = journal_load(p->daemon.root, p->handler, &u->journal, &err);
	}
	if (r < 0 && r != -EBADMSG)
		return report_set(rep, REASON_E_STATE_DIR, "%s", err.text);
	return load_files(u, rep);
}

/* What the file would be; on one's own machine also what undo does to it. */
static void print_diff(const struct undo *u)
{
	const struct conf_file *f = plan_file(&u->plan);
	_cleanup_free_ char *original = NULL;
	const char *after = u->text ? u->text : "";
	size_t len = u->text ? u->len : 0;

	if (u->way == UNDO_RESTORE && !u->journal.created) {
		if (!u->journal.backup || journal_read_backup(u->plan.daemon.root,
						  u->journal.backup, &original, &len, NULL) < 0)
			return;
		after = original ? original : "";
	}
	containerd_print_change(f->path, false, f->text ? f->text : "", f->len, after, len);
}

/* Whether the files can be read once more, for another file that may have the runtime too. That
 * they cannot does not make what was done undone. */
static bool look_again(struct undo *u, struct report *rep)
{
	char message[sizeof(rep->message)];

	memcpy(message, rep->message, sizeof(message));
	if (load_files(u, rep) == 0)
		return true;
	report_note(
		rep, "it was not looked whether another file has the runtime: %s", rep->message);
	(void)report_set(rep, REASON_REMOVED, "%s", message);
	return false;
}

static int undo(const struct cli_args *args, struct undo *u, int *lock, struct report *rep)
{
	int r = prepare(args, u, lock, rep);
	size_t done = 0, max = u->plan.set.n + 1;

	for (; r == 0 && done <= max; done++) {
		r = find_way(u, rep);
		if (r != 0 || u->way == UNDO_NOTHING)
			break;
		(void)snprintf(rep->config, sizeof(rep->config), "%s", plan_file(&u->plan)->path);
		(void)snprintf(rep->strategy, sizeof(rep->strategy), "%s",
			u->way == UNDO_RESTORE ? "restore"
			: u->way == UNDO_CUT   ? "block"
					       : "table");
		if (!args->force && done == 0)
			r = check_obstacles(args, u, rep);
		if (r != 0)
			break;
		if (args->diff && !args->json)
			print_diff(u);
		if (args->dry_run) {
			rep->restart = would_restart(args, &u->plan.daemon);
			return report_set(rep, REASON_CHANGE,
				"%s: the runtime \"%s\" would be taken out",
				plan_file(&u->plan)->path, u->plan.handler);
		}
		if (done == 0 && change_is_live(args, &u->plan.daemon) && !args->no_restart)
			find_address(&u->plan);
		r = undo_write(u, rep);
		journal_done(&u->journal);
		if (r == 0 && !look_again(u, rep)) {
			done++;
			break;
		}
	}
	if (r != 0)
		return r;
	if (!args->dry_run)
		nodeadm_remove(u->plan.daemon.root, u->plan.handler, rep);
	if (done > 0)
		return restart_after(args, u, rep);
	if (!args->dry_run)
		journal_remove(u->plan.daemon.root, u->plan.handler, 0);
	return report_set(rep, REASON_NOTHING_TO_UNDO,
		"nothing of Reaper's stands in containerd's configuration");
}

int containerd_undo(const struct cli_args *args)
{
	_cleanup_(undo_done) struct undo u = {.plan = PLAN_INIT, .journal = JOURNAL_INIT};
	_cleanup_(report_done) struct report rep = REPORT_INIT;
	_cleanup_close_ int lock = -EBADF;

	if (!containerd_inside_view(args, &rep))
		(void)undo(args, &u, &lock, &rep);
	return args->quiet ? report_print_change(&rep) : report_print(&rep, args->json);
}
