#include "base/json.h"

#include <errno.h>
#include <json-c/json.h>
#include <stdlib.h>
#include <string.h>

struct json_object *json_new_object(void)
{
	return json_object_new_object();
}

void json_object_freep(struct json_object **o)
{
	(void)json_object_put(*o);
	*o = NULL;
}

int json_put_consume(struct json_object *o, const char *key, struct json_object *child)
{
	if (!o || !child || json_object_object_add(o, key, child) < 0) {
		(void)json_object_put(child);
		return -ENOMEM;
	}
	return 0;
}

int json_put_str(struct json_object *o, const char *key, const char *s)
{
	if (!o)
		return -ENOMEM;
	if (!s)
		return 0;
	return json_put_consume(o, key, json_object_new_string(s));
}

int json_put_bool(struct json_object *o, const char *key, bool v)
{
	return json_put_consume(o, key, json_object_new_boolean(v));
}

int json_put_u64(struct json_object *o, const char *key, uint64_t v)
{
	return json_put_consume(o, key, json_object_new_uint64(v));
}

int json_put_i64(struct json_object *o, const char *key, int64_t v)
{
	return json_put_consume(o, key, json_object_new_int64(v));
}

int json_put_strv(struct json_object *o, const char *key, char *const *v)
{
	struct json_object *array = json_object_new_array();

	for (; array && v && *v; v++) {
		struct json_object *s = json_object_new_string(*v);

		if (!s || json_object_array_add(array, s) < 0) {
			(void)json_object_put(s);
			(void)json_object_put(array);
			array = NULL;
		}
	}
	return json_put_consume(o, key, array);
}

struct json_object *json_new_list(void)
{
	return json_object_new_array();
}

int json_append(struct json_object *list, struct json_object *child)
{
	if (list && child && json_object_array_add(list, child) == 0)
		return 0;
	(void)json_object_put(child);
	return -ENOMEM;
}

int json_append_u64(struct json_object *list, uint64_t v)
{
	return json_append(list, json_object_new_uint64(v));
}

int json_write(struct json_object *o, enum json_style style, char **ret_text, size_t *ret_len)
{
	int flags = JSON_C_TO_STRING_NOSLASHESCAPE;
	const char *text;
	char *copy;
	size_t len;

	if (!o)
		return -ENOMEM;
	if (style == JSON_PRETTY)
		flags |= JSON_C_TO_STRING_PRETTY | JSON_C_TO_STRING_SPACED;
	text = json_object_to_json_string_length(o, flags, &len);
	copy = text ? malloc(len + 2) : NULL;
	if (!copy)
		return -ENOMEM;
	memcpy(copy, text, len);
	copy[len] = '\n';
	copy[len + 1] = '\0';
	*ret_text = copy;
	if (ret_len)
		*ret_len = len + 1;
	return 0;
}
