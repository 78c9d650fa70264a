#include "merge/compare.h"

#include <errno.h>
#include <string.h>
#include "base/cleanup.h"
#include "base/str.h"

enum { PATH_TEXT_MAX = 64 << 10 };

static bool is_bare_key(const char *key, size_t len)
{
	static const char bare[] =
		"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_";

	return len > 0 && strspn(key, bare) == len;
}

int toml_put_quoted(struct buf *out, const char *s, size_t len)
{
	int r = buf_append(out, "\"", 1);

	for (size_t i = 0; i < len && r == 0; i++) {
		unsigned char c = (unsigned char)s[i];

		if (c == '"' || c == '\\')
			r = buf_printf(out, "\\%c", c);
		else if (c < 0x20 || c == 0x7f)
			r = buf_printf(out, "\\u%04x", c);
		else
			r = buf_append(out, s + i, 1);
	}
	return r < 0 ? r : buf_append(out, "\"", 1);
}

int toml_path_push(struct buf *path, const char *key, size_t len)
{
	int r = path->len ? buf_append(path, ".", 1) : 0;

	if (r < 0)
		return r;
	return is_bare_key(key, len) ? buf_append(path, key, len) : toml_put_quoted(path, key, len);
}

static void path_pop(struct buf *path, size_t len)
{
	path->len = len;
	if (path->data)
		path->data[len] = '\0';
}

static bool scalar_equal(const struct toml_node *a, const struct toml_node *b)
{
	switch (a->type) {
	case TOML_INTEGER:
		return a->integer == b->integer;
	case TOML_BOOL:
		return a->boolean == b->boolean;
	case TOML_FLOAT: /* both sides were written by the same program */
	case TOML_STRING:
	case TOML_DATETIME:
	case TOML_DATETIME_LOCAL:
	case TOML_DATE_LOCAL:
	case TOML_TIME_LOCAL:
		return a->text_len == b->text_len && memcmp(a->text, b->text, a->text_len) == 0;
	case TOML_TABLE:
	case TOML_ARRAY:
		break;
	}
	return false;
}

static int stop_at_difference(
	void *arg, const char *path, const struct toml_node *a, const struct toml_node *b)
{
	(void)arg;
	(void)path;
	(void)a;
	(void)b;
	return 1;
}

bool toml_equal(const struct toml_doc *da, const struct toml_node *a, const struct toml_doc *db,
	const struct toml_node *b)
{
	_cleanup_(buf_done) struct buf path = BUF_INIT(PATH_TEXT_MAX);

	if (!a || !b)
		return a == b;
	if (a->type != b->type)
		return false;
	if (a->type == TOML_TABLE)
		return toml_compare_tables(da, a, db, b, &path, stop_at_difference, NULL) == 0;
	if (a->type != TOML_ARRAY)
		return scalar_equal(a, b);
	if (a->count != b->count)
		return false;
	a = a->first;
	b = b->first;
	for (; a && b; a = a->next, b = b->next) {
		if (!toml_equal(da, a, db, b))
			return false;
	}
	return true;
}

/* One key of `a`: the same in `b`, a table to go into, or a difference. */
static int compare_child(const struct toml_doc *da, const struct toml_node *a,
	const struct toml_doc *db, const struct toml_node *other, struct buf *path, compare_fn fn,
	void *arg)
{
	if (other && a->type == TOML_TABLE && other->type == TOML_TABLE)
		return toml_compare_tables(da, a, db, other, path, fn, arg);
	if (other && toml_equal(da, a, db, other))
		return 0;
	return fn(arg, path->data, a, other);
}

/* The child of `table` with the key of `n`. Dumps have nearly the same order: it is nearly always
 * the one behind the one before. */
static const struct toml_node *same_key(const struct toml_doc *doc, const struct toml_node *table,
	const struct toml_node *n, const struct toml_node *hint)
{
	if (hint && hint->key_len == n->key_len && memcmp(hint->key, n->key, n->key_len) == 0)
		return hint;
	return toml_get(doc, table, n->key);
}

int toml_compare_tables(const struct toml_doc *da, const struct toml_node *a,
	const struct toml_doc *db, const struct toml_node *b, struct buf *path, compare_fn fn,
	void *arg)
{
	const struct toml_node *hint = b->first;
	size_t len = path->len, common = 0;

	for (const struct toml_node *n = a->first; n; n = n->next) {
		const struct toml_node *other = same_key(db, b, n, hint);
		int r = toml_path_push(path, n->key, n->key_len);

		if (r == 0)
			r = compare_child(da, n, db, other, path, fn, arg);
		if (r != 0)
			return r;
		path_pop(path, len);
		common += other != NULL;
		hint = other ? other->next : hint;
	}
	if (common == b->count)
		return 0;
	for (const struct toml_node *n = b->first; n; n = n->next) {
		int r;

		if (toml_get(da, a, n->key))
			continue;
		r = toml_path_push(path, n->key, n->key_len);
		if (r == 0)
			r = fn(arg, path->data, NULL, n);
		if (r != 0)
			return r;
		path_pop(path, len);
	}
	return 0;
}

int toml_compare(const struct toml_doc *a, const struct toml_doc *b, compare_fn fn, void *arg)
{
	_cleanup_(buf_done) struct buf path = BUF_INIT(PATH_TEXT_MAX);

	return toml_compare_tables(a, toml_root(a), b, toml_root(b), &path, fn, arg);
}

bool toml_is_zero(const struct toml_node *n)
{
	if (!n)
		return true;
	switch (n->type) {
	case TOML_STRING:
		return n->text_len == 0 || str_eq(n->text, "podsandbox");
	case TOML_INTEGER:
		return n->integer == 0;
	case TOML_FLOAT:
		return n->text[strspn(n->text, "+-0.")] == '\0';
	case TOML_BOOL:
		return !n->boolean;
	case TOML_ARRAY:
		return n->count == 0;
	case TOML_TABLE:
		for (const struct toml_node *c = n->first; c; c = c->next) {
			if (!toml_is_zero(c))
				return false;
		}
		return true;
	case TOML_DATETIME:
	case TOML_DATETIME_LOCAL:
	case TOML_DATE_LOCAL:
	case TOML_TIME_LOCAL:
		break;
	}
	return false;
}
