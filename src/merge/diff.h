/* The change of one contiguous range as a unified diff, as `diff -u` would print it. */
#pragma once

#include <stdbool.h>
#include <stdio.h>

/*
 * `cut` bytes at `at` of the old text became `add` bytes of the new one. Colours if `colour`. The
 * header names `path` twice (/dev/null instead of the old one if `created`).
 */
void diff_print(FILE *out, const char *path, bool created, const char *old, size_t old_len,
	const char *new, size_t new_len, size_t at, size_t cut, size_t add, bool colour);
