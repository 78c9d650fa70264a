#include "toml/toml.h"

#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include "base/cleanup.h"
#include "toml/impl.h"

enum { CHUNK_SIZE = 64 << 10, FIRST_SLOTS = 256 };

struct toml_chunk {
	struct toml_chunk *next;
	size_t used, size;
	_Alignas(max_align_t) char bytes[];
};

void *toml_alloc(struct toml_doc *doc, size_t size)
{
	struct toml_chunk *c = doc->memory;
	void *p;

	size = (size + _Alignof(max_align_t) - 1) & ~(_Alignof(max_align_t) - 1);
	if (!c || c->size - c->used < size) {
		size_t want = size > CHUNK_SIZE ? size : CHUNK_SIZE;

		c = malloc(sizeof(*c) + want);
		if (!c)
			return NULL;
		c->used = 0;
		c->size = want;
		c->next = doc->memory;
		doc->memory = c;
	}
	p = c->bytes + c->used;
	c->used += size;
	return p;
}

/* FNV-1a over the key, mixed with the parent: one table for the whole document. */
static size_t hash(const struct toml_node *parent, const char *key, size_t len)
{
	uint64_t h = 14695981039346656037ULL ^ ((uintptr_t)parent >> 4);

	h *= 1099511628211ULL;
	for (size_t i = 0; i < len; i++)
		h = (h ^ (unsigned char)key[i]) * 1099511628211ULL;
	return (size_t)(h ^ (h >> 32));
}

static void slot_put(struct toml_slot *slots, size_t n_slots, struct toml_slot slot)
{
	size_t i = slot.hash & (n_slots - 1);

	while (slots[i].node)
		i = (i + 1) & (n_slots - 1);
	slots[i] = slot;
}

static int slots_grow(struct toml_doc *doc)
{
	size_t n = doc->n_slots ? doc->n_slots * 2 : FIRST_SLOTS;
	struct toml_slot *slots;

	if (doc->n_used * 4 < doc->n_slots * 3)
		return 0;
	slots = calloc(n, sizeof(*slots));
	if (!slots)
		return -ENOMEM;
	for (size_t i = 0; i < doc->n_slots; i++) {
		if (doc->slots[i].node)
			slot_put(slots, n, doc->slots[i]);
	}
	free(doc->slots);
	doc->slots = slots;
	doc->n_slots = n;
	return 0;
}

struct toml_node *toml_lookup(
	const struct toml_doc *doc, const struct toml_node *parent, const char *key, size_t len)
{
	size_t h, i;

	if (doc->n_slots == 0)
		return NULL;
	h = hash(parent, key, len);
	for (i = h & (doc->n_slots - 1); doc->slots[i].node; i = (i + 1) & (doc->n_slots - 1)) {
		struct toml_node *n = doc->slots[i].node;

		if (doc->slots[i].hash == h && n->parent == parent && n->key_len == len &&
			memcmp(n->key, key, len) == 0)
			return n;
	}
	return NULL;
}

struct toml_node *toml_add(struct toml_doc *doc, struct toml_node *parent,
	const struct toml_part *part, enum toml_type type)
{
	struct toml_node *n = toml_alloc(doc, sizeof(*n));

	if (!n || slots_grow(doc) < 0)
		return NULL;
	*n = (struct toml_node) {.type = type, .parent = parent};
	if (part) {
		n->key = part->text;
		n->key_len = part->len;
		if (part->escaped)
			n->flags |= TOML_ESCAPED;
		slot_put(doc->slots, doc->n_slots,
			(struct toml_slot) {n, hash(parent, n->key, n->key_len)});
		doc->n_used++;
	}
	if (!parent)
		return n;
	if (parent->last)
		parent->last->next = n;
	else
		parent->first = n;
	parent->last = n;
	parent->count++;
	return n;
}

/* Room for one more element of a growing array. */
static int array_grow(void **items, size_t n, size_t *cap, size_t size)
{
	size_t want = *cap ? *cap * 2 : 64;
	void *more;

	if (n < *cap)
		return 0;
	more = realloc(*items, want * size);
	if (!more)
		return -ENOMEM;
	*items = more;
	*cap = want;
	return 0;
}

int toml_note_comment(struct toml_doc *doc, struct toml_comment c)
{
	void *items = doc->comments;
	int r = array_grow(&items, doc->n_comments, &doc->cap_comments, sizeof(c));

	doc->comments = items;
	if (r == 0)
		doc->comments[doc->n_comments++] = c;
	return r;
}

int toml_note_header(struct toml_doc *doc, struct toml_header h)
{
	void *items = doc->headers;
	int r = array_grow(&items, doc->n_headers, &doc->cap_headers, sizeof(h));

	doc->headers = items;
	if (r == 0)
		doc->headers[doc->n_headers++] = h;
	return r;
}

struct toml_doc *toml_doc_free(struct toml_doc *doc)
{
	if (!doc)
		return NULL;
	while (doc->memory) {
		struct toml_chunk *next = doc->memory->next;

		free(doc->memory);
		doc->memory = next;
	}
	free(doc->slots);
	free(doc->headers);
	free(doc->comments);
	free(doc);
	return NULL;
}

void toml_doc_freep(struct toml_doc **doc)
{
	*doc = toml_doc_free(*doc);
}

struct toml_node *toml_root(const struct toml_doc *doc)
{
	return doc->root;
}

const struct toml_header *toml_headers(const struct toml_doc *doc, size_t *ret_n)
{
	*ret_n = doc->n_headers;
	return doc->headers;
}

const struct toml_comment *toml_comments(const struct toml_doc *doc, size_t *ret_n)
{
	*ret_n = doc->n_comments;
	return doc->comments;
}

uint32_t toml_foreign_line(const struct toml_doc *doc)
{
	return doc->foreign_line;
}

bool toml_has_bom(const struct toml_doc *doc)
{
	return doc->has_bom;
}

struct toml_node *toml_get(
	const struct toml_doc *doc, const struct toml_node *table, const char *key)
{
	if (!table || table->type != TOML_TABLE)
		return NULL;
	return toml_lookup(doc, table, key, strlen(key));
}

struct toml_node *toml_find(const struct toml_doc *doc, const struct toml_node *table, ...)
{
	struct toml_node *n = NULL;
	const char *key;
	va_list ap;

	va_start(ap, table);
	while ((key = va_arg(ap, const char *))) {
		n = toml_get(doc, table, key);
		table = n;
	}
	va_end(ap);
	return n;
}

const char *toml_get_string(
	const struct toml_doc *doc, const struct toml_node *table, const char *key)
{
	const struct toml_node *n = toml_get(doc, table, key);

	return n && n->type == TOML_STRING ? n->text : NULL;
}
