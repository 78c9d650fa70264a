/*
 * Reading an object by a table: one line per member says its name, type, range and where it goes.
 * For the files of this room.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>
#include "base/err.h"
#include "base/json.h"

enum oci_field_type {
	OCI_FIELD_STR,  /* char *; "" is NULL, as if left out */
	OCI_FIELD_BOOL, /* bool */
	OCI_FIELD_U64,  /* struct oci_u64, 0…max */
	OCI_FIELD_I64,  /* struct oci_i64, min…INT64_MAX */
	OCI_FIELD_STRV, /* char **, at most max strings */
	OCI_FIELD_HAS,  /* bool: whether the member is there, of whatever type */
};

struct oci_field {
	const char *key;
	size_t offset; /* in the struct that is filled */
	enum oci_field_type type;
	bool required; /* strings only: neither absent nor empty */
	uint64_t max;  /* OCI_FIELD_U64, OCI_FIELD_STRV */
	int64_t min;   /* OCI_FIELD_I64 */
};

int oci_fields_parse(const struct json_ref *object, const struct oci_field *fields, size_t n,
	void *target, struct err *err);

/* -EINVAL with the path of the member `key` of `object`, whether it is there or not. */
int oci_field_errorf(const struct json_ref *object, const char *key, struct err *err,
	const char *fmt, ...) PRINTF_LIKE(4, 5);

/*
 * Reads an array of objects into a new array of structs of `size` bytes that start as zeroes: one
 * call of `parse` per element. *ret_v and *ret_n are set first, so that the owner's done function
 * frees what an error leaves half-filled. 0 or an error; an absent array is an empty one.
 */
int oci_array_parse(const struct json_ref *object, const char *key, size_t max, size_t size,
	int (*parse)(const struct json_ref *e, void *element, struct err *err), void **ret_v,
	size_t *ret_n, struct err *err);

struct oci_process;
struct oci_resources;

/* process_parse.c, resources_parse.c: what is read on an error is the caller's to free. */
int oci_process_fill(const struct json_ref *object, struct oci_process *p, struct err *err);
int oci_resources_fill(const struct json_ref *object, struct oci_resources *r, struct err *err);

/* The bytes of BUNDLE/config.json in *ret_text (the caller frees), at most OCI_CONFIG_MAX. */
int oci_config_read(const char *bundle, char **ret_text, size_t *ret_len, struct err *err);
