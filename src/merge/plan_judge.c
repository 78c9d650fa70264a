#include <stdio.h>
#include <stdlib.h>
#include "base/cleanup.h"
#include "base/str.h"
#include "merge/plan_impl.h"

static int refuse_dead(const struct plan *p, const char *place, struct report *rep)
{
	return report_set(rep, REASON_E_CONFLICT,
		"%s: a runtime \"%s\" is written there that has no effect (its table has a name "
		"that containerd %s does not read in this file)",
		place, p->handler, p->daemon.version);
}

/* Which line of which file says it: the one that would be changed, or another one of the set. */
static const struct toml_node *find_entry(
	const struct plan *p, const struct baseline *b, char *place, size_t size)
{
	const struct toml_node *here = plan_entry_in(p, b->file), *entry = here;
	const char *path = plan_file(p)->path;

	for (size_t i = 0; i < p->set.n && !entry; i++) {
		path = p->set.files[i].path;
		entry = p->set.files[i].doc ? plan_entry_in(p, p->set.files[i].doc) : NULL;
	}
	if (entry)
		(void)snprintf(place, size, "%s, line %u", path, entry->line);
	else
		(void)snprintf(place, size, "%s or a file it imports", p->set.files[0].path);
	return here;
}

int plan_judge_foreign(const struct plan *p, const struct baseline *b, const struct toml_node *ours,
	struct report *rep)
{
	char place[600];
	const struct toml_node *here = find_entry(p, b, place, sizeof(place));
	const char *type = toml_get_string(b->dump, ours, "runtime_type");

	if (!ours && stanza_is_ours(b->file, here)) {
		report_note(rep,
			"%s: a runtime \"%s\" stands there under a name that containerd %s does "
			"not "
			"read in this file; it has no effect and can be taken out",
			place, p->handler, p->daemon.version);
		return 0;
	}
	if (!ours)
		return refuse_dead(p, place, rep);
	if (!type || !str_eq(type, STANZA_TYPE))
		return report_set(rep, REASON_E_CONFLICT,
			"%s: a runtime \"%s\" with runtime_type \"%s\" stands there", place,
			p->handler, type ? type : "");
	(void)snprintf(rep->strategy, sizeof(rep->strategy), "adopt");
	if (!stanza_has_annotations(b->dump, ours))
		report_warn(rep,
			"the pods' annotations reaper.runtime/* are not passed on: add "
			"pod_annotations = [\"" STANZA_ANNOTATIONS
			"\"] and container_annotations = [\"" STANZA_ANNOTATIONS
			"\"] to that table and restart containerd, or take the table out and run "
			"reaperctl containerd apply");
	else if (!stanza_matches(b->dump, ours))
		report_note(rep, "the existing entry has settings beyond ours; they are kept");
	return report_set(rep, REASON_ADOPTED,
		"%s: the runtime \"%s\" is already configured by somebody else, and is left as it "
		"is",
		place, p->handler);
}

int plan_judge_edited(struct plan *p, struct report *rep)
{
	const struct conf_file *f = plan_file(p);
	_cleanup_(toml_doc_freep) struct toml_doc *dump = NULL;
	_cleanup_free_ char *text = NULL;
	struct err err = ERR_INIT;
	const struct toml_node *ours;

	if (source_dump(p, NULL, 0, f->text + p->block.begin, p->block.end - p->block.begin, &text,
		    &dump, &err) < 0)
		return report_set(rep, REASON_E_EDITED_BLOCK,
			"%s, line %u: the reaper block was edited: %s", f->path, p->block.line,
			err.text);
	ours = plan_entry_in(p, dump);
	if (!stanza_is_ours(dump, ours))
		return report_set(rep, REASON_E_EDITED_BLOCK,
			"%s, line %u: the reaper block was edited, and the runtime no longer works",
			f->path, p->block.line);
	report_warn(rep, "%s, line %u: the reaper block was edited by hand and is kept as it is%s",
		f->path, p->block.line,
		stanza_has_annotations(dump, ours) ? ""
						   : "; without " STANZA_ANNOTATIONS
						     " in its lists the pods' annotations are not "
						     "passed on");
	(void)snprintf(
		rep->strategy, sizeof(rep->strategy), "%s", p->drop_in ? "drop-in" : "block");
	return report_set(rep, REASON_OK, "the runtime \"%s\" is configured", p->handler);
}
