#include "merge/plan.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "base/cleanup.h"
#include "base/macro.h"
#include "base/sha256.h"
#include "base/str.h"
#include "merge/compare.h"
#include "merge/engine.h"
#include "node/distro.h"
#include "merge/plan_impl.h"

void plan_done(struct plan *p)
{
	daemon_done(&p->daemon);
	confset_done(&p->set);
	free(p->after);
	free(p->default_runtime);
	free(p->address);
	*p = (struct plan)PLAN_INIT;
}

static void baseline_done(struct baseline *b)
{
	if (!b->borrowed)
		toml_doc_free(b->file);
	toml_doc_free(b->dump);
	free(b->own_text);
	free(b->dump_text);
}

const struct conf_file *plan_file(const struct plan *p)
{
	return &p->set.files[p->target];
}

const char *plan_handler(const struct cli_args *args)
{
	return args->handler ? args->handler : STANZA_HANDLER;
}

static int internal(struct report *rep, int errnum)
{
	return report_set(rep, REASON_E_INTERNAL, "%s", strerrordesc_np(errnum));
}

/* ---- the baseline: the daemon's view without our block ---- */

static int cut_block(struct plan *p, struct baseline *b, struct report *rep)
{
	const struct conf_file *f = plan_file(p);
	struct err err = ERR_INIT;
	struct stanza_rest rest = {.text = BUF_INIT(CONFSET_FILE_MAX + 64UL)};

	if (p->source && !f->exists) {
		b->len = b->at = strlen(p->source_start);
		b->text = p->source_start;
		return toml_parse(f->path, "", 0, TOML_LENIENT, &b->file, NULL) < 0
			       ? internal(rep, ENOMEM)
			       : 0;
	}
	if (p->has_block) {
		if (stanza_cut(f->text, f->len, f->doc, p->handler, &p->block, &rest) < 0) {
			buf_done(&rest.text);
			return internal(rep, ENOMEM);
		}
		b->own_text = rest.text.data;
		b->text = b->own_text ? b->own_text : "";
		b->len = rest.text.len;
		b->at = rest.at;
		b->joint = rest.joint;
	} else {
		b->text = f->text ? f->text : "";
		b->len = b->at = f->len;
	}
	if (!p->has_block && !p->source && f->doc) {
		b->file = f->doc;
		b->borrowed = true;
		return 0;
	}
	/* what a template says is known only when it is rendered */
	if (toml_parse(f->path, b->text, p->source ? 0 : b->len, TOML_LENIENT, &b->file, &err) < 0)
		return report_set(
			rep, REASON_E_BROKEN_BLOCK, "without the reaper block: %s", err.text);
	return 0;
}

/* The `version` that stands in the block itself: the file, or all there was in it, is ours. */
static unsigned version_in_block(const struct plan *p)
{
	const struct conf_file *f = plan_file(p);
	const struct toml_node *v = f->doc ? toml_get(f->doc, toml_root(f->doc), "version") : NULL;

	if (!p->has_block || !v || v->type != TOML_INTEGER || v->integer < 2 || v->integer > 4 ||
		v->begin < p->block.begin || v->end > p->block.end)
		return 0;
	return (unsigned)v->integer;
}

static int dump_baseline(struct plan *p, struct baseline *b, struct err *err)
{
	_cleanup_(buf_done) struct buf text = BUF_INIT(CONFSET_FILE_MAX + 64UL);
	int r;

	if (!plan_file(p)->exists || p->source)
		return confset_dump(
			&p->daemon, &p->set, p->target, NULL, 0, &b->dump_text, &b->dump, err);
	if (!b->own_version || p->target != 0)
		return confset_dump(&p->daemon, &p->set, p->target, b->text, b->len, &b->dump_text,
			&b->dump, err);
	r = buf_append(&text, b->text, b->at);
	if (r == 0)
		r = buf_printf(&text, "\nversion = %u\n", b->own_version);
	if (r == 0)
		r = buf_append(&text, b->text + b->at, b->len - b->at);
	if (r < 0)
		return err_sysf(err, -r, "containerd config dump");
	return confset_dump(
		&p->daemon, &p->set, p->target, text.data, text.len, &b->dump_text, &b->dump, err);
}

const char *containerd_address(const struct toml_doc *dump)
{
	const struct toml_node *root = toml_root(dump), *n;

	n = toml_find(dump, root, "grpc", "address", NULL);
	if (!n) /* 2.3 and newer: a plugin */
		n = toml_find(
			dump, root, "plugins", "io.containerd.server.v1.grpc", "address", NULL);
	return n && n->type == TOML_STRING && n->text_len ? n->text : DAEMON_ADDRESS_DEFAULT;
}

