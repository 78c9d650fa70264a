#include <errno.h>
#include <json-c/json.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include "base/cleanup.h"
#include "base/utf8.h"
#include "yaml/impl.h"

/* ---- the reader ---- */

int(yaml_refuse)(struct yaml *y, const char *fmt, ...)
{
	char text[256];
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	utf8_clean(text); /* may be cut */
	(void)err_setf(y->err, ERR_INVALID, EINVAL, "%s:%u: %s", y->what, y->line, text);
	return -EINVAL;
}

int(yaml_no_memory)(struct yaml *y)
{
	(void)err_sysf(y->err, ENOMEM, "%s", y->what);
	return -ENOMEM;
}

void yaml_next_line(struct yaml *y)
{
	y->line_start = ++y->at;
	y->line++;
}

void yaml_skip_blanks(struct yaml *y)
{
	while (yaml_is(y, 0, ' '))
		y->at++;
	if (yaml_is(y, 0, '#') && (y->at == y->line_start || y->at[-1] == ' ')) {
		while (!yaml_at_line_end(y))
			y->at++;
	}
}

int yaml_count(struct yaml *y)
{
	if (++y->values > JSON_VALUES_MAX)
		return yaml_refuse(y, "more than %d values", JSON_VALUES_MAX);
	return 0;
}

int yaml_enter(struct yaml *y)
{
	if (++y->depth > JSON_DEPTH_MAX)
		return yaml_refuse(y, "more than %d deep", JSON_DEPTH_MAX);
	if (++y->nests > JSON_NESTS_MAX)
		return yaml_refuse(y, "more than %d mappings and sequences", JSON_NESTS_MAX);
	return yaml_count(y);
}

void yaml_leave(struct yaml *y)
{
	y->depth--;
}

int yaml_put(struct yaml *y, struct json_object *object, const char *key, struct json_object *value)
{
	bool twice = json_object_object_get_ex(object, key, NULL);

	if (!twice && json_object_object_add(object, key, value) == 0)
		return 0;
	json_object_freep(&value);
	return twice ? yaml_refuse(y, "%.80s: given twice", key) : yaml_no_memory(y);
}

int yaml_append(struct yaml *y, struct json_object *list, struct json_object *value)
{
	if (json_object_array_add(list, value) == 0)
		return 0;
	json_object_freep(&value);
	return yaml_no_memory(y);
}

/* ---- blocks ---- */

enum { DOCUMENT_END = -1 };

static bool is_marker(const struct yaml *y)
{
	return y->at == y->line_start && yaml_is_blank(y, 3) && y->end - y->at >= 3 &&
	       (memcmp(y->at, "---", 3) == 0 || memcmp(y->at, "...", 3) == 0);
}

/* To the next thing: its column, or DOCUMENT_END. */
static int next_thing(struct yaml *y, ssize_t *ret_column)
{
	for (;;) {
		yaml_skip_blanks(y);
		if (!yaml_at_line_end(y))
			break;
		if (y->at == y->end) {
			*ret_column = DOCUMENT_END;
			return 0;
		}
		yaml_next_line(y);
	}
	if (*y->at == '\t')
		return yaml_refuse(y, "a tab: lines are indented with blanks");
	*ret_column = is_marker(y) ? DOCUMENT_END : (ssize_t)yaml_column(y);
	return 0;
}

static bool is_item(const struct yaml *y)
{
	return yaml_is(y, 0, '-') && yaml_is_blank(y, 1);
}

static int finish_line(struct yaml *y)
{
	int n = 0;

	yaml_skip_blanks(y);
	if (yaml_at_line_end(y))
		return 0;
	while (n < 20 && y->at + n < y->end && y->at[n] != '\n')
		n++;
	return yaml_refuse(
		y, "%.*s: not known behind a value; a text that has it stands in quotes", n, y->at);
}

