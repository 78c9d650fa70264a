#include "oci/fields.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include "oci/spec.h"

int oci_field_errorf(
	const struct json_ref *object, const char *key, struct err *err, const char *fmt, ...)
{
	struct json_ref ref = {.up = object, .key = key};
	char text[512];
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	return json_errorf(&ref, err, "%s", text);
}

static int parse_str(
	const struct json_ref *object, const struct oci_field *f, char **s, struct err *err)
{
	int r = json_get_str(object, f->key, s, err);

	if (r < 0)
		return r;
	if (*s && !**s) {
		free(*s);
		*s = NULL;
	}
	if (f->required && !*s)
		return oci_field_errorf(object, f->key, err, "missing");
	return 0;
}

static int parse_one(
	const struct json_ref *object, const struct oci_field *f, void *at, struct err *err)
{
	struct oci_u64 *u = at;
	struct oci_i64 *i = at;
	int r = -EINVAL;

	switch (f->type) {
	case OCI_FIELD_STR:
		return parse_str(object, f, at, err);
	case OCI_FIELD_BOOL:
		return json_get_bool(object, f->key, at, err);
	case OCI_FIELD_U64:
		r = json_get_u64(object, f->key, 0, f->max, &u->v, err);
		u->set = r > 0;
		return r;
	case OCI_FIELD_I64:
		r = json_get_i64(object, f->key, f->min, INT64_MAX, &i->v, err);
		i->set = r > 0;
		return r;
	case OCI_FIELD_STRV:
		return json_get_strv(object, f->key, f->max, at, err);
	case OCI_FIELD_HAS:
		*(bool *)at = json_has(object, f->key);
		return 0;
	}
	return r;
}

int oci_fields_parse(const struct json_ref *object, const struct oci_field *fields, size_t n,
	void *target, struct err *err)
{
	for (size_t i = 0; i < n; i++) {
		int r = parse_one(object, &fields[i], (char *)target + fields[i].offset, err);

		if (r < 0)
			return r;
	}
	return 0;
}

int oci_array_parse(const struct json_ref *object, const char *key, size_t max, size_t size,
	int (*parse)(const struct json_ref *e, void *element, struct err *err), void **ret_v,
	size_t *ret_n, struct err *err)
{
	struct json_ref array;
	size_t n;
	int r = json_get_array(object, key, max, &array, &n, err);

	if (r <= 0 || n == 0)
		return r < 0 ? r : 0;
	*ret_v = calloc(n, size);
	if (!*ret_v)
		return err_sysf(err, ENOMEM, "%s", key);
	*ret_n = n;
	for (size_t i = 0; i < n; i++) {
		struct json_ref e;

		r = json_element_object(&array, i, &e, err);
		if (r == 0)
			r = parse(&e, (char *)*ret_v + i * size, err);
		if (r < 0)
			return r;
	}
	return 0;
}
