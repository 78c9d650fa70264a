#include "merge/undo_cut.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/buf.h"
#include "base/cleanup.h"
#include "base/str.h"
#include "merge/compare.h"

/* Text without [begin, end), with `keep` in its place. */
static int replace_range(struct undo *u, const struct conf_file *f, size_t begin, size_t end,
	const char *keep, struct report *rep)
{
	struct buf b = BUF_INIT(CONFSET_FILE_MAX + 64UL);
	bool joined = *keep && begin > 0 && f->text[begin - 1] != '\n';

	if (buf_append(&b, f->text, begin) < 0 || buf_append_str(&b, joined ? "\n" : "") < 0 ||
		buf_append_str(&b, keep) < 0 || buf_append(&b, f->text + end, f->len - end) < 0) {
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

/* Differences that are none: our runtime, and zero values that come or go. */
static int judge_loss(
	void *arg, const char *path, const struct toml_node *a, const struct toml_node *b)
{
	const struct undo *u = arg;
	size_t len = strlen(path), name = strlen(u->plan.handler);

	if (str_eq(path, "imports") || (toml_is_zero(a) && toml_is_zero(b)))
		return 0;
	return len > name && str_eq(path + len - name, u->plan.handler) &&
			       path[len - name - 1] == '.'
		       ? 0
		       : 1;
}

/* Whether the daemon would miss anything but our runtime if the file had these bytes. */
static bool loses_more(struct undo *u, const char *text, size_t len)
{
	_cleanup_(toml_doc_freep) struct toml_doc *now = NULL, *then = NULL;
	_cleanup_free_ char *now_text = NULL, *then_text = NULL;
	const struct plan *p = &u->plan;

	if (!p->daemon.program ||
		confset_dump(&p->daemon, &p->set, p->target, NULL, 0, &now_text, &now, NULL) < 0 ||
		confset_dump(&p->daemon, &p->set, p->target, text, len, &then_text, &then, NULL) <
			0)
		return false;
	return toml_compare(now, then, judge_loss, u) == 1;
}

/*
 * The edited block without its markers and our table: a runtime that was repeated in it and changed
 * by somebody since (SystemdCgroup of runc) has become theirs.
 */
static int keep_others(struct undo *u, const struct conf_file *f, struct report *rep)
{
	const struct stanza_block *b = &u->plan.block;
	struct buf out = BUF_INIT(CONFSET_FILE_MAX + 64UL);
	const struct toml_header *headers;
	size_t n, at = b->body_begin;
	int bad = buf_append(&out, f->text, b->begin);

	if (b->gap > 0)
		bad |= buf_append_str(&out, "\n");
	headers = toml_headers(f->doc, &n);
	for (size_t i = 0; i < n; i++) {
		size_t end = headers[i].end < b->body_end ? headers[i].end : b->body_end;

		if (headers[i].begin < at || headers[i].begin >= b->body_end ||
			!stanza_table_of(headers[i].table, u->plan.handler))
			continue;
		bad |= buf_append(&out, f->text + at, headers[i].begin - at);
		at = end;
	}
	bad |= buf_append(&out, f->text + at, b->body_end - at);
	bad |= buf_append(&out, f->text + b->end, f->len - b->end);
	if (bad) {
		buf_done(&out);
		return report_set(rep, REASON_E_INTERNAL, "out of memory");
	}
	free(u->text);
	u->text = out.data;
	u->len = out.len;
	report_note(rep, "a runtime beside ours in the block was changed by somebody, and is kept");
	return 0;
}

/* A block that said the file's version leaves it behind if the file has come to live without us. */
static int keep_version(
	struct undo *u, const struct conf_file *f, const struct toml_node *v, struct report *rep)
{
	const struct stanza_block *b = &u->plan.block;
	_cleanup_(toml_doc_freep) struct toml_doc *rest = NULL;
	char keep[64];

	if (toml_parse(f->path, u->text, u->len, TOML_LENIENT, &rest, NULL) < 0 ||
		toml_root(rest)->count == 0)
		return 0;
	(void)snprintf(keep, sizeof(keep), "version = %lld\n", (long long)v->integer);
	return replace_range(u, f, b->begin, b->end, keep, rep);
}

static int take_rest(struct undo *u, const struct conf_file *f, struct report *rep)
{
	struct stanza_rest rest = {.text = BUF_INIT(CONFSET_FILE_MAX + 64UL)};

	if (stanza_cut(f->text, f->len, f->doc, u->plan.handler, &u->plan.block, &rest) < 0) {
		buf_done(&rest.text);
		return report_set(rep, REASON_E_INTERNAL, "out of memory");
	}
	free(u->text);
	u->text = rest.text.data;
	u->len = rest.text.len;
	return 0;
}

int undo_cut_block(struct undo *u, struct report *rep)
{
	const struct conf_file *f = plan_file(&u->plan);
	const struct stanza_block *b = &u->plan.block;
	const struct toml_node *v = toml_get(f->doc, toml_root(f->doc), "version");
	bool ours = drop_in_is_ours(&u->plan, f->path) ||
		    (u->journal.created && str_eq(u->journal.config, f->name));
	int r;

	u->way = UNDO_CUT;
	u->edited = !b->intact;
	r = take_rest(u, f, rep);
	if (r == 0 && v && v->type == TOML_INTEGER && v->begin >= b->begin && v->end <= b->end)
		r = keep_version(u, f, v, rep);
	if (r == 0 && u->edited && loses_more(u, u->text, u->len))
		return keep_others(u, f, rep);
	if (r == 0 && ours && only_blanks(u->text, u->len)) {
		free(u->text);
		u->text = NULL;
	}
	return r;
}

int undo_cut_table(struct undo *u, struct report *rep)
{
	const struct conf_file *f = plan_file(&u->plan);
	const struct toml_header *headers;
	size_t n, shift = 0;
	int r = 0;

	headers = toml_headers(f->doc, &n);
	for (size_t i = 0; i < n && r == 0; i++) {
		const struct toml_node *t = stanza_table_of(headers[i].table, u->plan.handler);
		struct conf_file now = *f;

		if (!t)
			continue;
		if (!stanza_is_ours(f->doc, t))
			return report_set(rep, REASON_E_CONFLICT,
				"%s, line %u: the runtime \"%s\" there is no longer what apply "
				"wrote: "
				"it is left as it is",
				f->path, headers[i].line, u->plan.handler);
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