/*
 * containerd 2.0 to 2.2 forget the CRI section of a version 2 root as soon as it imports a file of
 * version 3 that has one: then the node has lost runtimes already, and our change would be blamed.
 */
static int check_lost(const struct plan *p, const struct baseline *b, struct report *rep)
{
	const struct conf_file *f = &p->set.files[0];
	const struct toml_node *written =
		f->doc ? plan_runtimes(f->doc, toml_root(f->doc), CRI_ID_V2) : NULL;
	const struct toml_node *v = f->doc ? toml_get(f->doc, toml_root(f->doc), "version") : NULL;

	if (p->daemon.major < 2 || p->set.n < 2 || !v || v->integer != 2)
		return 0;
	for (const struct toml_node *n = written ? written->first : NULL; n; n = n->next) {
		if (!toml_get(b->dump, b->runtimes, n->key) && !str_eq(n->key, p->handler))
			return report_set(rep, REASON_E_BASELINE,
				"%s, line %u: the runtime \"%s\" is lost already: a file that is "
				"imported has another version, and containerd %s then reads no "
				"runtimes from this one",
				f->path, n->line, n->key, p->daemon.version);
	}
	return 0;
}

static int check_baseline(struct plan *p, struct baseline *b, struct report *rep)
{
	const struct toml_node *root, *option, *cri = NULL;
	struct err err = ERR_INIT;
	const char *name;

	if (dump_baseline(p, b, &err) < 0)
		return report_set(rep, REASON_E_BASELINE,
			"containerd does not accept its present configuration: %s", err.text);
	(void)snprintf(rep->proof, sizeof(rep->proof), "oracle");
	root = toml_root(b->dump);
	for (size_t i = 0; i < CRI_IDS && !cri; i++) {
		b->dump_plugin = cri_ids[i];
		cri = toml_find(b->dump, root, "plugins", cri_ids[i], "containerd", NULL);
	}
	if (!cri)
		return report_set(rep, REASON_E_NO_CRI,
			"containerd %s has no CRI plugin in its configuration", p->daemon.version);
	b->runtimes = toml_get(b->dump, cri, "runtimes");
	name = toml_get_string(b->dump, cri, "default_runtime_name");
	if (str_dup(&p->default_runtime, name) < 0 ||
		str_dup(&p->address, containerd_address(b->dump)) < 0)
		return internal(rep, ENOMEM);
	if (name && *name && !toml_get(b->dump, b->runtimes, name))
		return report_set(rep, REASON_E_BASELINE,
			"default_runtime_name is \"%s\", but no such runtime is configured: the "
			"CRI plugin "
			"does not start with this",
			name);
	option =
		toml_find(b->dump, b->runtimes, name ? name : "", "options", "SystemdCgroup", NULL);
	if (option && option->type == TOML_BOOL)
		p->systemd_cgroup = option->boolean;
	return check_lost(p, b, rep);
}

/* ---- the steps ---- */

int plan_load_files(struct plan *p, struct report *rep)
{
	struct err err = ERR_INIT;
	bool imports;
	int r = confset_load(&p->daemon, &p->set, &imports, &err);

	if (r >= 0)
		return 0;
	return report_set(rep,
		imports        ? REASON_E_IMPORTS
		: r == -EINVAL ? REASON_E_SYNTAX
			       : REASON_E_FILE,
		"%s", err.text);
}

static int load(const struct cli_args *args, struct plan *p, struct report *rep)
{
	struct err err = ERR_INIT;
	int r;

	r = daemon_resolve(args, &p->daemon, &err);
	report_where(rep, args, p->daemon.unit);
	if (r < 0)
		return report_set(rep,
			p->daemon.program ? REASON_E_BASELINE : REASON_E_NO_CONTAINERD, "%s",
			err.text);
	(void)snprintf(rep->containerd, sizeof(rep->containerd), "%s", p->daemon.version);
	(void)snprintf(rep->config, sizeof(rep->config), "%s%s", p->daemon.root, p->daemon.config);
	/* a tree that is being built gets its containerd later; a node that runs should have one */
	if (!p->daemon.program && *p->daemon.root)
		return report_set(rep, REASON_NO_CONTAINERD,
			"there is no containerd in %s: nothing to configure yet", p->daemon.root);
	if (!p->daemon.program)
		return report_set(
			rep, REASON_E_NO_CONTAINERD, "there is no containerd on this node");
	if (access("/proc/self/fd", F_OK) < 0) /* a chroot that is being built */
		return report_set(rep, REASON_NO_PROC,
			"/proc is not mounted: nothing can be proved here, so nothing is written");
	r = distro_check_system(p->daemon.root, rep);
	if (r != 0)
		return r;
	r = plan_load_files(p, rep);
	if (r != 0)
		return r;
	if (!p->set.files[0].exists && p->daemon.config_explicit)
		return report_set(rep, REASON_E_FILE,
			"%s: does not exist, but containerd is started with --config and would not "
			"start",
			p->set.files[0].path);
	return 0;
}

