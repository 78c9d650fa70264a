/*
 * A TOML document of any bytes. What must hold: an error has one line of text with line and column;
 * what the strict reader takes the lenient one takes too; byte ranges lie inside each other and in
 * the order of the text; and the bytes of a value, read alone, are that value again, for whoever
 * splices by these ranges relies on it.
 */
#include <assert.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include "toml/toml.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

extern bool fuzz_memory_fails;
bool fuzz_memory_fails; /* set by nomem.c */

enum { ALONE_MAX = 4096 }; /* values looked at twice; more would cost the square */

static void check_error(const struct err *err)
{
	assert(err->kind != ERR_NONE && err->text[0] != '\0');
	for (const char *c = err->text; *c; c++)
		assert((unsigned char)*c >= ' ' && *c != 0x7f);
	assert(fuzz_memory_fails || strstr(err->text, "column "));
}

static void check_same(const struct toml_node *a, const struct toml_node *b)
{
	const struct toml_node *x = a->first, *y = b->first;

	assert(a->type == b->type && a->count == b->count);
	assert(!a->key == !b->key && a->text_len == b->text_len);
	if (a->key)
		assert(a->key_len == b->key_len && memcmp(a->key, b->key, a->key_len) == 0);
	if (a->text)
		assert(memcmp(a->text, b->text, a->text_len) == 0);
	assert(a->integer == b->integer && a->boolean == b->boolean);
	for (; x && y; x = x->next, y = y->next)
		check_same(x, y);
	assert(!x && !y);
}

/* `key = VALUE`, with the value's own bytes. */
static void check_alone(const char *text, const struct toml_node *n)
{
	static const char head[] = "key = ";
	size_t len = n->end - n->begin;
	struct toml_node copy = *n;
	struct toml_doc *doc;
	char *alone = malloc(sizeof(head) + len);

	if (!alone)
		return;
	memcpy(alone, head, sizeof(head) - 1);
	memcpy(alone + sizeof(head) - 1, text + n->begin, len);
	if (toml_parse("value", alone, sizeof(head) - 1 + len, TOML_LENIENT, &doc, NULL) == 0) {
		const struct toml_node *again = toml_get(doc, toml_root(doc), "key");

		assert(again);
		copy.key = again->key;
		copy.key_len = again->key_len;
		check_same(&copy, again);
		doc = toml_doc_free(doc);
	} else {
		assert(fuzz_memory_fails);
	}
	free(alone);
}

/* Values that were written as values; tables by headers and dotted keys have no range of their
 * own. */
static bool is_written(const struct toml_node *n)
{
	return n->type != TOML_TABLE && !(n->flags & TOML_TABLES);
}

static void check_node(const struct toml_doc *doc, const char *text, size_t size,
	const struct toml_node *n, size_t *budget)
{
	size_t count = 0;

	assert(n->begin <= n->end && n->end <= size);
	if (is_written(n) && n->end - n->begin <= *budget) {
		*budget -= n->end - n->begin;
		check_alone(text, n);
	}
	for (const struct toml_node *c = n->first; c; c = c->next, count++) {
		assert(c->parent == n && !c->key == (n->type == TOML_ARRAY));
		if (n->type == TOML_ARRAY && is_written(n))
			assert(n->begin < c->begin && c->end < n->end);
		if (c->key && strlen(c->key) == c->key_len)
			assert(toml_get(doc, n, c->key) == c);
		check_node(doc, text, size, c, budget);
	}
	assert(count == n->count);
}

static void check_order(const struct toml_doc *doc, const char *text, size_t size)
{
	size_t n, at = 0;
	const struct toml_header *h = toml_headers(doc, &n);

	for (size_t i = 0; i < n; i++) {
		assert(at <= h[i].begin && h[i].begin < h[i].end && h[i].end <= size);
		assert(h[i].begin == 0 || text[h[i].begin - 1] == '\n' ||
			(h[i].begin == 3 && toml_has_bom(doc)));
		at = h[i].end;
	}
	const struct toml_comment *c = toml_comments(doc, &n);

	at = 0;
	for (size_t i = 0; i < n; i++) {
		assert(at <= c[i].begin && c[i].begin < c[i].end && c[i].end <= size);
		assert(text[c[i].begin] == '#' &&
			!memchr(text + c[i].begin, '\n', c[i].end - c[i].begin));
		at = c[i].end;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct toml_doc *strict = NULL, *lenient = NULL;
	struct err err = ERR_INIT;
	size_t budget = ALONE_MAX;
	char *text = malloc(size ? size : 1); /* exact: the sanitizer sees one byte too far */

	if (!text)
		return 0;
	memcpy(text, data, size);
	if (toml_parse("file", text, size, 0, &strict, &err) < 0)
		check_error(&err);
	err = (struct err)ERR_INIT;
	if (toml_parse("file", text, size, TOML_LENIENT, &lenient, &err) < 0)
		check_error(&err);
	assert(!strict || lenient || fuzz_memory_fails);
	if (strict && lenient)
		check_same(toml_root(strict), toml_root(lenient));
	if (lenient) {
		check_node(lenient, text, size, toml_root(lenient), &budget);
		check_order(lenient, text, size);
	}
	strict = toml_doc_free(strict);
	lenient = toml_doc_free(lenient);
	free(text);
	return 0;
}
