#include "node/plan.h"

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
#include "node/compare.h"
#include "node/containerd_impl.h"
#include "node/distro.h"
#include "node/plan_impl.h"

static const char *const cri_plugins[] = {
	"io.containerd.cri.v1.runtime", /* 2.x */
	"io.containerd.grpc.v1.cri",    /* 1.x, and 2.x files of version 2 */
	"cri",                          /* version 1 */
};

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
	toml_doc_free(b->file);
	toml_doc_free(b->dump);
	free(b->text);
	free(b->dump_text);
}

const struct conf_file *plan_file(const struct plan *p)
{
	return &p->set.files[p->target];
}

const struct toml_node *plan_runtimes(
	const struct toml_doc *doc, const struct toml_node *root, const char *plugin)
{
	return toml_find(doc, root, "plugins", plugin, "containerd", "runtimes", NULL);
}

static int internal(struct report *rep, int errnum)
{
	return report_set(rep, REASON_E_INTERNAL, "%s", strerrordesc_np(errnum));
}

/* ---- what can be told from the files alone ---- */

/* On 1.x the last file with a CRI section owns all of it; 2.x merges. */
static size_t winning_file(const struct plan *p)
{
	if (p->daemon.major >= 2)
		return 0;
	for (size_t i = p->set.n; i-- > 1;) {
		const struct conf_file *f = &p->set.files[i];

		for (size_t c = 0; c < ARRAY_LEN(cri_plugins); c++) {
			if (toml_find(f->doc, toml_root(f->doc), "plugins", cri_plugins[c], NULL))
				return i;
		}
	}
	return 0;
}

static bool is_blank(const struct toml_doc *doc)
{
	return !doc || toml_root(doc)->count == 0;
}

static int check_version(struct plan *p, const struct conf_file *f, const struct toml_doc *doc,
	bool root, struct report *rep)
{
	const struct toml_node *v = doc ? toml_get(doc, toml_root(doc), "version") : NULL;
	unsigned max = daemon_max_config_version(&p->daemon);

	if (!v && (is_blank(doc) || !root))
		return 0;
	if (!v || (v->type == TOML_INTEGER && v->integer < 2))
		return report_set(rep, REASON_E_UNVERSIONED,
			"%s has no version or version 1: what a runtime table is called in it "
			"depends on "
			"the release of containerd, so that a table written now may be dead after "
			"the next "
			"upgrade",
			f->path);
	if (v->type != TOML_INTEGER)
		return report_set(rep, REASON_E_VERSION,
			"%s, line %u: version is no integer; containerd refuses the file", f->path,
			v->line);
	if (v->integer > (int64_t)max)
		return report_set(rep, REASON_E_VERSION,
			"%s, line %u: version %lld, but containerd %s reads versions up to %u",
			f->path, v->line, (long long)v->integer, p->daemon.version, max);
	p->version = (unsigned)v->integer;
	return 0;
}

static int check_disabled(const struct conf_file *f, const struct toml_doc *doc, struct report *rep)
{
	static const char *const ids[] = {"cri", "io.containerd.grpc.v1.cri",
		"io.containerd.cri.v1.runtime", "io.containerd.cri.v1.images"};
	const struct toml_node *list = toml_get(doc, toml_root(doc), "disabled_plugins");

	if (!list || list->type != TOML_ARRAY)
		return 0;
	for (const struct toml_node *n = list->first; n; n = n->next) {
		for (size_t i = 0; i < ARRAY_LEN(ids); i++) {
			if (n->type == TOML_STRING && str_eq(n->text, ids[i]))
				return report_set(rep, REASON_E_CRI_DISABLED,
					"%s, line %u: disabled_plugins has \"%s\": Kubernetes "
					"cannot use this "
					"containerd at all",
					f->path, n->line, n->text);
		}
	}
	return 0;
}

/* Forms under which a [header] of ours could not stand, or would be read differently by a release.
 */
