#include "toml/toml.h"

#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include "base/cleanup.h"
#include "toml/impl.h"

enum { CHUNK_MIN = 16 << 10, CHUNK_MAX = 2 << 20, FIRST_SLOTS = 256 };

/* Nodes from the front, which keeps them aligned; texts from the back, which need no alignment. */
struct toml_chunk {
	struct toml_chunk *next;
	size_t front, back; /* what is free lies between them, from the start of the chunk */
};

/* A chunk of a large document is one huge page where the kernel has one: to touch it four kilobytes
 * at a time would cost as much as reading the text. */
static struct toml_chunk *chunk_add(struct toml_doc *doc, size_t least)
{
	size_t size = doc->chunk_size;
	struct toml_chunk *c;

	if (size < least + sizeof(*c))
		size = least + sizeof(*c);
	c = size == CHUNK_MAX ? aligned_alloc(CHUNK_MAX, CHUNK_MAX) : malloc(size);
	if (!c)
		return NULL;
	if (size == CHUNK_MAX)
		(void)madvise(c, CHUNK_MAX, MADV_HUGEPAGE);
	*c = (struct toml_chunk) {.next = doc->memory, .front = sizeof(*c), .back = size};
	doc->memory = c;
	if (doc->chunk_size < CHUNK_MAX)
		doc->chunk_size *= 2;
	return c;
}

static struct toml_chunk *chunk_with(struct toml_doc *doc, size_t size)
{
	struct toml_chunk *c = doc->memory;

	return c && c->back - c->front >= size ? c : chunk_add(doc, size);
}

char *toml_alloc_text(struct toml_doc *doc, size_t len)
{
	struct toml_chunk *c = chunk_with(doc, len + 1);

	if (!c)
		return NULL;
	c->back -= len + 1;
	return (char *)c + c->back;
}

static struct toml_node *alloc_node(struct toml_doc *doc)
{
	struct toml_chunk *c = chunk_with(doc, sizeof(struct toml_node));
	struct toml_node *n;

	if (!c)
		return NULL;
	n = (struct toml_node *)((char *)c + c->front);
	c->front += sizeof(*n);
	return n;
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
	size_t n = doc->n_slots * 2;
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
	struct toml_node *n = alloc_node(doc);

	if (!n || slots_grow(doc) < 0)
		return NULL;
	*n = (struct toml_node) {.type = type, .parent = parent};
	if (part) {
		n->key = part->text;
		n->key_len = (uint32_t)part->len;
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

int toml_expect(struct toml_doc *doc, size_t len)
{
	size_t slots = FIRST_SLOTS;

	/* measured: three to five bytes of memory for a byte of text, a key in twenty to eighty
	 * bytes */
	doc->chunk_size = CHUNK_MIN;
	while (doc->chunk_size < CHUNK_MAX && doc->chunk_size < len * 4)
		doc->chunk_size *= 2;
	while (slots < len / 64)
		slots *= 2;
	doc->slots = calloc(slots, sizeof(*doc->slots));
	if (!doc->slots)
		return -ENOMEM;
	doc->n_slots = slots;
	return 0;
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
