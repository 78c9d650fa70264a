#include <ctype.h>
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
#include "node/change.h"
#include "node/containerd.h"
#include "node/containerd_impl.h"
#include "node/pods.h"
#include "node/write.h"

/* How the file gets back to what it was. */
enum undo_way { UNDO_NOTHING, UNDO_RESTORE, UNDO_CUT, UNDO_CUT_TABLE };

struct undo {
	struct plan plan; /* only daemon, set, target and block are used */
	struct journal journal;
	enum undo_way way;
	char *text; /* UNDO_CUT…: the file afterwards; NULL: it is removed */
	size_t len;
	bool edited; /* the block has somebody else's text in it */
};

static void undo_done(struct undo *u)
{
	plan_done(&u->plan);
	journal_done(&u->journal);
	free(u->text);
}

/* ---- what stands in the way ---- */

static int check_default_runtime(const struct confset *s, struct report *rep)
{
	for (size_t i = 0; i < s->n; i++) {
		const struct toml_doc *doc = s->files[i].doc;
		const struct toml_node *plugins =
			doc ? toml_get(doc, toml_root(doc), "plugins") : NULL;

		for (const struct toml_node *n = plugins ? plugins->first : NULL; n; n = n->next) {
			const char *name = toml_get_string(
				doc, toml_get(doc, n, "containerd"), "default_runtime_name");

			if (name && str_eq(name, STANZA_HANDLER))
				return report_set(rep, REASON_E_DEFAULT_RUNTIME,
					"%s: default_runtime_name is \"" STANZA_HANDLER
					"\": without that runtime the CRI plugin would not start",
					s->files[i].path);
		}
	}
	return 0;
}

static int check_obstacles(const struct cli_args *args, const struct undo *u, struct report *rep)
{
	unsigned shims = args->root ? 0 : pods_count();
	int r = check_default_runtime(&u->plan.set, rep);

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

/* Text without [begin, end), with `keep` in its place. */
static int replace_range(struct undo *u, const struct conf_file *f, size_t begin, size_t end,
	const char *keep, struct report *rep)
{
	struct buf b = BUF_INIT(CONFSET_FILE_MAX + 64UL);

	if (buf_append(&b, f->text, begin) < 0 || buf_append_str(&b, keep) < 0 ||
		buf_append(&b, f->text + end, f->len - end) < 0) {
		buf_done(&b);
		return report_set(rep, REASON_E_INTERNAL, "out of memory");
	}
	free(u->text);
	u->text = b.data ? b.data : strdup("");
	u->len = b.len;
	return u->text ? 0 : report_set(rep, REASON_E_INTERNAL, "out of memory");
}

static bool only_blanks(const char *text, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		if (!isspace((unsigned char)text[i]))
			return false;
	}
	return true;
}

/* A block that said the file's version leaves it behind if the file has come to live without us. */
static int cut_block(struct undo *u, const struct conf_file *f, struct report *rep)
{
	const struct stanza_block *b = &u->plan.block;
	const struct toml_node *v = toml_get(f->doc, toml_root(f->doc), "version");
	bool own_version = v && v->type == TOML_INTEGER && v->begin >= b->begin && v->end <= b->end;
	_cleanup_(toml_doc_freep) struct toml_doc *rest = NULL;
	char keep[64] = "";
	int r;

	u->way = UNDO_CUT;
	u->edited = !b->intact;
	r = replace_range(u, f, b->begin, b->end, "", rep);
	if (r != 0 || !own_version)
		return r;
	if (toml_parse(f->path, u->text, u->len, TOML_LENIENT, &rest, NULL) == 0 &&
		toml_root(rest)->count > 0) {
		(void)snprintf(keep, sizeof(keep), "version = %lld\n", (long long)v->integer);
		return replace_range(u, f, b->begin, b->end, keep, rep);
	}
	if (u->journal.created && only_blanks(u->text, u->len)) {
		free(u->text);
		u->text = NULL;
	}
	return 0;
}