static int check_forms(const struct conf_file *f, const struct toml_doc *doc, struct report *rep)
{
	const struct toml_node *plugins = toml_get(doc, toml_root(doc), "plugins");
	static const char *const below[] = {"containerd", "runtimes"};

	if (plugins && (plugins->type != TOML_TABLE || (plugins->flags & TOML_INLINE)))
		return report_set(rep, REASON_E_INLINE_RUNTIMES,
			"%s, line %u: plugins is an inline table, to which nothing can be added",
			f->path, plugins->line);
	for (const struct toml_node *n = plugins ? plugins->first : NULL; n; n = n->next) {
		if (n->flags & TOML_ESCAPED)
			return report_set(rep, REASON_E_ESCAPED_KEY,
				"%s, line %u: \"%s\" is spelled with an escape sequence, which "
				"containerd 1.x "
				"and 2.x read differently",
				f->path, n->line, n->key);
	}
	for (size_t c = 0; c < ARRAY_LEN(cri_plugins); c++) {
		const struct toml_node *at = toml_get(doc, plugins, cri_plugins[c]);

		for (size_t i = 0; at; i++) {
			if (at->type != TOML_TABLE || (at->flags & TOML_INLINE))
				return report_set(rep, REASON_E_INLINE_RUNTIMES,
					"%s, line %u: \"%s\" is an inline value, to which the "
					"runtime cannot be "
					"added",
					f->path, at->line, at->key);
			at = i < ARRAY_LEN(below) ? toml_get(doc, at, below[i]) : NULL;
		}
	}
	return 0;
}

/* Our handler in the file without our block, under any plugin's name; *ret_line is where. */
static bool stands_in_file(const struct toml_doc *doc, uint32_t *ret_line)
{
	for (size_t i = 0; i < ARRAY_LEN(cri_plugins); i++) {
		const struct toml_node *runtimes =
			plan_runtimes(doc, toml_root(doc), cri_plugins[i]);
		const struct toml_node *n = toml_get(doc, runtimes, STANZA_HANDLER);

		if (n) {
			*ret_line = n->line;
			return true;
		}
	}
	return false;
}

/* ---- the baseline: the daemon's view without our block ---- */

