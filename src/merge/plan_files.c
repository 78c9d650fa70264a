#include <stdio.h>
#include "base/macro.h"
#include "base/str.h"
#include "merge/plan_impl.h"

const char *const cri_ids[CRI_IDS] = {CRI_ID_V3, CRI_ID_V2, CRI_ID_V1};

const struct toml_node *plan_runtimes(
	const struct toml_doc *doc, const struct toml_node *root, const char *plugin)
{
	return toml_find(doc, root, "plugins", plugin, "containerd", "runtimes", NULL);
}

size_t plan_winning_file(const struct plan *p)
{
	if (p->daemon.major >= 2)
		return 0;
	for (size_t i = p->set.n; i-- > 1;) {
		const struct conf_file *f = &p->set.files[i];

		for (size_t c = 0; c < CRI_IDS; c++) {
			if (toml_find(f->doc, toml_root(f->doc), "plugins", cri_ids[c], NULL))
				return i;
		}
	}
	return 0;
}

const struct toml_node *plan_entry_in(const struct plan *p, const struct toml_doc *doc)
{
	for (size_t i = 0; i < CRI_IDS; i++) {
		const struct toml_node *n =
			toml_get(doc, plan_runtimes(doc, toml_root(doc), cri_ids[i]), p->handler);

		if (n)
			return n;
	}
	return NULL;
}

static bool is_blank(const struct toml_doc *doc)
{
	return !doc || toml_root(doc)->count == 0;
}

static int refuse_unversioned(
	const struct cli_args *args, struct plan *p, const struct conf_file *f, struct report *rep)
{
	/* a block that stands there was allowed when it was written */
	if (!args->allow_unversioned && !p->has_block)
		return report_set(rep, REASON_E_UNVERSIONED,
			"%s has no version or version 1: what a runtime table is called in it "
			"depends on the release of containerd, so that a table written now may be "
			"dead after the next upgrade",
			f->path);
	p->version = 1;
	report_warn(rep,
		"%s has no version or version 1: the next upgrade of containerd may read the "
		"table no more; run reaperctl containerd verify after it",
		f->path);
	return 0;
}

/* An imported file that says nothing has the version of the root. */
static int check_version(const struct cli_args *args, struct plan *p, const struct conf_file *f,
	const struct toml_doc *doc, bool root, struct report *rep)
{
	const struct toml_node *v = doc ? toml_get(doc, toml_root(doc), "version") : NULL;
	unsigned max = daemon_max_config_version(&p->daemon);

	if (!v && (is_blank(doc) || !root))
		return 0;
	if (!v || (v->type == TOML_INTEGER && v->integer < 2))
		return refuse_unversioned(args, p, f, rep);
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
	static const char *const ids[] = {
		CRI_ID_V1, CRI_ID_V2, CRI_ID_V3, "io.containerd.cri.v1.images"};
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

/* Whether tables of that name can have an effect in a file of the plan's version; others may have
 * any form. */
static bool may_count(const struct plan *p, const char *id)
{
	if (str_eq(id, CRI_ID_V3))
		return p->daemon.major >= 2;
	return p->version <= (str_eq(id, CRI_ID_V2) ? 2U : 1U);
}

static bool reads_otherwise(const struct plan *p, const struct toml_node *n)
{
	return (n->flags & TOML_ESCAPED) && p->daemon.major < 2;
}

static int refuse_escaped(const struct conf_file *f, const struct toml_node *n, struct report *rep)
{
	return report_set(rep, REASON_E_ESCAPED_KEY,
		"%s, line %u: \"%s\" is spelled with an escape sequence, which containerd 1.x does "
		"not read in a header",
		f->path, n->line, n->key);
}

/* Forms beside which a [header] of ours could not stand, or that the release reads as other names.
 */
int plan_check_forms(const struct plan *p, const struct baseline *b, struct report *rep)
{
	const struct conf_file *f = p->source ? &p->set.files[0] : plan_file(p);
	const struct toml_doc *doc = p->source ? f->doc : b->file;
	const struct toml_node *plugins = toml_get(doc, toml_root(doc), "plugins");
	static const char *const below[] = {"containerd", "runtimes"};

	if (plugins && (plugins->type != TOML_TABLE || (plugins->flags & TOML_INLINE)))
		return report_set(rep, REASON_E_INLINE_RUNTIMES,
			"%s, line %u: plugins is an inline table, to which nothing can be added",
			f->path, plugins->line);
	for (size_t c = 0; c < CRI_IDS; c++) {
		const struct toml_node *at = toml_get(doc, plugins, cri_ids[c]);

		if (!may_count(p, cri_ids[c]))
			continue;
		for (size_t i = 0; at; i++) {
			if (reads_otherwise(p, at))
				return refuse_escaped(f, at, rep);
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

/* A file without a version gets the one that its daemon has known longest. */
static unsigned fresh_version(const struct plan *p, const struct baseline *b)
{
	if (b->own_version)
		return b->own_version;
	return p->daemon.major >= 2 ? 3 : 2;
}

int plan_check_files(
	const struct cli_args *args, struct plan *p, const struct baseline *b, struct report *rep)
{
	const struct conf_file *f = &p->set.files[p->target];
	int r = 0;

	for (size_t i = 0; r == 0 && i < p->set.n; i++) {
		if (p->set.files[i].doc)
			r = check_disabled(&p->set.files[i], p->set.files[i].doc, rep);
	}
	if (r == 0 && p->target != 0)
		r = check_version(args, p, &p->set.files[0], p->set.files[0].doc, true, rep);
	if (r == 0 && !b->own_version)
		r = check_version(args, p, f, b->file, p->target == 0, rep);
	if (r != 0)
		return r;
	if (p->version == 0)
		p->version = p->put_version = fresh_version(p, b);
	else if (p->drop_in || b->own_version)
		p->put_version = p->version;
	if (p->put_version == 1) /* there is no such thing to say */
		p->put_version = 0;
	/* what has our runtime already needs no header */
	return plan_entry_in(p, b->file) ? 0 : plan_check_forms(p, b, rep);
}
