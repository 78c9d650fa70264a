#include "base/json_scan.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>
#include "base/json.h"
#include "base/json_path.h"

/* The index behind the string that begins at text[i]; `len` when it does not end. */
static size_t skip_string(const char *text, size_t len, size_t i)
{
	for (i++; i < len; i++) {
		if (text[i] == '\\')
			i++;
		else if (text[i] == '"')
			return i + 1;
	}
	return len;
}

int json_scan_limits(const char *text, size_t len, const char *what, struct err *err)
{
	size_t values = 1, nests = 0;

	if (memchr(text, '\0', len))
		return err_setf(err, ERR_INVALID, EINVAL, "%s: a NUL byte is in the text", what);
	for (size_t i = 0; i < len;) {
		if (text[i] == '"') {
			i = skip_string(text, len, i);
			continue;
		}
		if (text[i] == '\'') /* json-c takes 'name' even when it is strict */
			return err_setf(err, ERR_INVALID, EINVAL,
				"%s: byte %zu: not JSON: a single quote outside of a string", what,
				i + 1);
		nests += text[i] == '{' || text[i] == '[';
		values += text[i] == ',' || text[i] == '{' || text[i] == '[';
		i++;
	}
	if (nests > JSON_NESTS_MAX)
		return err_setf(err, ERR_INVALID, E2BIG,
			"%s: %zu objects and arrays, the limit is %d", what, nests, JSON_NESTS_MAX);
	if (values > JSON_VALUES_MAX)
		return err_setf(err, ERR_INVALID, E2BIG, "%s: %zu values, the limit is %d", what,
			values, JSON_VALUES_MAX);
	return 0;
}

/* Where the scan is: one level per open object or array. */
struct level {
	bool array, at_key;
	size_t index;    /* of the element, in an array */
	const char *key; /* of the member, in an object */
	size_t key_len;
};

struct scan {
	struct level levels[JSON_DEPTH_MAX + 1];
	size_t depth;
};

static bool digits_in_range(const char *digits, size_t len, bool negative)
{
	const char *limit = negative ? "9223372036854775808" : "18446744073709551615";
	size_t limit_len = strlen(limit);

	return len < limit_len || (len == limit_len && memcmp(digits, limit, len) <= 0);
}

static int too_large(
	const struct scan *s, const char *number, size_t len, const char *what, struct err *err)
{
	struct json_path path = {.len = 0};

	for (size_t i = 0; i < s->depth; i++) {
		const struct level *l = &s->levels[i];

		if (l->array)
			json_path_index(&path, l->index);
		else
			json_path_key(&path, l->key ? l->key : "", l->key_len);
	}
	return err_setf(err, ERR_INVALID, ERANGE, "%s: %s: %.*s%s: too large a number", what,
		path.text, len > 40 ? 40 : (int)len, number, len > 40 ? "…" : "");
}

/* A number, or nothing of interest, at text[i]: moves *i behind it. */
static int check_number(const struct scan *s, const char *text, size_t len, size_t *i,
	const char *what, struct err *err)
{
	size_t begin = *i, end = begin;
	bool negative = text[begin] == '-', whole = true;

	for (; end < len && text[end] && strchr("+-.eE0123456789", text[end]); end++)
		whole = whole && !strchr(".eE", text[end]);
	*i = end > begin ? end : begin + 1;
	if (end == begin || !whole)
		return 0;
	if (digits_in_range(text + begin + negative, end - begin - negative, negative))
		return 0;
	return too_large(s, text + begin, end - begin, what, err);
}

static size_t take_string(struct scan *s, const char *text, size_t len, size_t i)
{
	struct level *l = s->depth > 0 ? &s->levels[s->depth - 1] : NULL;
	size_t next = skip_string(text, len, i);

	if (l && !l->array && l->at_key) {
		l->key = text + i + 1;
		l->key_len = next - i >= 2 ? next - i - 2 : 0;
		l->at_key = false;
	}
	return next;
}

int json_scan_numbers(const char *text, size_t len, const char *what, struct err *err)
{
	struct scan s = {.depth = 0};
	size_t i = 0;

	while (i < len) {
		char c = text[i];
		int r = 0;

		if (c == '"') {
			i = take_string(&s, text, len, i);
		} else if (c == '{' || c == '[') {
			if (s.depth == sizeof(s.levels) / sizeof(s.levels[0]))
				return 0; /* json-c has refused it */
			s.levels[s.depth++] =
				(struct level) {.array = c == '[', .at_key = c == '{'};
			i++;
		} else if (c == '}' || c == ']') {
			s.depth -= s.depth > 0;
			i++;
		} else if (c == ',') {
			if (s.depth > 0) {
				s.levels[s.depth - 1].index++;
				s.levels[s.depth - 1].at_key = true;
			}
			i++;
		} else {
			r = check_number(&s, text, len, &i, what, err);
		}
		if (r < 0)
			return r;
	}
	return 0;
}