static int cut_block(struct plan *p, struct baseline *b, struct report *rep)
{
	const struct conf_file *f = plan_file(p);
	struct err err = ERR_INIT;
	size_t cut = p->has_block ? p->block.end - p->block.begin : 0;

	b->len = f->len - cut;
	b->text = malloc(b->len + 1);
	if (!b->text)
		return internal(rep, ENOMEM);
	if (p->has_block) {
		memcpy(b->text, f->text, p->block.begin);
		memcpy(b->text + p->block.begin, f->text + p->block.end, f->len - p->block.end);
	} else if (f->len > 0) {
		memcpy(b->text, f->text, f->len);
	}
	b->text[b->len] = '\0';
	if (toml_parse(f->path, b->text, b->len, TOML_LENIENT, &b->file, &err) < 0)
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

	if (!plan_file(p)->exists)
		return confset_dump(
			&p->daemon, &p->set, p->target, NULL, 0, &b->dump_text, &b->dump, err);
	r = buf_append(&text, b->text, p->has_block ? p->block.begin : b->len);
	if (r == 0 && b->own_version)
		r = buf_printf(&text, "\nversion = %u\n", b->own_version);
	if (r == 0 && p->has_block)
		r = buf_append_str(&text, b->text + p->block.begin);
	if (r < 0)
		return err_sysf(err, -r, "containerd config dump");
	return confset_dump(&p->daemon, &p->set, p->target, text.data ? text.data : "", text.len,
		&b->dump_text, &b->dump, err);
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

static int check_baseline(struct plan *p, struct baseline *b, struct report *rep)
{
	const struct toml_node *root, *cri = NULL;
	struct err err = ERR_INIT;
	const char *name;

	if (dump_baseline(p, b, &err) < 0)
		return report_set(rep, REASON_E_BASELINE,
			"containerd does not accept its present configuration: %s", err.text);
	(void)snprintf(rep->proof, sizeof(rep->proof), "oracle");
	root = toml_root(b->dump);
	for (size_t i = 0; i < ARRAY_LEN(cri_plugins) && !cri; i++) {
		b->dump_plugin = cri_plugins[i];
		cri = toml_find(b->dump, root, "plugins", cri_plugins[i], "containerd", NULL);
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
	return 0;
}

/* ---- a runtime of our name that somebody else wrote, or an edited block ---- */

static int judge_foreign(const struct plan *p, const struct baseline *b,
	const struct toml_node *ours, struct report *rep)
{
	const char *type = toml_get_string(b->dump, ours, "runtime_type");
	uint32_t line = 0;
	bool here = stands_in_file(b->file, &line);
	char place[600];

	(void)snprintf(place, sizeof(place), here ? "%s, line %u" : "%s or a file it imports",
		plan_file(p)->path, line);
	if (!ours)
		return report_set(rep, REASON_E_CONFLICT,
			"%s: a runtime \"" STANZA_HANDLER
			"\" is written there that has no effect (its table "
			"has a name that containerd %s does not read in this file)",
			place, p->daemon.version);
	if (!type || !str_eq(type, STANZA_TYPE))
		return report_set(rep, REASON_E_CONFLICT,
			"%s: a runtime \"" STANZA_HANDLER
			"\" with runtime_type \"%s\" stands there",
			place, type ? type : "");
	(void)snprintf(rep->strategy, sizeof(rep->strategy), "adopt");
	if (!stanza_matches(b->dump, ours))
		report_note(rep, "annotations reaper.runtime/* or other settings differ in the "
				 "existing entry; for "
				 "all of Reaper's annotations add pod_annotations and "
				 "container_annotations = "
				 "[\"" STANZA_ANNOTATIONS "\"] to it");
	return report_set(rep, REASON_ADOPTED,
		"%s: the runtime \"" STANZA_HANDLER
		"\" is already configured by somebody else, and is "
		"left as it is",
		place);
}

static int judge_edited(struct plan *p, struct report *rep)
{
	const struct conf_file *f = plan_file(p);
	_cleanup_(toml_doc_freep) struct toml_doc *dump = NULL;
	_cleanup_free_ char *text = NULL;
	struct err err = ERR_INIT;
	const char *type = NULL;

	if (confset_dump(&p->daemon, &p->set, p->target, NULL, 0, &text, &dump, &err) < 0)
		return report_set(rep, REASON_E_EDITED_BLOCK,
			"%s, line %u: the reaper block was edited: %s", f->path, p->block.line,
			err.text);
	for (size_t i = 0; i < ARRAY_LEN(cri_plugins) && !type; i++)
		type = toml_get_string(dump,
			toml_get(dump, plan_runtimes(dump, toml_root(dump), cri_plugins[i]),
				STANZA_HANDLER),
			"runtime_type");
	if (!type || !str_eq(type, STANZA_TYPE))
		return report_set(rep, REASON_E_EDITED_BLOCK,
			"%s, line %u: the reaper block was edited, and the runtime no longer works",
			f->path, p->block.line);
	report_note(rep, "%s, line %u: the reaper block was edited by hand and is kept as it is",
		f->path, p->block.line);
	(void)snprintf(rep->strategy, sizeof(rep->strategy), "block");
	return report_set(rep, REASON_OK, "the runtime \"" STANZA_HANDLER "\" is configured");
}

/* ---- the steps ---- */

static int load(const struct cli_args *args, struct plan *p, struct report *rep)
{
	const struct distro *distro;
	struct err err = ERR_INIT;
	bool imports;
	int r;

	if (daemon_resolve(args, &p->daemon, &err) < 0)
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
	distro = distro_of(&p->daemon);
	if (distro && !args->config)
		return report_set(rep, REASON_E_GENERATED_FILE,
			"%s renders %s itself; its source is %s", distro->name, p->daemon.config,
			distro->source);
	r = confset_load(&p->daemon, &p->set, &imports, &err);
	if (r < 0)
		return report_set(rep,
			imports        ? REASON_E_IMPORTS
			: r == -EINVAL ? REASON_E_SYNTAX
				       : REASON_E_FILE,
			"%s", err.text);
	if (!p->set.files[0].exists && p->daemon.config_explicit)
		return report_set(rep, REASON_E_FILE,
			"%s: does not exist, but containerd is started with --config and would not "
			"start",
			p->set.files[0].path);
	return 0;
}

static int find_block(struct plan *p, struct report *rep)
{
	const struct conf_file *f = plan_file(p);
	struct err err = ERR_INIT;
	int r;

	if (!f->exists)
		return 0;
	r = stanza_find(f->text ? f->text : "", f->doc, &p->block, &err);
	if (r < 0)
		return report_set(rep, REASON_E_BROKEN_BLOCK, "%s: %s", f->path, err.text);
	p->has_block = r > 0;
	return 0;
}

static int check_files(struct plan *p, const struct baseline *b, struct report *rep)
{
	const struct conf_file *f = plan_file(p);
	int r = 0;

	for (size_t i = 0; r == 0 && i < p->set.n; i++) {
		if (p->set.files[i].doc)
			r = check_disabled(&p->set.files[i], p->set.files[i].doc, rep);
	}
	/* the root's version counts for an imported file that has none */
	if (r == 0 && p->target != 0)
		r = check_version(p, &p->set.files[0], p->set.files[0].doc, true, rep);
	if (r == 0 && !b->own_version)
		r = check_version(p, f, b->file, p->target == 0, rep);
	return r ? r : check_forms(f, b->file, rep);
}

/* The chosen bytes against the ones that are there. */
static int conclude(struct plan *p, struct report *rep)
{
	const struct conf_file *f = plan_file(p);

	p->create = !f->exists;
	(void)snprintf(rep->strategy, sizeof(rep->strategy), "%s", p->create ? "create" : "block");
	(void)snprintf(rep->config, sizeof(rep->config), "%s", f->path);
	sha256_hex(p->after, p->after_len, rep->hash_after);
	if (f->exists)
		sha256_hex(f->text, f->len, rep->hash_before);
	if (f->doc && (toml_foreign_line(f->doc) || toml_has_bom(f->doc)))
		report_note(rep,
			"%s has a byte order mark or bytes in comments that containerd 2.x "
			"refuses: "
			"correct it before an upgrade",
			f->path);
	if (f->exists && f->len == p->after_len && memcmp(f->text, p->after, f->len) == 0)
		return report_set(rep, REASON_OK,
			"%s: the runtime \"" STANZA_HANDLER "\" is configured", f->path);
	p->write = true;
	return report_set(rep, REASON_CHANGE,
		"%s: the runtime \"" STANZA_HANDLER "\" would be %s%s", f->path,
		p->has_block ? "updated" : "added", p->create ? " in a new file" : "");
}

static int plan_change(
	const struct cli_args *args, struct plan *p, struct baseline *b, struct report *rep)
{
	const struct toml_node *ours;
	struct err err = ERR_INIT;
	uint32_t line;
	int r = cut_block(p, b, rep);

	if (r != 0)
		return r;
	b->own_version = version_in_block(p);
	r = check_files(p, b, rep);
	if (r != 0)
		return r;
	if (p->has_block && !p->block.intact && !args->force)
		return judge_edited(p, rep);
	r = check_baseline(p, b, rep);
	if (r != 0)
		return r;
	ours = toml_get(b->dump, b->runtimes, STANZA_HANDLER);
	if (ours || stands_in_file(b->file, &line))
		return judge_foreign(p, b, ours, rep);
	r = oracle_choose(p, b, &err);
	if (r < 0)
		return report_set(rep, REASON_E_INTERNAL, "%s", err.text);
	if (r == 0)
		return report_set(rep, REASON_E_NO_PROOF,
			"%s: no way to add the runtime changes nothing else: %s",
			plan_file(p)->path, err.text);
	return conclude(p, rep);
}

int plan_make(const struct cli_args *args, struct plan *p, struct report *rep)
{
	struct baseline b = {0};
	int r = load(args, p, rep);

	if (r != 0 || rep->reason != REASON_OK)
		return r;
	p->target = winning_file(p);
	if (p->target != 0)
		report_note(rep,
			"%s is the last file with a CRI section, and containerd 1.x takes all of "
			"it from "
			"there",
			plan_file(p)->path);
	r = find_block(p, rep);
	if (r == 0 && rep->reason == REASON_OK)
		r = plan_change(args, p, &b, rep);
	baseline_done(&b);
	return r;
}
