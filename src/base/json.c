#include "base/json.h"

#include <assert.h>
#include <errno.h>
#include <json-c/json.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/cleanup.h"
#include "base/json_path.h"
#include "base/json_text.h"
#include "base/str.h"

/* ---- parsing ---- */

int json_parse(
	const char *text, size_t len, const char *what, struct json_ref *ret_root, struct err *err)
{
	_cleanup_(json_object_freep) struct json_object *tree = NULL;
	struct json_ref root = {.key = what};
	int r = json_read_text(text, len, what, &tree, err);

	if (r < 0)
		return r;
	root.value = tree;
	if (!json_object_is_type(tree, json_type_object))
		return json_errorf(&root, err, "expected an object at the top");
	tree = NULL;
	*ret_root = root;
	return 0;
}

void json_free(struct json_ref *root)
{
	if (!root)
		return;
	(void)json_object_put(root->value);
	root->value = NULL;
}

/* ---- errors ---- */

/* Puts the names from below the root down to `ref` into `path`; returns the root. */
static const struct json_ref *walk(const struct json_ref *ref, struct json_path *path)
{
	const struct json_ref *root;

	if (!ref->up)
		return ref;
	root = walk(ref->up, path);
	if (ref->key)
		json_path_key(path, ref->key, strlen(ref->key));
	else
		json_path_index(path, ref->index);
	return root;
}

int json_errorf(const struct json_ref *ref, struct err *err, const char *fmt, ...)
{
	struct json_path path = {.len = 0};
	const struct json_ref *root = walk(ref, &path);
	char text[512];
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	(void)err_setf(err, ERR_INVALID, EINVAL, "%s: %s%s%s", root->key, path.text,
		path.len > 0 ? ": " : "", text);
	return -EINVAL;
}

/* json_errorf whose answer a reader, and the static analyser, can see. */
#define REFUSE(...) ((void)json_errorf(__VA_ARGS__), -EINVAL)

static int out_of_memory(const struct json_ref *ref, struct err *err)
{
	(void)json_errorf(ref, err, "out of memory");
	if (err) {
		err->kind = ERR_EXHAUSTED;
		err->errnum = ENOMEM;
	}
	return -ENOMEM;
}

static const char *type_words(struct json_object *v)
{
	static const char *const words[] = {
		[json_type_null] = "null",
		[json_type_boolean] = "true or false",
		[json_type_double] = "a number with a fraction or an exponent",
		[json_type_int] = "a number",
		[json_type_object] = "an object",
		[json_type_array] = "an array",
		[json_type_string] = "a string",
	};

	return words[json_object_get_type(v)];
}

/* The member as a reference: 1, 0 when there is none, or an error when it is of another type. */
static int member(const struct json_ref *object, const char *key, enum json_type type,
	const char *expected, struct json_ref *ret_ref, struct err *err)
{
	struct json_ref ref = {.up = object, .key = key};

	assert(json_object_is_type(object->value, json_type_object));
	if (!json_object_object_get_ex(object->value, key, &ref.value) || !ref.value)
		return 0;
	if (!json_object_is_type(ref.value, type))
		return REFUSE(&ref, err, "expected %s, got %s", expected, type_words(ref.value));
	*ret_ref = ref;
	return 1;
}

/* ---- reading ---- */

int json_only_members(
	const struct json_ref *object, const char *const *names, size_t n, struct err *err)
{
	json_object_object_foreach(object->value, key, value)
	{
		size_t i = 0;

		(void)value;
		while (i < n && strcmp(names[i], key) != 0)
			i++;
		if (i == n)
			return REFUSE(object, err, "%.80s: not known here", key);
	}
	return 0;
}

bool json_has(const struct json_ref *object, const char *key)
{
	struct json_object *v;

	return json_object_object_get_ex(object->value, key, &v) && v;
}

int json_get_object(
	const struct json_ref *object, const char *key, struct json_ref *ret_ref, struct err *err)
{
	return member(object, key, json_type_object, "an object", ret_ref, err);
}

int json_get_array(const struct json_ref *object, const char *key, size_t max,
	struct json_ref *ret_ref, size_t *ret_len, struct err *err)
{
	struct json_ref ref;
	int r = member(object, key, json_type_array, "an array", &ref, err);
	size_t n;

	if (r <= 0)
		return r;
	n = json_object_array_length(ref.value);
	if (n > max)
		return REFUSE(&ref, err, "%zu elements, the limit is %zu", n, max);
	*ret_ref = ref;
	*ret_len = n;
	return 1;
}

