/* The way to a JSON value in words, "process.rlimits[2].soft": put together for errors only. */
#pragma once

#include <stddef.h>

struct json_path {
	char text[512]; /* NUL-terminated, cut at the end when too long */
	size_t len;
};

/* Appends a member's name; bytes that do not belong into one line of a log are shown as '?', long
 * names are cut. */
void json_path_key(struct json_path *p, const char *key, size_t len);
void json_path_index(struct json_path *p, size_t index);
