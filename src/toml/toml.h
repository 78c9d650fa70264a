/*
 * TOML 1.0 as containerd's configuration needs it: a reader that keeps the byte range of
 * everything, and never a writer. Whoever changes a file splices bytes at these ranges, so that
 * comments, order and quoting of the rest survive. The limits (size, depth) hold for any input;
 * time and memory are linear in the size. Source: toml.io/en/v1.0.0.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/err.h"

enum {
	TOML_SIZE_MAX = 16 << 20, /* bytes of one document */
	TOML_DEPTH_MAX = 128,     /* parts of one dotted key, or values inside each other */
};

enum toml_type {
	TOML_TABLE,
	TOML_ARRAY,
	TOML_STRING,
	TOML_INTEGER,
	TOML_FLOAT,
	TOML_BOOL,
	TOML_DATETIME, /* with an offset; the four times are kept as text, in RFC 3339's spelling */
	TOML_DATETIME_LOCAL,
	TOML_DATE_LOCAL,
	TOML_TIME_LOCAL,
};

/* How a table or array came to be; decides what may still be added to it. */
enum toml_flag {
	TOML_IMPLICIT = 1, /* only the parent of somebody's header */
	TOML_DOTTED = 2,   /* made by a dotted key */
	TOML_INLINE = 4,   /* { … } or [ … ]: closed for ever */
	TOML_TABLES = 8,   /* array of [[headers]] */
	TOML_ESCAPED = 16, /* the key was spelled with an escape sequence (containerd 1.x reads
			      those differently) */
};

/* A file of a megabyte has tens of thousands of them: what TOML_SIZE_MAX bounds has 32 bits. */
struct toml_node {
	enum toml_type type : 8;
	uint8_t flags; /* enum toml_flag */
	bool boolean;
	uint32_t line;       /* where it is defined, from 1 */
	uint32_t begin, end; /* bytes of the value; of a table by header: of the header */
	uint32_t key_len;    /* a key may hold a NUL itself */
	uint32_t text_len;
	uint32_t count;   /* children */
	const char *key;  /* decoded, NUL-terminated; NULL for the root and array items */
	const char *text; /* strings (decoded), times, and floats without their underscores;
			     NUL-terminated */
	struct toml_node *parent;
	struct toml_node *next; /* sibling, in the order of the text */
	struct toml_node *first, *last;
	int64_t integer;
};

/* One [header] or [[header]] and the lines that belong to it. */
struct toml_header {
	struct toml_node *table;
	size_t begin,
		end; /* from the start of the header's line to the start of the next header's */
	uint32_t line;
};

/* One comment, from '#' to before the line ending. */
struct toml_comment {
	size_t begin, end;
	uint32_t line;
	bool alone; /* nothing but blanks before it on its line */
};

struct toml_doc;

enum toml_parse_flags {
	/* A byte order mark, control characters and bytes that are not UTF-8 in comments are noted,
	 * not refused: containerd 1.x accepts them. */
	TOML_LENIENT = 1,
};

/*
 * Reads a document. `text` is borrowed and must outlive *ret_doc, which the caller frees. Errors
 * are ERR_INVALID and name `what` and the line.
 */
int toml_parse(const char *what, const char *text, size_t len, unsigned flags,
	struct toml_doc **ret_doc, struct err *err);

/* NULL is allowed; returns NULL. */
struct toml_doc *toml_doc_free(struct toml_doc *doc);
void toml_doc_freep(struct toml_doc **doc);

/* The root table. */
struct toml_node *toml_root(const struct toml_doc *doc);

/* In the order of the text. */
const struct toml_header *toml_headers(const struct toml_doc *doc, size_t *ret_n);
const struct toml_comment *toml_comments(const struct toml_doc *doc, size_t *ret_n);

/* What TOML_LENIENT let pass: 0 or the line of the first such comment; a byte order mark. */
uint32_t toml_foreign_line(const struct toml_doc *doc);
bool toml_has_bom(const struct toml_doc *doc);

/* The child of a table, or NULL (also when `table` is NULL or no table). Takes constant time. */
struct toml_node *toml_get(
	const struct toml_doc *doc, const struct toml_node *table, const char *key);

/* The node below `table` at the path of the NULL-terminated arguments, or NULL. */
struct toml_node *toml_find(const struct toml_doc *doc, const struct toml_node *table, ...)
	__attribute__((sentinel));

/* The text of a string child, or NULL. */
const char *toml_get_string(
	const struct toml_doc *doc, const struct toml_node *table, const char *key);