/* A file that somebody serialised anew (nvidia-ctk does) has lost the markers but still our table:
 * its headers and lines go, whatever runc table came with it stays. */
static int cut_table(struct undo *u, struct report *rep)
{
	const struct conf_file *f = plan_file(&u->plan);
	const struct toml_header *headers;
	size_t n, shift = 0;
	int r = 0;

	headers = toml_headers(f->doc, &n);
	for (size_t i = 0; i < n && r == 0; i++) {
		const struct toml_node *t = headers[i].table;
		struct conf_file now = *f;

		while (t && t->parent &&
			!(t->key && str_eq(t->key, STANZA_HANDLER) && t->parent->key &&
				str_eq(t->parent->key, "runtimes")))
			t = t->parent;
		if (!t || !t->parent)
			continue;
		if (!stanza_is_ours(f->doc, t))
			continue;
		if (u->text) {
			now.text = u->text;
			now.len = u->len;
			u->text = NULL;
		}
		r = replace_range(
			u, &now, headers[i].begin - shift, headers[i].end - shift, "", rep);
		if (now.text != f->text)
			free(now.text);
		shift += headers[i].end - headers[i].begin;
		u->way = UNDO_CUT_TABLE;
	}
	return r;
}

static int find_way(struct undo *u, struct report *rep)
{
	struct plan *p = &u->plan;
	struct err err = ERR_INIT;
	char hash[SHA256_HEX_SIZE];

	for (size_t i = 0; i < p->set.n; i++) {
		const struct conf_file *f = &p->set.files[i];

		if (!f->exists)
			continue;
		sha256_hex(f->text, f->len, hash);
		if (u->journal.phase != JOURNAL_NONE && str_eq(u->journal.config, f->name) &&
			str_eq(u->journal.after, hash)) {
			p->target = i;
			u->way = UNDO_RESTORE;
			return 0;
		}
	}
	for (size_t i = 0; i < p->set.n; i++) {
		const struct conf_file *f = &p->set.files[i];
		int r;

		if (!f->exists)
			continue;
		r = stanza_find(f->text ? f->text : "", f->doc, &p->block, &err);
		if (r < 0)
			return report_set(rep, REASON_E_BROKEN_BLOCK, "%s: %s", f->path, err.text);
		if (r > 0) {
			p->target = i;
			p->has_block = true;
			return cut_block(u, f, rep);
		}
	}
	/* only what we are known to have written: somebody else's entry of this name is not ours */
	if (u->journal.phase != JOURNAL_NONE && p->set.n > 0 && p->set.files[0].exists)
		return cut_table(u, rep);
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
	if (!u->text)
		return write_unlink(f->path, err);
	r = write_prepare(&job, root, f->name, hash, u->text, u->len, err);
	return r < 0 ? r : write_commit(&job, err);
}

static int restart_after(const struct cli_args *args, struct undo *u, struct report *rep)
{
	struct daemon *d = &u->plan.daemon;
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
	if (change_restart(d, u->plan.address ? u->plan.address : DAEMON_ADDRESS_DEFAULT, NULL, 0,
		    args->timeout_s, &err) < 0) {
		change_note_journal(d, rep);
		return report_set(rep, REASON_E_UNDO_FAILED,
			"%s: the runtime was taken out, but containerd is not well after its "
			"restart: %s",
			plan_file(&u->plan)->path, err.text);
	}
	return 0;
}

