/* What the files of this room share. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include "base/buf.h"
#include "base/err.h"
#include "base/macro.h"
#include "yaml/yaml.h"

enum { YAML_KEY_MAX = 1024 }; /* of libyaml, for a key without ? before it */

/* Where the reader is. Everything between `at` and `end` has been seen to be printable UTF-8. */
struct yaml {
	const char *at, *end;
	const char *line_start; /* of `at` */
	const char *what;
	unsigned line;
	unsigned depth, values, nests;
	struct err *err;
};

/* "<what>:<line>: …", -EINVAL. */
int yaml_refuse(struct yaml *y, const char *fmt, ...) PRINTF_LIKE(2, 3);
int yaml_no_memory(struct yaml *y);
/* as in base/err.h, for analyzers */
#define yaml_refuse(...)  err_negative(yaml_refuse(__VA_ARGS__))
#define yaml_no_memory(y) err_negative(yaml_no_memory(y))

static inline bool yaml_is(const struct yaml *y, size_t i, char c)
{
	return (size_t)(y->end - y->at) > i && y->at[i] == c;
}

/* The input's end, a line's end or a blank. */
static inline bool yaml_is_blank(const struct yaml *y, size_t i)
{
	return (size_t)(y->end - y->at) <= i || y->at[i] == ' ' || y->at[i] == '\n';
}

static inline bool yaml_at_line_end(const struct yaml *y)
{
	return y->at == y->end || *y->at == '\n';
}

static inline size_t yaml_column(const struct yaml *y)
{
	return (size_t)(y->at - y->line_start);
}

/* Behind the line's end. */
void yaml_next_line(struct yaml *y);
/* Blanks, and a comment if it stands behind one or at the line's begin. */
void yaml_skip_blanks(struct yaml *y);

/* One more value; a collection's children are between enter and leave. */
int yaml_count(struct yaml *y);
int yaml_enter(struct yaml *y);
void yaml_leave(struct yaml *y);

/* A member that the object does not have yet, an element. They own `value` always; NULL is null. */
int yaml_put(
	struct yaml *y, struct json_object *object, const char *key, struct json_object *value);

int yaml_append(struct yaml *y, struct json_object *list, struct json_object *value);

/* scalar.c: from a quotation mark to behind the other one, in one line. */
int yaml_quoted(struct yaml *y, struct buf *text);
/* An unquoted text up to a comment, the line's end, ": " or, in a flow collection, what ends it
 * there. */
int yaml_plain(struct yaml *y, bool flow, struct buf *text);
/* The value of an unquoted text. */
int yaml_resolve(struct yaml *y, const char *text, struct json_object **ret);
/* An unquoted text that is a key must be one in every version of YAML. */
int yaml_plain_key(struct yaml *y, const char *text);
/* From | or > to the line behind the block. `indent` is that of the collection it stands in. */
int yaml_block_text(struct yaml *y, size_t indent, struct json_object **ret);
int yaml_string(struct yaml *y, const struct buf *text, struct json_object **ret);

/* flow.c: from [ or { to behind its end. */
int yaml_flow(struct yaml *y, struct json_object **ret);