/*
 * The block, wherever it stands among the files. On 1.x it has an effect only in the file that owns
 * the CRI section.
 */
static int find_block(struct plan *p, struct report *rep)
{
	size_t winning = p->target;

	for (size_t i = p->source; i < p->set.n; i++) {
		const struct conf_file *f = &p->set.files[i];
		struct stanza_block block;
		struct err err = ERR_INIT;
		int r;

		if (!f->exists)
			continue;
		r = stanza_find(f->text ? f->text : "", f->len, f->doc, p->handler, &block, &err);
		if (r < 0)
			return report_set(rep, REASON_E_BROKEN_BLOCK, "%s: %s", f->path, err.text);
		if (r == 0)
			continue;
		if (p->has_block || (p->daemon.major < 2 && i != winning)) {
			report_note(rep,
				"%s, line %u: there is a reaper block that is not the one that "
				"counts; undo takes both out",
				f->path, block.line);
			continue;
		}
		p->has_block = true;
		p->block = block;
		p->target = i;
		p->drop_in = p->drop_in || drop_in_is_ours(p, f->path);
	}
	return 0;
}

static void finish_hash(struct sha256 s, const char *rest, size_t len, char ret[SHA256_HEX_SIZE])
{
	uint8_t digest[SHA256_SIZE];

	sha256_update(&s, rest, len);
	sha256_final(&s, digest);
	sha256_to_hex(digest, ret);
}

/* Up to the place of the change both texts are the same bytes. */
static void hash_both(const struct plan *p, struct report *rep)
{
	const struct conf_file *f = plan_file(p);
	size_t same = f->exists ? p->at : 0;
	struct sha256 s;

	sha256_init(&s);
	sha256_update(&s, p->after, same);
	finish_hash(s, p->after + same, p->after_len - same, rep->hash_after);
	if (f->exists)
		finish_hash(s, f->text + same, f->len - same, rep->hash_before);
}

/* The chosen bytes against the ones that are there. */
static int conclude(struct plan *p, struct report *rep)
{
	const struct conf_file *f = plan_file(p);

	p->create = !f->exists;
	(void)snprintf(rep->strategy, sizeof(rep->strategy), "%s",
		p->source    ? "source"
		: p->drop_in ? "drop-in"
		: p->create  ? "create"
			     : "block");
	(void)snprintf(rep->config, sizeof(rep->config), "%s", f->path);
	rep->version = p->version;
	hash_both(p, rep);
	if (f->doc && (toml_foreign_line(f->doc) || toml_has_bom(f->doc)))
		report_warn(rep,
			"%s has a byte order mark or bytes in comments that containerd 2.x "
			"refuses: correct it before an upgrade",
			f->path);
	if (f->exists && f->len == p->after_len && memcmp(f->text, p->after, f->len) == 0)
		return report_set(rep, REASON_OK, "%s: the runtime \"%s\" is configured", f->path,
			p->handler);
	p->write = true;
	return report_set(rep, REASON_CHANGE, "%s: the runtime \"%s\" would be %s%s", f->path,
		p->handler, p->has_block ? "updated" : "added", p->create ? " in a new file" : "");
}

static int conclude_rendered(struct plan *p, struct report *rep)
{
	(void)snprintf(rep->strategy, sizeof(rep->strategy), "source");
	(void)snprintf(rep->config, sizeof(rep->config), "%s", plan_file(p)->path);
	return report_set(rep, REASON_OK, "%s: the runtime \"%s\" is configured",
		plan_file(p)->path, p->handler);
}

static int plan_change(
	const struct cli_args *args, struct plan *p, struct baseline *b, struct report *rep)
{
	const struct toml_node *ours;
	struct err err = ERR_INIT;
	int r = cut_block(p, b, rep);

	if (r != 0)
		return r;
	b->own_version = version_in_block(p);
	r = plan_check_files(args, p, b, rep);
	if (r != 0)
		return r;
	if (p->has_block && !p->block.intact && !args->force)
		return plan_judge_edited(p, rep);
	r = check_baseline(p, b, rep);
	if (r != 0)
		return r;
	ours = toml_get(b->dump, b->runtimes, p->handler);
	if (ours && p->source && p->has_block && stanza_matches(b->dump, ours))
		return conclude_rendered(p, rep); /* without its markers, as k0s does it */
	if (ours || plan_entry_in(p, b->file)) {
		r = plan_judge_foreign(p, b, ours, rep);
		if (r == 0 && rep->reason == REASON_OK)
			r = plan_check_forms(p, b, rep);
		if (r != 0 || rep->reason != REASON_OK)
			return r;
	}
	r = oracle_choose(p, b, &err);
	if (r < 0)
		return report_set(rep, REASON_E_INTERNAL, "%s", err.text);
	if (r == 0)
		return report_set(rep, REASON_E_NO_PROOF,
			"%s: no way to add the runtime changes nothing else: %s",
			plan_file(p)->path, err.text);
	return conclude(p, rep);
}

