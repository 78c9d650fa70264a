/* Strings: predicates, formatted allocation, and NULL-terminated vectors of strings (argv, env). */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <string.h>
#include "base/macro.h"

static inline bool str_eq(const char *a, const char *b)
{
	return strcmp(a, b) == 0;
}

static inline bool str_empty(const char *s)
{
	return !s || !*s;
}

/* Whether `s` begins with `prefix`; the rest is at s + strlen(prefix). */
bool str_has_prefix(const char *s, const char *prefix);
bool str_has_suffix(const char *s, const char *suffix);

/* A new string in *ret_s that the caller frees. -ENOMEM. */
int str_printf(char **ret_s, const char *fmt, ...) PRINTF_LIKE(2, 3);

/* strdup that keeps NULL: *ret_s is NULL when `s` is. -ENOMEM. */
int str_dup(char **ret_s, const char *s);

/*
 * Whether `s` is an identifier as containerd checks them (pkg/identifiers): 1 to 76 bytes,
 * ^[A-Za-z0-9]+([._-][A-Za-z0-9]+)*$. It is safe as one path component.
 */
bool str_is_identifier(const char *s);

/* A NULL-terminated vector on the heap; NULL is the empty vector. */
size_t strv_len(char *const *v);

/* Whether a string of the vector equals `s`. */
bool strv_has(char *const *v, const char *s);

/* Whether a command line, NULL at its end, has a word that asks for help. */
bool strv_asks_help(char *const *words);

/* Frees the vector and its strings; NULL is allowed. Returns NULL. */
char **strv_free(char **v);
void strv_freep(char ***v);
#define _cleanup_strv_ _cleanup_(strv_freep)

/* Appends a copy of `s` to *v. -ENOMEM, *v unchanged then. */
int strv_append(char ***v, const char *s);
/* The same with a format. */
int strv_appendf(char ***v, const char *fmt, ...) PRINTF_LIKE(2, 3);

/* A deep copy in *ret_v. */
int strv_copy(char ***ret_v, char *const *v);

/* Splits at any of `seps`, leaving empty words out. */
int strv_split(char ***ret_v, const char *s, const char *seps);

/* The value of NAME in an environment vector ("NAME=value"), or NULL. Points into the vector. */
const char *strv_env_get(char *const *env, const char *name);
/* Sets or replaces NAME in an environment vector. */
int strv_env_set(char ***env, const char *name, const char *value);
