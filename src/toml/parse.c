#include "toml/toml.h"

#include <assert.h>
#include <ctype.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/cleanup.h"
#include "base/utf8.h"
#include "toml/impl.h"

int toml_fail_at(struct toml_parser *p, size_t at, const char *fmt, ...)
{
	unsigned line = 1, column = 1;
	char text[512];
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	for (size_t i = 0; i < at; i++) {
		if (p->text[i] == '\n') {
			line++;
			column = 1;
		} else if ((p->text[i] & 0xc0) != 0x80) { /* characters, not bytes */
			column++;
		}
	}
	return err_setf(p->err, ERR_INVALID, EINVAL, "%s, line %u, column %u: %s", p->what, line,
		column, text);
}

/* The bytes of one comment: text, tabs, and with TOML_LENIENT what containerd 1.x lets pass. */
static int check_comment(struct toml_parser *p, size_t begin, size_t end)
{
	for (size_t i = begin; i < end;) {
		unsigned char c = (unsigned char)p->text[i];
		size_t n = utf8_length(p->text + i, end - i);

		if (c == '\0')
			return toml_fail_at(p, i, "NUL byte");
		if (c == '\r')
			return toml_fail_at(p, i, "carriage return without a line feed");
		if (n == 0 || (c < 0x20 && c != '\t') || c == 0x7f) {
			if (!(p->flags & TOML_LENIENT))
				return toml_fail_at(p, i, "byte 0x%02x in a comment", c);
			if (p->doc->foreign_line == 0)
				p->doc->foreign_line = p->line;
			n = 1;
		}
		i += n;
	}
	return 0;
}

static int read_comment(struct toml_parser *p)
{
	size_t begin = p->pos, before = begin;
	const char *nl = memchr(p->text + begin, '\n', p->len - begin);
	size_t end = nl ? (size_t)(nl - p->text) : p->len;
	int r;

	p->pos = end;
	if (nl && end > begin && p->text[end - 1] == '\r')
		p->pos = --end;
	while (before > 0 && (p->text[before - 1] == ' ' || p->text[before - 1] == '\t'))
		before--;
	r = check_comment(p, begin, end);
	if (r < 0)
		return r;
	r = toml_note_comment(p->doc, (struct toml_comment) {.begin = begin,
					      .end = end,
					      .line = p->line,
					      .alone = before == 0 || p->text[before - 1] == '\n'});
	return r < 0 ? err_sysf(p->err, -r, "%s", p->what) : 0;
}

static void skip_blanks(struct toml_parser *p)
{
	while (toml_peek(p, 0) == ' ' || toml_peek(p, 0) == '\t')
		p->pos++;
}

/* One line ending: 1, none here: 0. */
static int take_newline(struct toml_parser *p)
{
	if (toml_peek(p, 0) == '\r') {
		if (toml_peek(p, 1) != '\n')
			return toml_fail(p, "carriage return without a line feed");
		p->pos++;
	}
	if (toml_peek(p, 0) != '\n')
		return 0;
	p->pos++;
	p->line++;
	return 1;
}

int toml_skip(struct toml_parser *p, bool newlines)
{
	for (;;) {
		int r = 0;

		skip_blanks(p);
		if (!newlines)
			return 0;
		if (toml_peek(p, 0) == '#')
			r = read_comment(p);
		if (r == 0)
			r = take_newline(p);
		if (r <= 0)
			return r;
	}
}

int toml_end_of_line(struct toml_parser *p)
{
	int r = 0;

	skip_blanks(p);
	if (toml_peek(p, 0) == '#')
		r = read_comment(p);
	if (r == 0 && toml_peek(p, 0) >= 0)
		r = take_newline(p);
	else if (r == 0)
		return 0;
	if (r < 0)
		return r;
	return r > 0 ? 0 : toml_fail(p, "unexpected text behind the end of the value or header");
}