static int undo_write(const struct cli_args *args, struct undo *u, struct report *rep)
{
	const struct daemon *d = &u->plan.daemon;
	const struct conf_file *f = plan_file(&u->plan);
	struct err err = ERR_INIT;
	int r;

	sha256_hex(f->text, f->len, rep->hash_before);
	r = u->way == UNDO_RESTORE ? change_restore(d, &u->journal, &err) : write_cut(u, &err);
	if (r == -ESTALE)
		return report_set(rep, REASON_E_CHANGED, "%s", err.text);
	if (r < 0)
		return report_set(rep, REASON_E_FILE, "%s", err.text);
	if (write_hash(f->path, rep->hash_after) < 0)
		rep->hash_after[0] = '\0';
	journal_remove(d->root, 0);
	journal_rotate(d->root, NULL);
	if (u->edited)
		report_note(rep,
			"the block had been edited; the file as it was lies in %s" JOURNAL_DIR
			"/backups",
			d->root);
	(void)report_set(rep, REASON_REMOVED,
		"%s: the runtime \"" STANZA_HANDLER "\" was taken out%s", f->path,
		u->way != UNDO_RESTORE ? "; everything else is as it was"
		: u->journal.created   ? "; the file did not exist before and is gone"
				       : "; the file has its original bytes");
	return restart_after(args, u, rep);
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

static int prepare(const struct cli_args *args, struct undo *u, int *lock, struct report *rep)
{
	struct plan *p = &u->plan;
	struct err err = ERR_INIT;
	bool imports;
	int r;

	if (daemon_resolve(args, &p->daemon, &err) < 0 && !p->daemon.config)
		return report_set(rep, REASON_E_NO_CONTAINERD, "%s", err.text);
	(void)snprintf(rep->containerd, sizeof(rep->containerd), "%s", p->daemon.version);
	(void)snprintf(rep->config, sizeof(rep->config), "%s%s", p->daemon.root, p->daemon.config);
	if (!args->dry_run) {
		*lock = change_lock(p->daemon.root, p->daemon.config, args->timeout_s, &err);
		if (*lock < 0)
			return report_set(rep,
				*lock == -ETIMEDOUT ? REASON_E_LOCKED : REASON_E_FILE, "%s",
				err.text);
		r = change_recover(&p->daemon, &u->journal, &err);
	} else {
		r = journal_load(p->daemon.root, &u->journal, &err);
	}
	if (r < 0 && r != -EBADMSG)
		return report_set(rep, REASON_E_STATE_DIR, "%s", err.text);
	r = confset_load(&p->daemon, &p->set, &imports, &err);
	if (r < 0)
		return report_set(rep,
			imports        ? REASON_E_IMPORTS
			: r == -EINVAL ? REASON_E_SYNTAX
				       : REASON_E_FILE,
			"%s", err.text);
	return 0;
}

static int undo(const struct cli_args *args, struct undo *u, int *lock, struct report *rep)
{
	int r = prepare(args, u, lock, rep);

	if (r != 0)
		return r;
	r = find_way(u, rep);
	if (r != 0)
		return r;
	if (u->way == UNDO_NOTHING) {
		if (!args->dry_run)
			journal_remove(u->plan.daemon.root, 0);
		return report_set(rep, REASON_NOTHING_TO_UNDO,
			"nothing of Reaper's stands in containerd's configuration");
	}
	(void)snprintf(rep->config, sizeof(rep->config), "%s", plan_file(&u->plan)->path);
	(void)snprintf(rep->strategy, sizeof(rep->strategy), "%s",
		u->way == UNDO_RESTORE ? "restore"
		: u->way == UNDO_CUT   ? "block"
				       : "table");
	if (!args->force) {
		r = check_obstacles(args, u, rep);
		if (r != 0)
			return r;
	}
	if (args->dry_run)
		return report_set(rep, REASON_CHANGE,
			"%s: the runtime \"" STANZA_HANDLER "\" would be taken out",
			plan_file(&u->plan)->path);
	if (change_is_live(args, &u->plan.daemon) && !args->no_restart)
		find_address(&u->plan);
	return undo_write(args, u, rep);
}

int containerd_undo(const struct cli_args *args)
{
	_cleanup_(undo_done) struct undo u = {.plan = PLAN_INIT, .journal = JOURNAL_INIT};
	_cleanup_(report_done) struct report rep = REPORT_INIT;
	_cleanup_close_ int lock = -EBADF;

	(void)undo(args, &u, &lock, &rep);
	return report_print(&rep, args->json);
}
