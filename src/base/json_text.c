/* RFC 8259, by recursive descent; JSON_DEPTH_MAX bounds the stack. */
#include "base/json_text.h"

#include <errno.h>
#include <json-c/json.h>
#include <limits.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include "base/buf.h"
#include "base/cleanup.h"
#include "base/json.h"
#include "base/utf8.h"

struct reader {
	const char *text;
	size_t len, at;
	size_t values, nests; /* so far */
	struct buf string;    /* the last one that was read */
	const char *what;
	struct err *err;
};

/* ---- errors ---- */

static int out_of_memory(struct reader *r)
{
	return err_sysf(r->err, ENOMEM, "%s", r->what);
}

/* What should stand where the reader is. */
static int expected(struct reader *r, const char *something)
{
	size_t line = 1, column = 1;

	if (r->at >= r->len)
		return err_setf(r->err, ERR_INVALID, EINVAL,
			"%s: the text ends in the middle, after %zu bytes", r->what, r->len);
	for (size_t i = 0; i < r->at; i++) {
		column = r->text[i] == '\n' ? 1 : column + 1;
		line += r->text[i] == '\n';
	}
	return err_setf(r->err, ERR_INVALID, EINVAL, "%s: line %zu, column %zu: not JSON: %s",
		r->what, line, column, something);
}

static int count(struct reader *r, size_t *n, size_t max, const char *of_what)
{
	if (++*n <= max)
		return 0;
	return err_setf(r->err, ERR_INVALID, E2BIG, "%s: too much in it: more than %zu %s", r->what,
		max, of_what);
}

/* ---- tokens ---- */

static bool is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

static void skip_blanks(struct reader *r)
{
	while (r->at < r->len && is_blank(r->text[r->at]))
		r->at++;
}

/* Takes a character, with the blanks before it, if it is the next one. */
static bool take(struct reader *r, char c)
{
	skip_blanks(r);
	if (r->at >= r->len || r->text[r->at] != c)
		return false;
	r->at++;
	return true;
}

static bool take_word(struct reader *r, const char *word)
{
	size_t len = strlen(word);

	if (r->len - r->at < len || memcmp(r->text + r->at, word, len) != 0)
		return false;
	r->at += len;
	return true;
}

/* Whether the text ends within this word. */
static bool is_cut(const struct reader *r, const char *word)
{
	size_t left = r->len - r->at;

	return left < strlen(word) && memcmp(r->text + r->at, word, left) == 0;
}

