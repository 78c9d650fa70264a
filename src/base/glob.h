/* Patterns of absolute paths, as Go's filepath.Glob reads them. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

/*
 * The names that match `pattern` in the tree `root` ("" is the machine's), without `root` in front,
 * sorted, as a new vector (strv_free); NULL if there are none. -ENOMEM; -E2BIG if one part of the
 * pattern matches more than `max`.
 */
int glob_expand(const char *root, const char *pattern, size_t max, char ***ret_names);

/* Whether a name, which holds no '/', matches one component of a pattern, by the rules of Go's
 * filepath.Match. */
bool glob_match(const char *pattern, const char *name);
