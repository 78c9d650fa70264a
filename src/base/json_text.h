/*
 * From the text of a document to json-c's tree. json-c's own reader takes what is no JSON even when
 * it is strict ('name', TRUE inside a word), replaces integers by the nearest that it can hold, and
 * brings the locale and floating point of libc with it, 60 kB of each program.
 */
#pragma once

#include <stddef.h>
#include "base/err.h"

struct json_object;

/*
 * Reads one document as json_parse (base/json.h) promises; any value may be at its top. *ret_tree
 * is the caller's (json_object_put), NULL for null. A number with a fraction or an exponent keeps
 * its text and has no value. Half of a surrogate pair becomes U+FFFD, as for Go's decoder.
 */
int json_read_text(const char *text, size_t len, const char *what, struct json_object **ret_tree,
	struct err *err);