/* The four digits of \uXXXX. */
static int read_hex(struct reader *r, unsigned *ret)
{
	unsigned v = 0;

	for (int i = 0; i < 4; i++, r->at++) {
		char c = '\0';

		if (r->at < r->len)
			c = r->text[r->at];
		if (c >= '0' && c <= '9')
			v = v * 16 + (unsigned)(c - '0');
		else if ((c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F'))
			v = v * 16 + (unsigned)((c | 0x20) - 'a' + 10);
		else
			return expected(r, "four hexadecimal digits expected");
	}
	*ret = v;
	return 0;
}

static int put_character(struct reader *r, unsigned c)
{
	char s[4];
	size_t n = 0;

	if (c < 0x80) {
		s[n++] = (char)c;
	} else if (c < 0x800) {
		s[n++] = (char)(0xc0 | c >> 6);
	} else if (c < 0x10000) {
		s[n++] = (char)(0xe0 | c >> 12);
		s[n++] = (char)(0x80 | (c >> 6 & 0x3f));
	} else {
		s[n++] = (char)(0xf0 | c >> 18);
		s[n++] = (char)(0x80 | (c >> 12 & 0x3f));
		s[n++] = (char)(0x80 | (c >> 6 & 0x3f));
	}
	if (c >= 0x80)
		s[n++] = (char)(0x80 | (c & 0x3f));
	return buf_append(&r->string, s, n) < 0 ? out_of_memory(r) : 0;
}

/* Behind "\u". */
static int read_unicode(struct reader *r)
{
	unsigned c, low;
	size_t behind;
	int bad = read_hex(r, &c);

	if (bad < 0)
		return bad;
	if (c < 0xd800 || c > 0xdfff)
		return put_character(r, c);
	behind = r->at;
	if (c < 0xdc00 && take_word(r, "\\u")) {
		bad = read_hex(r, &low);
		if (bad < 0)
			return bad;
		if (low >= 0xdc00 && low <= 0xdfff)
			return put_character(r, 0x10000 + ((c & 0x3ff) << 10) + (low & 0x3ff));
		r->at = behind; /* another character, which is read as such */
	}
	return put_character(r, 0xfffd);
}

static int read_escape(struct reader *r)
{
	static const char names[] = "\"\\/bfnrt", means[] = "\"\\/\b\f\n\r\t";
	const char *name;

	r->at++;
	if (take_word(r, "u"))
		return read_unicode(r);
	name = r->at < r->len ? memchr(names, r->text[r->at], sizeof(names) - 1) : NULL;
	if (!name)
		return expected(r, "no escape sequence");
	r->at++;
	return put_character(r, (unsigned char)means[name - names]);
}

/* Behind its first quote; to r->string. */
static int read_string(struct reader *r)
{
	buf_clear(&r->string);
	for (;;) {
		size_t from = r->at;
		int bad;

		while (r->at < r->len && (unsigned char)r->text[r->at] >= ' ' &&
			r->text[r->at] != '"' && r->text[r->at] != '\\') {
			size_t n = (unsigned char)r->text[r->at] < 0x80
					   ? 1
					   : utf8_length(r->text + r->at, r->len - r->at);

			if (n == 0)
				return expected(r, "invalid UTF-8");
			r->at += n;
		}
		if (buf_append(&r->string, r->text + from, r->at - from) < 0)
			return out_of_memory(r);
		if (r->at < r->len && r->text[r->at] == '"') {
			r->at++;
			return 0;
		}
		if (r->at >= r->len || r->text[r->at] != '\\')
			return expected(r, "a control character in a string");
		bad = read_escape(r);
		if (bad < 0)
			return bad;
	}
}

/* ---- values ---- */

static int read_value(
	struct reader *r, const struct json_ref *place, int depth, struct json_object **ret);

static bool skip_digits(struct reader *r)
{
	size_t from = r->at;

	while (r->at < r->len && r->text[r->at] >= '0' && r->text[r->at] <= '9')
		r->at++;
	return r->at > from;
}

/* The digits in text[from…to) as a number of 64 bits; false: it has more. */
static bool add_up(const struct reader *r, size_t from, size_t to, uint64_t *ret)
{
	uint64_t v = 0;

	for (size_t i = from; i < to; i++) {
		if (__builtin_mul_overflow(v, (uint64_t)10, &v) ||
			__builtin_add_overflow(v, (uint64_t)(r->text[i] - '0'), &v))
			return false;
	}
	*ret = v;
	return true;
}

static struct json_object *new_integer(bool negative, uint64_t v)
{
	if (negative)
		return json_object_new_int64(v > INT64_MAX ? INT64_MIN : -(int64_t)v);
	return v > INT64_MAX ? json_object_new_uint64(v) : json_object_new_int64((int64_t)v);
}

static struct json_object *new_fraction(const struct reader *r, size_t from)
{
	_cleanup_free_ char *text = strndup(r->text + from, r->at - from);

	return text ? json_object_new_double_s(0, text) : NULL;
}

static int read_number(struct reader *r, const struct json_ref *place, struct json_object **ret)
{
	size_t from = r->at, digits, len;
	bool negative = take_word(r, "-"), whole = true;
	uint64_t v;

	if (is_cut(r, "null") || is_cut(r, "true") || is_cut(r, "false"))
		r->at = r->len;
	digits = r->at;
	if (!take_word(r, "0") && !skip_digits(r))
		return expected(r, "a value expected");
	len = r->at - digits;
	if (take_word(r, ".")) {
		whole = false;
		if (!skip_digits(r))
			return expected(r, "a digit expected");
	}
	if (take_word(r, "e") || take_word(r, "E")) {
		whole = false;
		if (!take_word(r, "-"))
			(void)take_word(r, "+");
		if (!skip_digits(r))
			return expected(r, "a digit expected");
	}
	if (whole && (!add_up(r, digits, digits + len, &v) ||
			     (negative && v > (uint64_t)INT64_MAX + 1))) {
		(void)json_errorf(place, r->err, "%.*s%s: too large a number",
			r->at - from > 40 ? 40 : (int)(r->at - from), r->text + from,
			r->at - from > 40 ? "…" : "");
		return -ERANGE;
	}
	*ret = whole ? new_integer(negative, v) : new_fraction(r, from);
	return *ret ? 0 : out_of_memory(r);
}

static int read_member(
	struct reader *r, const struct json_ref *place, int depth, struct json_object *object)
{
	_cleanup_(json_object_freep) struct json_object *value = NULL;
	_cleanup_free_ char *key = NULL;
	struct json_ref at = {.up = place};
	int bad;

	if (!take(r, '"'))
		return expected(r, "a name in double quotes expected");
	bad = read_string(r);
	if (bad < 0)
		return bad;
	if (memchr(r->string.data, '\0', r->string.len))
		return expected(r, "a NUL character is in the name before");
	key = strdup(r->string.data);
	if (!key)
		return out_of_memory(r);
	at.key = key;
	if (!take(r, ':'))
		return expected(r, "':' expected");
	bad = read_value(r, &at, depth, &value);
	if (bad < 0)
		return bad;
	if (json_object_object_add(object, key, value) < 0)
		return out_of_memory(r);
	value = NULL;
	return 0;
}

static int read_object(
	struct reader *r, const struct json_ref *place, int depth, struct json_object **ret)
{
	_cleanup_(json_object_freep) struct json_object *object = json_object_new_object();
	int bad = object ? 0 : out_of_memory(r);

	if (bad == 0 && !take(r, '}')) {
		do
			bad = read_member(r, place, depth, object);
		while (bad == 0 && take(r, ','));
		if (bad == 0 && !take(r, '}'))
			bad = expected(r, "',' or '}' expected");
	}
	if (bad == 0)
		*ret = TAKE_PTR(object);
	return bad;
}

static int read_array(
	struct reader *r, const struct json_ref *place, int depth, struct json_object **ret)
{
	_cleanup_(json_object_freep) struct json_object *array = json_object_new_array();
	struct json_ref at = {.up = place};
	int bad = array ? 0 : out_of_memory(r);

	if (bad == 0 && !take(r, ']')) {
		do {
			struct json_object *value = NULL;

			bad = read_value(r, &at, depth, &value);
			if (bad == 0 && json_object_array_add(array, value) < 0) {
				(void)json_object_put(value);
				bad = out_of_memory(r);
			}
			at.index++;
		} while (bad == 0 && take(r, ','));
		if (bad == 0 && !take(r, ']'))
			bad = expected(r, "',' or ']' expected");
	}
	if (bad == 0)
		*ret = TAKE_PTR(array);
	return bad;
}

static int read_nest(
	struct reader *r, const struct json_ref *place, int depth, struct json_object **ret)
{
	bool array = r->text[r->at] == '[';
	int bad = count(r, &r->nests, JSON_NESTS_MAX, "objects and arrays");

	if (bad < 0)
		return bad;
	if (depth == JSON_DEPTH_MAX)
		return err_setf(r->err, ERR_INVALID, EINVAL,
			"%s: nested deeper than the limit of %d", r->what, JSON_DEPTH_MAX);
	r->at++;
	return array ? read_array(r, place, depth + 1, ret) : read_object(r, place, depth + 1, ret);
}

/* depth: how many objects and arrays it is in. */
static int read_value(
	struct reader *r, const struct json_ref *place, int depth, struct json_object **ret)
{
	int bad = count(r, &r->values, JSON_VALUES_MAX, "values");

	*ret = NULL;
	if (bad < 0)
		return bad;
	if (take(r, '"')) {
		bad = read_string(r);
		if (bad < 0)
			return bad;
		if (r->string.len <= INT_MAX)
			*ret = json_object_new_string_len(r->string.data, (int)r->string.len);
		return *ret ? 0 : out_of_memory(r);
	}
	if (r->at < r->len && (r->text[r->at] == '{' || r->text[r->at] == '['))
		return read_nest(r, place, depth, ret);
	if (take_word(r, "null"))
		return 0;
	if (take_word(r, "true"))
		*ret = json_object_new_boolean(true);
	else if (take_word(r, "false"))
		*ret = json_object_new_boolean(false);
	else
		return read_number(r, place, ret);
	return *ret ? 0 : out_of_memory(r);
}

int json_read_text(const char *text, size_t len, const char *what, struct json_object **ret_tree,
	struct err *err)
{
	struct reader r = {.text = text, .len = len, .what = what, .err = err};
	struct json_ref root = {.key = what};
	struct json_object *tree = NULL;
	int bad;

	if (memchr(text, '\0', len))
		return err_setf(err, ERR_INVALID, EINVAL, "%s: a NUL byte is in the text", what);
	buf_init(&r.string, len);
	bad = read_value(&r, &root, 0, &tree);
	skip_blanks(&r);
	if (bad == 0 && r.at < len)
		bad = expected(&r, "unexpected character");
	buf_done(&r.string);
	if (bad < 0) {
		(void)json_object_put(tree);
		return bad;
	}
	*ret_tree = tree;
	return 0;
}