/* Where a new block goes: a file of our own, or the end of the file that wins. */
static int choose_place(const struct cli_args *args, struct plan *p, struct report *rep)
{
	enum strategy want = args->strategy;
	struct err why = ERR_INIT;
	int r = 0;

	if (p->has_block) {
		(void)snprintf(rep->why, sizeof(rep->why), "the block stands there already");
		return 0;
	}
	if (want == STRATEGY_BLOCK)
		(void)err_setf(&why, ERR_PRECONDITION, EINVAL, "--strategy block was given");
	else
		r = drop_in_choose(p, &why);
	if (r < 0)
		return report_set(rep, REASON_E_INTERNAL, "%s", why.text);
	if (r == 0 && want == STRATEGY_DROP_IN)
		return report_set(
			rep, REASON_E_NO_DROP_IN, "a file of its own cannot be used: %s", why.text);
	if (r == 0)
		(void)snprintf(rep->why, sizeof(rep->why), "no file of its own: %.400s", why.text);
	else
		(void)snprintf(rep->why, sizeof(rep->why),
			"%s imports it and containerd %s merges what it imports, so that the file "
			"itself stays untouched",
			p->set.files[0].path, p->daemon.version);
	return 0;
}

static int plan_here(const struct cli_args *args, struct plan *p, struct report *rep)
{
	struct baseline b = {0};
	int r = plan_change(args, p, &b, rep);

	baseline_done(&b);
	return r;
}

/*
 * Where the daemon's file is rendered by a distribution: a file of our own if it imports a
 * directory, else the source that it renders it from.
 */
static int use_source(const struct cli_args *args, struct plan *p, struct report *rep)
{
	const struct distro *distro = args->config ? NULL : distro_of(&p->daemon);
	struct err err = ERR_INIT;

	if (!distro)
		return 0;
	if (p->has_block && p->drop_in)
		return 0;
	if (!p->has_block && args->strategy != STRATEGY_BLOCK && drop_in_choose(p, &err) > 0) {
		(void)snprintf(rep->why, sizeof(rep->why), "%s renders %s, which imports it",
			distro->name, p->daemon.config);
		return 0;
	}
	p->has_block = false;
	if (source_use(p, distro, rep, &err) < 0)
		return report_set(rep, REASON_E_GENERATED_FILE,
			"%s renders %s itself, and the source of it is %s: %s", distro->name,
			p->daemon.config, distro->recipe, err.text);
	(void)snprintf(rep->why, sizeof(rep->why),
		"%s renders %s from this file; restarting %s does it", distro->name,
		p->daemon.config, p->daemon.unit);
	return find_block(p, rep);
}

static int plan_target(const struct cli_args *args, struct plan *p, struct report *rep)
{
	int r;

	p->target = plan_winning_file(p);
	if (p->target != 0)
		report_note(rep,
			"%s is the last file with a CRI section, and containerd 1.x takes all of "
			"it from there",
			plan_file(p)->path);
	r = find_block(p, rep);
	if (r == 0)
		r = use_source(args, p, rep);
	if (r == 0 && !p->source && !(p->drop_in && !p->has_block))
		r = choose_place(args, p, rep);
	if (r != 0)
		return r;
	r = plan_here(args, p, rep);
	if (rep->reason != REASON_E_NO_PROOF || !p->drop_in || p->has_block ||
		args->strategy == STRATEGY_DROP_IN)
		return r;
	(void)snprintf(rep->why, sizeof(rep->why), "no file of its own: %.400s", rep->message);
	drop_in_forget(p);
	(void)report_set(rep, REASON_OK, " ");
	return plan_here(args, p, rep);
}

int plan_make(const struct cli_args *args, struct plan *p, struct report *rep)
{
	int r;

	p->handler = plan_handler(args);
	(void)snprintf(rep->handler, sizeof(rep->handler), "%s", p->handler);
	if (!stanza_is_handler(p->handler))
		return report_set(rep, REASON_E_HANDLER,
			"\"%s\" cannot be a handler's name: lower-case letters, digits and '-', at "
			"most 63",
			p->handler);
	r = load(args, p, rep);
	if (r == 0 && rep->reason == REASON_OK)
		r = plan_target(args, p, rep);
	if (args->strict && rep->warnings > 0 && !report_is_error(rep->reason)) {
		p->write = false;
		r = report_set(
			rep, REASON_E_STRICT, "--strict: %s", rep->notes[rep->first_warning]);
	}
	return r;
}