/* The value's reader answered `r`: nothing else may stand in its line. */
static int finish_value(struct yaml *y, int r, struct json_object **ret)
{
	if (r == 0)
		r = finish_line(y);
	if (r < 0)
		json_object_freep(ret);
	return r;
}

/* 1: a key, in *key, and its colon; 0: a value that is no block collection, in *ret. */
static int key_or_value(struct yaml *y, ssize_t indent, struct buf *key, struct json_object **ret)
{
	bool quoted = *y->at == '"' || *y->at == '\'';
	const char *from = y->at;
	int r = yaml_count(y);

	*ret = NULL;
	if (r < 0)
		return r;
	if (*y->at == '|' || *y->at == '>')
		return yaml_block_text(y, (size_t)indent, ret);
	if (*y->at == '[' || *y->at == '{') {
		r = yaml_flow(y, ret);
		return finish_value(y, r, ret);
	}
	r = quoted ? yaml_quoted(y, key) : yaml_plain(y, false, key);
	if (r < 0)
		return r;
	yaml_skip_blanks(y);
	if (!yaml_is(y, 0, ':') || !yaml_is_blank(y, 1)) {
		r = quoted ? yaml_string(y, key, ret) : yaml_resolve(y, key->data, ret);
		return finish_value(y, r, ret);
	}
	if (y->at - from > YAML_KEY_MAX)
		return yaml_refuse(y, "a name of more than %d bytes", YAML_KEY_MAX);
	y->at++;
	r = quoted ? 0 : yaml_plain_key(y, key->data);
	return r < 0 ? r : 1;
}

static int block(struct yaml *y, ssize_t column, ssize_t indent, struct json_object **ret);

/* The items of a sequence whose dashes are in this column. */
static int items(struct yaml *y, ssize_t column, struct json_object *list)
{
	ssize_t next = column;
	int r = 0;

	while (r == 0 && next == column && is_item(y)) {
		unsigned line = y->line;
		struct json_object *child = NULL;

		y->at++;
		r = next_thing(y, &next);
		if (r == 0 && next != DOCUMENT_END && (y->line == line || next > column))
			r = block(y, (ssize_t)yaml_column(y), column, &child);
		if (r == 0)
			r = yaml_append(y, list, child);
		if (r == 0)
			r = next_thing(y, &next);
	}
	if (r == 0 && next > column)
		return yaml_refuse(
			y, "indented as nothing above it; a text of several lines stands below |");
	return r;
}

/* Behind the colon of a key in this column. */
static int member_value(struct yaml *y, ssize_t column, struct json_object **ret)
{
	_cleanup_(buf_done) struct buf text = BUF_INIT(JSON_STRING_MAX);
	unsigned line = y->line;
	ssize_t next;
	int r = next_thing(y, &next);

	if (r < 0)
		return r;
	if (next == DOCUMENT_END || (y->line != line && next < column))
		return 0;
	if (y->line != line && (next > column || is_item(y)))
		return block(y, next, column, ret);
	if (y->line != line)
		return 0;
	r = key_or_value(y, column, &text, ret);
	return r <= 0 ? r : yaml_refuse(y, "two \": \" in one line: put the value in quotes");
}

/* The members of a mapping whose keys are in this column; the first one's key has been read. */
static int members(struct yaml *y, ssize_t column, struct buf *key, struct json_object *object)
{
	struct json_object *child = NULL;
	ssize_t next = DOCUMENT_END;
	int r;

	for (;;) {
		child = NULL;
		r = member_value(y, column, &child);
		if (r == 0)
			r = yaml_put(y, object, key->data ? key->data : "", child);
		if (r == 0)
			r = next_thing(y, &next);
		if (r < 0 || next < column)
			return r;
		if (next > column)
			return yaml_refuse(y, "indented as nothing above it; a text of several "
					      "lines stands below |");
		buf_clear(key);
		r = key_or_value(y, column, key, &child);
		if (r < 0)
			return r;
		if (r == 0) {
			json_object_freep(&child);
			return yaml_refuse(y, "no KEY: VALUE");
		}
	}
}

