/*
 * What json-c does not say about a text: how much there is in it before a tree is made, and which
 * integers it would silently have replaced by the nearest it can hold.
 */
#pragma once

#include <stddef.h>
#include "base/err.h"

/* Refuses NUL bytes, 'strings' in single quotes, and more than JSON_VALUES_MAX values or
 * JSON_NESTS_MAX objects and arrays. The text need not be JSON. */
int json_scan_limits(const char *text, size_t len, const char *what, struct err *err);

/* Refuses integers outside INT64_MIN…UINT64_MAX, naming the first one's path. For a text that
 * json-c has accepted; any other text gives any answer, but no wrong access. */
int json_scan_numbers(const char *text, size_t len, const char *what, struct err *err);