int json_element_object(
	const struct json_ref *array, size_t i, struct json_ref *ret_ref, struct err *err)
{
	struct json_ref ref = {.up = array, .index = i};

	ref.value = json_object_array_get_idx(array->value, i);
	if (!json_object_is_type(ref.value, json_type_object))
		return REFUSE(&ref, err, "expected an object, got %s", type_words(ref.value));
	*ret_ref = ref;
	return 0;
}

int json_get_bool(const struct json_ref *object, const char *key, bool *ret_v, struct err *err)
{
	struct json_ref ref;
	int r = member(object, key, json_type_boolean, "true or false", &ref, err);

	if (r > 0)
		*ret_v = json_object_get_boolean(ref.value);
	return r;
}

/* The number of a value whose type is checked. */
static int take_u64(
	const struct json_ref *ref, uint64_t min, uint64_t max, uint64_t *ret_v, struct err *err)
{
	uint64_t v = json_object_get_uint64(ref->value); /* a negative number reads as 0 here … */

	if (json_object_get_int64(ref->value) < 0 || v < min || v > max)
		return REFUSE(ref, err, "%s is not between %llu and %llu",
			json_object_get_string(ref->value), (unsigned long long)min,
			(unsigned long long)max);
	*ret_v = v;
	return 0;
}

int json_get_u64(const struct json_ref *object, const char *key, uint64_t min, uint64_t max,
	uint64_t *ret_v, struct err *err)
{
	struct json_ref ref;
	int r = member(object, key, json_type_int, "a whole number", &ref, err);

	if (r <= 0)
		return r;
	r = take_u64(&ref, min, max, ret_v, err);
	return r < 0 ? r : 1;
}

int json_get_i64(const struct json_ref *object, const char *key, int64_t min, int64_t max,
	int64_t *ret_v, struct err *err)
{
	struct json_ref ref;
	int r = member(object, key, json_type_int, "a whole number", &ref, err);
	int64_t v;

	if (r <= 0)
		return r;
	v = json_object_get_int64(ref.value); /* … and one above INT64_MAX as INT64_MAX here */
	if ((v > 0 && json_object_get_uint64(ref.value) > INT64_MAX) || v < min || v > max)
		return REFUSE(&ref, err, "%s is not between %lld and %lld",
			json_object_get_string(ref.value), (long long)min, (long long)max);
	*ret_v = v;
	return 1;
}

int json_get_u32(const struct json_ref *object, const char *key, uint32_t *ret_v, struct err *err)
{
	uint64_t v;
	int r = json_get_u64(object, key, 0, UINT32_MAX, &v, err);

	if (r > 0)
		*ret_v = (uint32_t)v;
	return r;
}

/* A copy of a string value whose type is checked. */
static int copy_string(const struct json_ref *ref, char **ret_s, struct err *err)
{
	const char *s = json_object_get_string(ref->value);
	size_t len = (size_t)json_object_get_string_len(ref->value);
	char *copy;

	if (len > JSON_STRING_MAX)
		return REFUSE(ref, err, "%zu bytes, the limit is %d", len, JSON_STRING_MAX);
	if (memchr(s, '\0', len))
		return REFUSE(ref, err, "a NUL character is in the string");
	copy = strdup(s);
	if (!copy)
		return out_of_memory(ref, err);
	*ret_s = copy;
	return 0;
}

int json_get_str(const struct json_ref *object, const char *key, char **ret_s, struct err *err)
{
	_cleanup_free_ char *s = NULL;
	struct json_ref ref;
	int r = member(object, key, json_type_string, "a string", &ref, err);

	if (r <= 0)
		return r;
	r = copy_string(&ref, &s, err);
	if (r < 0)
		return r;
	free(*ret_s);
	*ret_s = TAKE_PTR(s);
	return 1;
}

int json_get_strv(
	const struct json_ref *object, const char *key, size_t max, char ***ret_v, struct err *err)
{
	_cleanup_strv_ char **v = NULL;
	struct json_ref array;
	size_t n;
	int r = json_get_array(object, key, max, &array, &n, err);

	if (r <= 0)
		return r;
	if (n > 0) {
		v = calloc(n + 1, sizeof(*v));
		if (!v)
			return out_of_memory(&array, err);
	}
	for (size_t i = 0; i < n; i++) {
		struct json_ref e = {.up = &array, .index = i};

		e.value = json_object_array_get_idx(array.value, i);
		if (!json_object_is_type(e.value, json_type_string))
			return REFUSE(&e, err, "expected a string, got %s", type_words(e.value));
		r = copy_string(&e, &v[i], err);
		if (r < 0)
			return r;
	}
	(void)strv_free(*ret_v);
	*ret_v = TAKE_PTR(v);
	return 1;
}