/* What begins in this column, in a collection of that indentation. */
static int block(struct yaml *y, ssize_t column, ssize_t indent, struct json_object **ret)
{
	_cleanup_(buf_done) struct buf key = BUF_INIT(JSON_STRING_MAX);
	_cleanup_(json_object_freep) struct json_object *o = NULL;
	bool list = is_item(y);
	int r = list ? 1 : key_or_value(y, indent, &key, ret);

	if (r <= 0)
		return r;
	r = yaml_enter(y);
	if (r < 0)
		return r;
	o = list ? json_new_list() : json_new_object();
	if (!o)
		return yaml_no_memory(y);
	r = list ? items(y, column, o) : members(y, column, &key, o);
	if (r < 0)
		return r;
	yaml_leave(y);
	*ret = TAKE_PTR(o);
	return 0;
}

/* ---- documents ---- */

static unsigned character(const unsigned char *s, size_t len)
{
	return len == 1   ? s[0]
	       : len == 2 ? (s[0] & 0x1FU) << 6 | (s[1] & 0x3FU)
	       : len == 3 ? (s[0] & 0xFU) << 12 | (s[1] & 0x3FU) << 6 | (s[2] & 0x3FU)
			  : 0x10000U;
}

/* Only what all readers take for a character of a line, or for its end. */
static int check_characters(struct yaml *y)
{
	struct yaml look = *y;
	size_t len;

	for (; look.at < look.end; look.at += len) {
		unsigned c;

		len = utf8_length(look.at, (size_t)(look.end - look.at));
		c = character((const unsigned char *)look.at, len);
		if (c == '\n')
			look.line++;
		if (len == 0 || (c < 0x20 && c != '\n' && c != '\t') || (c >= 0x7F && c < 0xA0) ||
			c == 0x2028 || c == 0x2029 || c == 0xFEFF || (c >= 0xFFFE && c <= 0xFFFF))
			return yaml_refuse(&look, "a byte that is no printable UTF-8");
	}
	return 0;
}

/*
 * To the first thing of a document: 1, 0 at the end of all. Only the first document needs no ---,
 * and only behind one there is something for ... to end.
 */
static int find_document(struct yaml *y, ssize_t *ret_column)
{
	bool first = y->line == 1, begun = first;

	for (;;) {
		int r = next_thing(y, ret_column);

		if (r < 0)
			return r;
		if (*ret_column != DOCUMENT_END)
			return begun ? 1 : yaml_refuse(y, "a document begins with ---");
		if (y->at == y->end)
			return 0;
		begun = *y->at == '-';
		if (!begun && first)
			return yaml_refuse(y, "... ends no document");
		first = false;
		y->at += 3;
		r = finish_line(y);
		if (r < 0)
			return r;
	}
}

int yaml_parse(const char **text, size_t *len, unsigned *line, const char *what,
	struct json_ref *ret_root, struct err *err)
{
	struct yaml y = {.at = *text, .end = *text + *len, .what = what, .line = *line, .err = err};
	struct json_ref root = {.key = what};
	ssize_t column = 0;
	unsigned first;
	int r;

	y.line_start = y.at;
	r = y.line == 1 ? check_characters(&y) : 0;
	if (r == 0)
		r = find_document(&y, &column);
	if (r <= 0)
		return r;
	first = y.line;
	r = block(&y, column, 0, &root.value);
	if (r == 0)
		r = next_thing(&y, &column);
	if (r == 0 && column != DOCUMENT_END)
		r = yaml_refuse(&y, "indented as nothing above it");
	if (r == 0 && !json_object_is_type(root.value, json_type_object)) {
		y.line = first;
		r = yaml_refuse(&y, "the document is no mapping of KEY: VALUE");
	}
	if (r < 0) {
		json_free(&root);
		return r;
	}
	*len = (size_t)(y.end - y.at);
	*text = y.at;
	*line = y.line;
	*ret_root = root;
	return 1;
}