static bool is_bare(int c)
{
	return c == '-' || c == '_' || (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') ||
	       (c >= 'A' && c <= 'Z');
}

static int read_bare(struct toml_parser *p, struct toml_part *ret)
{
	size_t len = 0;
	char *text;

	while (is_bare(toml_peek(p, len)))
		len++;
	if (len == 0)
		return toml_fail(p, "a key is missing or has characters that need quotes");
	text = toml_alloc_text(p->doc, len);
	if (!text)
		return err_sysf(p->err, ENOMEM, "%s", p->what);
	memcpy(text, p->text + p->pos, len);
	text[len] = '\0';
	p->pos += len;
	*ret = (struct toml_part) {.text = text, .len = len};
	return 0;
}

int toml_read_key(struct toml_parser *p, struct toml_key *ret)
{
	ret->n = 0;
	for (;;) {
		size_t at;
		int c, r;

		if (ret->n == ARRAY_LEN(ret->parts))
			return toml_fail(p, "key of more than %zu parts", ARRAY_LEN(ret->parts));
		skip_blanks(p);
		at = p->pos;
		c = toml_peek(p, 0);
		if (c == '"' || c == '\'')
			r = toml_read_string(p, false, &ret->parts[ret->n]);
		else
			r = read_bare(p, &ret->parts[ret->n]);
		if (r < 0)
			return r;
		ret->parts[ret->n++].at = at;
		skip_blanks(p);
		if (toml_peek(p, 0) != '.')
			return 0;
		p->pos++;
	}
}

/* One step of a header's path towards its table: the child that exists, or a new implicit table. */
static int header_step(struct toml_parser *p, struct toml_node *at, const struct toml_part *part,
	struct toml_node **ret)
{
	struct toml_node *n = toml_lookup(p->doc, at, part->text, part->len);

	if (!n) {
		n = toml_add(p->doc, at, part, TOML_TABLE);
		if (!n)
			return err_sysf(p->err, ENOMEM, "%s", p->what);
		n->flags |= TOML_IMPLICIT;
		n->line = p->line;
	}
	if (n->type == TOML_ARRAY && (n->flags & TOML_TABLES))
		n = n->last;
	if (n->type != TOML_TABLE || (n->flags & TOML_INLINE))
		return toml_fail_at(p, part->at, "\"%s\" is a value since line %u, not a table",
			part->text, n->line);
	*ret = n;
	return 0;
}

static int open_table(struct toml_parser *p, struct toml_node *at, const struct toml_part *part,
	struct toml_node **ret)
{
	struct toml_node *n = toml_lookup(p->doc, at, part->text, part->len);

	if (n && (n->type != TOML_TABLE || !(n->flags & TOML_IMPLICIT)))
		return toml_fail_at(p, part->at,
			"\"%s\" is defined a second time (first in line %u)", part->text, n->line);
	if (!n)
		n = toml_add(p->doc, at, part, TOML_TABLE);
	if (!n)
		return err_sysf(p->err, ENOMEM, "%s", p->what);
	n->flags &= (uint8_t)~TOML_IMPLICIT;
	*ret = n;
	return 0;
}

static int open_array_table(struct toml_parser *p, struct toml_node *at,
	const struct toml_part *part, struct toml_node **ret)
{
	struct toml_node *n = toml_lookup(p->doc, at, part->text, part->len), *item;

	if (n && (n->type != TOML_ARRAY || !(n->flags & TOML_TABLES)))
		return toml_fail_at(p, part->at, "\"%s\" is no array of tables (see line %u)",
			part->text, n->line);
	if (!n) {
		n = toml_add(p->doc, at, part, TOML_ARRAY);
		if (n) {
			n->flags |= TOML_TABLES;
			n->line = p->line;
		}
	}
	item = n ? toml_add(p->doc, n, NULL, TOML_TABLE) : NULL;
	if (!item)
		return err_sysf(p->err, ENOMEM, "%s", p->what);
	*ret = item;
	return 0;
}

/* The header that was open ends where the line of this one begins. */
static void close_header(struct toml_parser *p, size_t at)
{
	if (p->doc->n_headers > 0)
		p->doc->headers[p->doc->n_headers - 1].end = at;
}

static int read_header(struct toml_parser *p, size_t line_begin)
{
	bool many = toml_peek(p, 1) == '[';
	struct toml_node *at = p->doc->root;
	size_t begin = p->pos;
	uint32_t line = p->line;
	struct toml_key key = {.n = 0};
	int r;

	p->pos += many ? 2 : 1;
	r = toml_read_key(p, &key);
	if (r < 0)
		return r;
	assert(key.n > 0 && key.parts[0].text); /* a key has one part at least */
	if (toml_peek(p, 0) != ']' || (many && toml_peek(p, 1) != ']'))
		return toml_fail(p, "header without its closing %s", many ? "]]" : "]");
	p->pos += many ? 2 : 1;
	for (size_t i = 0; i + 1 < key.n; i++) {
		r = header_step(p, at, &key.parts[i], &at);
		if (r < 0)
			return r;
	}
	r = many ? open_array_table(p, at, &key.parts[key.n - 1], &at)
		 : open_table(p, at, &key.parts[key.n - 1], &at);
	if (r < 0)
		return r;
	at->begin = (uint32_t)begin;
	at->end = (uint32_t)p->pos;
	at->line = line;
	p->table = at;
	r = toml_end_of_line(p);
	if (r < 0)
		return r;
	close_header(p, line_begin);
	r = toml_note_header(
		p->doc, (struct toml_header) {
				.table = at, .begin = line_begin, .end = p->len, .line = line});
	return r < 0 ? err_sysf(p->err, -r, "%s", p->what) : 0;
}

static int read_document(struct toml_parser *p)
{
	int r;

	if (p->len >= 3 && memcmp(p->text, "\xef\xbb\xbf", 3) == 0) {
		if (!(p->flags & TOML_LENIENT))
			return toml_fail(p, "byte order mark");
		p->doc->has_bom = true;
		p->pos = 3;
	}
	for (;;) {
		size_t line_begin;

		r = toml_skip(p, true);
		if (r < 0)
			return r;
		if (toml_peek(p, 0) < 0)
			return 0;
		line_begin = p->pos; /* only blanks can stand before it on its line */
		while (line_begin > 0 && p->text[line_begin - 1] != '\n')
			line_begin--;
		if (toml_peek(p, 0) == '[') {
			r = read_header(p, line_begin);
		} else {
			r = toml_read_pair(p, p->table);
			if (r == 0)
				r = toml_end_of_line(p);
		}
		if (r < 0)
			return r;
	}
}

int toml_parse(const char *what, const char *text, size_t len, unsigned flags,
	struct toml_doc **ret_doc, struct err *err)
{
	_cleanup_(toml_doc_freep) struct toml_doc *doc = calloc(1, sizeof(*doc));
	struct toml_parser p = {.what = what,
		.text = text,
		.len = len,
		.line = 1,
		.flags = flags,
		.doc = doc,
		.err = err};
	int r;

	if (!doc)
		return err_sysf(err, ENOMEM, "%s", what);
	if (len > TOML_SIZE_MAX)
		return err_setf(err, ERR_INVALID, EFBIG,
			"%s: %zu bytes, larger than the limit of %d", what, len, TOML_SIZE_MAX);
	if (toml_expect(doc, len) < 0)
		return err_sysf(err, ENOMEM, "%s", what);
	doc->root = toml_add(doc, NULL, NULL, TOML_TABLE);
	if (!doc->root)
		return err_sysf(err, ENOMEM, "%s", what);
	doc->root->line = 1;
	doc->root->end = (uint32_t)len;
	p.table = doc->root;
	r = read_document(&p);
	if (r < 0)
		return r;
	*ret_doc = TAKE_PTR(doc);
	return 0;
}
