/*
 * JSON from outside, read with a type, a range and a limit for every value: json-c alone turns a
 * number that is too large into the largest one and a negative one into 0 without a word.
 *
 * A value is a struct json_ref: the value and, through `up`, the way to it, so that each error
 * names its place: "config.json: process.rlimits[2].soft: expected a number, got a string". The
 * path is put together only when there is an error. References live on the stack of the one who
 * reads; they are valid as long as the tree and the reference they come from.
 *
 * The getters answer 1 if the value is there, 0 if it is not (or is null; *ret_… is untouched
 * then), or -errno with ERR_INVALID.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/cleanup.h"
#include "base/err.h"

struct json_object; /* json-c's */

enum {
	JSON_DEPTH_MAX = 64,      /* nesting */
	JSON_VALUES_MAX = 262144, /* values in one document, and … */
	JSON_NESTS_MAX = 32768,   /* objects and arrays among them: both bound the tree's memory */
};

struct json_ref {
	struct json_object *value; /* borrowed; NULL: not there or null */
	const struct json_ref *up; /* NULL: `key` is the document's name */
	const char *key;           /* NULL: element `index` of an array */
	size_t index;
};

/* A string and its name: annotations, sysctls, … */
struct json_pair {
	char *key, *value;
};

/*
 * Reads one document: strict JSON, valid UTF-8, no NUL bytes, one object at the top, at most
 * JSON_DEPTH_MAX deep, within JSON_VALUES_MAX and JSON_NESTS_MAX, and no integer outside
 * INT64_MIN…UINT64_MAX. The size limit is the caller's (file_read_at). `what` names the document in
 * errors ("config.json") and is kept by reference. The tree goes to *ret_root; the caller ends it
 * with json_free. Of a repeated key the last one counts, as for Go's decoder, which wrote the file.
 */
int json_parse(
	const char *text, size_t len, const char *what, struct json_ref *ret_root, struct err *err);

/* Frees the tree of a root reference; NULL and twice are allowed. */
void json_free(struct json_ref *root);
#define _cleanup_json_ _cleanup_(json_free)

/* -EINVAL with "<what>: <path>: <text>". For rules of the caller's own. */
int json_errorf(const struct json_ref *ref, struct err *err, const char *fmt, ...)
	PRINTF_LIKE(3, 4);

/* Whether the object has a member of this name that is not null. */
bool json_has(const struct json_ref *object, const char *key);

/* -EINVAL with the name of the first member that is not among these. */
int json_only_members(
	const struct json_ref *object, const char *const *names, size_t n, struct err *err);

/* A member that is an object or an array. *ret_ref points to `object`, which must stay in place. */
int json_get_object(
	const struct json_ref *object, const char *key, struct json_ref *ret_ref, struct err *err);
/* At most `max` elements. */
int json_get_array(const struct json_ref *object, const char *key, size_t max,
	struct json_ref *ret_ref, size_t *ret_len, struct err *err);
/* Element `i` (< length) of an array, which must be an object. 0, not 1, on success. */
int json_element_object(
	const struct json_ref *array, size_t i, struct json_ref *ret_ref, struct err *err);

int json_get_bool(const struct json_ref *object, const char *key, bool *ret_v, struct err *err);
/* Whole numbers only: 1e3 and 1.0 are refused like every other non-integer. */
int json_get_u64(const struct json_ref *object, const char *key, uint64_t min, uint64_t max,
	uint64_t *ret_v, struct err *err);
int json_get_i64(const struct json_ref *object, const char *key, int64_t min, int64_t max,
	int64_t *ret_v, struct err *err);
int json_get_u32(const struct json_ref *object, const char *key, uint32_t *ret_v, struct err *err);

enum { JSON_STRING_MAX = 1 << 20 }; /* one string, as long as an argument of execve may be × 8 */

/*
 * A copy of a string in *ret_s; what was there before is freed. Strings with a NUL in them
 * ("a\u0000b") or longer than JSON_STRING_MAX are refused.
 */
int json_get_str(const struct json_ref *object, const char *key, char **ret_s, struct err *err);

/* An array of at most `max` strings as a vector (base/str.h). An empty array is 1 and NULL. */
int json_get_strv(
	const struct json_ref *object, const char *key, size_t max, char ***ret_v, struct err *err);

/* An array of at most `max` numbers 0…UINT32_MAX; what was in *ret_v is freed. An empty array is 1,
 * NULL and 0. */
int json_get_u32v(const struct json_ref *object, const char *key, size_t max, uint32_t **ret_v,
	size_t *ret_len, struct err *err);

/* An object of at most `max` members whose values are all strings, in the order of the file. */
int json_get_pairs(const struct json_ref *object, const char *key, size_t max,
	struct json_pair **ret_pairs, size_t *ret_len, struct err *err);

/* The names of the members of an object of at most `max`, in the order of the file, as a vector;
 * what was in *ret_keys is freed. An empty object is 1 and NULL. */
int json_get_keys(const struct json_ref *object, const char *key, size_t max, char ***ret_keys,
	struct err *err);

/* Frees `n` pairs and the array. NULL is allowed. */
void json_pairs_free(struct json_pair *pairs, size_t n);

/* The value that goes with `key`, or NULL. Borrowed. */
const char *json_pairs_get(const struct json_pair *pairs, size_t n, const char *key);

/* A member of any type as compact JSON text in *ret_text, for a reader elsewhere. */
int json_get_raw(const struct json_ref *object, const char *key, char **ret_text, struct err *err);

/*
 * Writing. A document is built from json_new_object() with the put functions and turned to text
 * with json_write. All answer 0 or -ENOMEM (also for a NULL object, so that a chain needs one
 * check). A string put as NULL is left out. `key` is copied.
 */
struct json_object *json_new_object(void);
void json_object_freep(struct json_object **o);
int json_put_str(struct json_object *o, const char *key, const char *s);
int json_put_bool(struct json_object *o, const char *key, bool v);
int json_put_u64(struct json_object *o, const char *key, uint64_t v);
int json_put_i64(struct json_object *o, const char *key, int64_t v);
int json_put_strv(struct json_object *o, const char *key, char *const *v);
/* Owns `child` always. */
int json_put_consume(struct json_object *o, const char *key, struct json_object *child);

/* An array, to be built with json_append. */
struct json_object *json_new_list(void);
/* Owns `child` always. */
int json_append(struct json_object *list, struct json_object *child);
int json_append_u64(struct json_object *list, uint64_t v);

enum json_style { JSON_COMPACT, JSON_PRETTY };

/* Text without escaped slashes and with a newline at the end, in *ret_text (the caller frees). */
int json_write(struct json_object *o, enum json_style style, char **ret_text, size_t *ret_len);