int json_get_u32v(const struct json_ref *object, const char *key, size_t max, uint32_t **ret_v,
	size_t *ret_len, struct err *err)
{
	_cleanup_free_ uint32_t *v = NULL;
	struct json_ref array;
	size_t n;
	int r = json_get_array(object, key, max, &array, &n, err);

	if (r <= 0)
		return r;
	if (n > 0) {
		v = calloc(n, sizeof(*v));
		if (!v)
			return out_of_memory(&array, err);
	}
	for (size_t i = 0; i < n; i++) {
		struct json_ref e = {.up = &array, .index = i};
		uint64_t one;

		e.value = json_object_array_get_idx(array.value, i);
		if (!json_object_is_type(e.value, json_type_int))
			return REFUSE(
				&e, err, "expected a whole number, got %s", type_words(e.value));
		r = take_u64(&e, 0, UINT32_MAX, &one, err);
		if (r < 0)
			return r;
		v[i] = (uint32_t)one;
	}
	free(*ret_v);
	*ret_v = TAKE_PTR(v);
	*ret_len = n;
	return 1;
}

void json_pairs_free(struct json_pair *pairs, size_t n)
{
	if (!pairs)
		return;
	for (size_t i = 0; i < n; i++) {
		free(pairs[i].key);
		free(pairs[i].value);
	}
	free(pairs);
}

const char *json_pairs_get(const struct json_pair *pairs, size_t n, const char *key)
{
	for (size_t i = 0; i < n; i++) {
		if (str_eq(pairs[i].key, key))
			return pairs[i].value;
	}
	return NULL;
}

static int copy_pair(const struct json_ref *object, const struct lh_entry *entry,
	struct json_pair *pair, struct err *err)
{
	struct json_ref e = {.up = object, .key = lh_entry_k(entry)};

	/* json-c cuts a key at a NUL character: "a\u0000b" is "a" here, and was for its writer not
	 */
	e.value = (struct json_object *)lh_entry_v(entry);
	if (!json_object_is_type(e.value, json_type_string))
		return REFUSE(&e, err, "expected a string, got %s", type_words(e.value));
	pair->key = strdup(e.key);
	if (!pair->key)
		return out_of_memory(&e, err);
	return copy_string(&e, &pair->value, err);
}

int json_get_pairs(const struct json_ref *object, const char *key, size_t max,
	struct json_pair **ret_pairs, size_t *ret_len, struct err *err)
{
	struct json_ref ref;
	struct json_pair *pairs = NULL;
	size_t n, i = 0;
	int r = member(object, key, json_type_object, "an object", &ref, err);

	if (r <= 0)
		return r;
	n = (size_t)json_object_object_length(ref.value);
	if (n > max)
		return REFUSE(&ref, err, "%zu members, the limit is %zu", n, max);
	pairs = calloc(n + 1, sizeof(*pairs));
	if (!pairs)
		return out_of_memory(&ref, err);
	for (const struct lh_entry *entry = json_object_get_object(ref.value)->head; entry;
		entry = entry->next) {
		r = copy_pair(&ref, entry, &pairs[i++], err);
		if (r < 0) {
			json_pairs_free(pairs, n);
			return r;
		}
	}
	*ret_pairs = pairs;
	*ret_len = n;
	return 1;
}

int json_get_keys(const struct json_ref *object, const char *key, size_t max, char ***ret_keys,
	struct err *err)
{
	_cleanup_strv_ char **keys = NULL;
	struct json_ref ref;
	int r = member(object, key, json_type_object, "an object", &ref, err);

	if (r <= 0)
		return r;
	if ((size_t)json_object_object_length(ref.value) > max)
		return REFUSE(&ref, err, "%d members, the limit is %zu",
			json_object_object_length(ref.value), max);
	for (const struct lh_entry *entry = json_object_get_object(ref.value)->head; entry;
		entry = entry->next)
		if (strv_append(&keys, lh_entry_k(entry)) < 0)
			return out_of_memory(&ref, err);
	(void)strv_free(*ret_keys);
	*ret_keys = TAKE_PTR(keys);
	return 1;
}

int json_get_raw(const struct json_ref *object, const char *key, char **ret_text, struct err *err)
{
	struct json_ref ref = {.up = object, .key = key};
	const char *text;
	char *copy;

	if (!json_object_object_get_ex(object->value, key, &ref.value) || !ref.value)
		return 0;
	text = json_object_to_json_string_ext(
		ref.value, JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE);
	copy = text ? strdup(text) : NULL;
	if (!copy)
		return out_of_memory(&ref, err);
	free(*ret_text);
	*ret_text = copy;
	return 1;
}
