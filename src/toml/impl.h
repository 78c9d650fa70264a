/* What the files of the TOML reader share; nobody else includes it. */
#pragma once

#include "toml/toml.h"

struct toml_chunk;

struct toml_slot {
	struct toml_node *node; /* NULL: free */
	size_t hash;
};

struct toml_doc {
	struct toml_node *root;
	struct toml_chunk *memory;
	size_t chunk_size;       /* of the next one */
	struct toml_slot *slots; /* open addressing over (parent, key) */
	size_t n_slots, n_used;
	struct toml_header *headers;
	size_t n_headers, cap_headers;
	struct toml_comment *comments;
	size_t n_comments, cap_comments;
	uint32_t foreign_line;
	bool has_bom;
};

struct toml_parser {
	const char *what;
	const char *text;
	size_t len, pos;
	uint32_t line;
	unsigned flags;
	unsigned depth;
	struct toml_doc *doc;
	struct toml_node *table; /* the header that is open */
	struct err *err;
};

/* One part of a key. */
struct toml_part {
	const char *text;
	size_t len;
	size_t at; /* where it stands */
	bool escaped;
};

struct toml_key {
	struct toml_part parts[TOML_DEPTH_MAX];
	size_t n;
};

/* Before anything else: memory for a document that is read from a text of this length. */
int toml_expect(struct toml_doc *doc, size_t len);
/* Room for a text and its NUL that lives as long as the document. NULL when there is none. */
char *toml_alloc_text(struct toml_doc *doc, size_t len);

/* A new child at the end of `parent`; `part` is NULL for array items. NULL when out of memory. */
struct toml_node *toml_add(struct toml_doc *doc, struct toml_node *parent,
	const struct toml_part *part, enum toml_type type);
struct toml_node *toml_lookup(
	const struct toml_doc *doc, const struct toml_node *parent, const char *key, size_t len);
int toml_note_comment(struct toml_doc *doc, struct toml_comment c);
int toml_note_header(struct toml_doc *doc, struct toml_header h);

/* An error at a byte of the text; names its line and column. */
int toml_fail_at(struct toml_parser *p, size_t at, const char *fmt, ...) PRINTF_LIKE(3, 4);
/* … at the parser's position. */
#define toml_fail(p, ...) toml_fail_at((p), (p)->pos, __VA_ARGS__)

/* The byte `ahead` of the position, -1 at the end. */
static inline int toml_peek(const struct toml_parser *p, size_t ahead)
{
	return ahead < p->len - p->pos ? (unsigned char)p->text[p->pos + ahead] : -1;
}

/*
 * Reads the string whose quote is at the position; ret_escaped tells whether an escape was used.
 * `multi` allows the three-quote forms.
 */
int toml_read_string(struct toml_parser *p, bool multi, struct toml_part *ret);

/* Number, boolean or time: everything that is neither quoted nor bracketed. */
int toml_read_scalar(struct toml_parser *p, struct toml_node *node);
/* Whether the token is a time and a valid one: 1, 0 (no time at all) or an error. Fills the node.
 */
int toml_scan_time(struct toml_parser *p, const char *s, size_t len, struct toml_node *node);

/* key = value, for a table body and for inline tables. */
int toml_read_key(struct toml_parser *p, struct toml_key *ret);
int toml_read_pair(struct toml_parser *p, struct toml_node *table);
int toml_read_value(struct toml_parser *p, struct toml_node *node);
/* Blanks; then a comment if `comments`, and line ends if `newlines`. */
int toml_skip(struct toml_parser *p, bool newlines);
/* Blanks, an optional comment, and the end of the line or of the text. */
int toml_end_of_line(struct toml_parser *p);
