/* A text without our block, and without what came to belong to our runtime since it was written. */
#include <string.h>
#include "base/str.h"
#include "merge/stanza.h"

const struct toml_node *stanza_table_of(const struct toml_node *t, const char *handler)
{
	while (t && t->parent &&
		!(t->key && str_eq(t->key, handler) && t->parent->key &&
			str_eq(t->parent->key, "runtimes")))
		t = t->parent;
	return t && t->parent ? t : NULL;
}

static bool in_block(const struct stanza_block *b, size_t at)
{
	return at >= b->begin && at < b->end;
}

/* Behind the last value that stands below the table's own header; 0: there is none. */
static size_t own_end(const struct toml_node *table)
{
	size_t end = 0;

	for (const struct toml_node *n = table->first; n; n = n->next) {
		bool nested = n->type == TOML_TABLE && !(n->flags & TOML_INLINE);
		size_t at = n->end;

		if (nested)
			at = n->flags & TOML_DOTTED ? own_end(n) : 0;
		else if (n->flags & TOML_TABLES)
			at = 0;
		if (at > end)
			end = at;
	}
	return end;
}

static size_t behind_line(const char *text, size_t len, size_t at)
{
	const char *nl = memchr(text + at, '\n', len - at);

	return nl ? (size_t)(nl - text) + 1 : len;
}

/* The header in the block that is our table's, the last of them; NULL: it was edited away. */
static const struct toml_header *own_header(
	const struct toml_doc *doc, const char *handler, const struct stanza_block *b)
{
	const struct toml_header *headers, *own = NULL;
	size_t n;

	headers = toml_headers(doc, &n);
	for (size_t i = 0; i < n; i++) {
		if (in_block(b, headers[i].begin) && stanza_table_of(headers[i].table, handler))
			own = &headers[i];
	}
	return own;
}

/* Whether a header outside of the block is our table's too. One of the same handler under another
 * plugin's name is somebody else's. */
static bool is_spilled(const struct toml_header *h, const struct toml_header *own,
	const char *handler, const struct stanza_block *b)
{
	const struct toml_node *table = stanza_table_of(h->table, handler);

	return own && table && table == stanza_table_of(own->table, handler) &&
	       !in_block(b, h->begin);
}

/*
 * Where the block ends for the reader: keys that somebody put right behind it belong to the header
 * above them, which is our table's.
 */
static size_t block_end(
	const char *text, size_t len, const struct toml_header *own, const struct stanza_block *b)
{
	size_t end = own ? own_end(own->table) : 0;

	return end > b->end ? behind_line(text, len, end) : b->end;
}

bool stanza_spills(const char *text, size_t len, const struct toml_doc *doc, const char *handler,
	const struct stanza_block *b)
{
	const struct toml_header *headers, *own = own_header(doc, handler, b);
	size_t n;

	headers = toml_headers(doc, &n);
	for (size_t i = 0; i < n; i++) {
		if (is_spilled(&headers[i], own, handler, b))
			return true;
	}
	return block_end(text, len, own, b) > b->end;
}

static bool is_line_end(const char *text, size_t len, size_t at)
{
	at += at < len && text[at] == '\r';
	return at < len && text[at] == '\n';
}

/* Appends what stands before `begin`, and goes on behind `end`. */
static int leave_out(const char *text, size_t *cursor, size_t begin, size_t end, struct buf *out)
{
	int r = buf_append(out, text + *cursor, begin > *cursor ? begin - *cursor : 0);

	if (end > *cursor)
		*cursor = end;
	return r;
}

static int leave_block_out(const char *text, size_t len, size_t end, const struct stanza_block *b,
	size_t *cursor, struct stanza_rest *ret)
{
	int r = leave_out(text, cursor, b->begin, end, &ret->text);
	const char *eol = stanza_eol(text, len);

	ret->at = ret->text.len;
	if (r < 0 || ret->at == 0 || end >= len || ret->text.data[ret->at - 1] == '\n')
		return r;
	/* an empty line that stands behind it (in front of the block of another handler, too) ends
	 * the line before */
	if (is_line_end(text, len, end))
		return 0;
	ret->joint = strlen(eol);
	return buf_append_str(&ret->text, eol);
}

int stanza_cut(const char *text, size_t len, const struct toml_doc *doc, const char *handler,
	const struct stanza_block *b, struct stanza_rest *ret)
{
	const struct toml_header *headers, *own = own_header(doc, handler, b);
	size_t n, cursor = 0, end = block_end(text, len, own, b);
	bool done = false;
	int r = 0;

	headers = toml_headers(doc, &n);
	for (size_t i = 0; r == 0 && i < n; i++) {
		const struct toml_header *h = &headers[i];
		size_t last = own_end(h->table);

		if (!done && h->begin >= b->begin) {
			r = leave_block_out(text, len, end, b, &cursor, ret);
			done = true;
		}
		if (r < 0 || !is_spilled(h, own, handler, b))
			continue;
		if (last < h->table->end)
			last = h->table->end;
		r = leave_out(text, &cursor, h->begin, behind_line(text, len, last), &ret->text);
	}
	if (r == 0 && !done)
		r = leave_block_out(text, len, end, b, &cursor, ret);
	return r == 0 ? leave_out(text, &cursor, len, len, &ret->text) : r;
}
