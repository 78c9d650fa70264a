#include "base/str.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include "base/cleanup.h"

bool str_has_prefix(const char *s, const char *prefix)
{
	return strncmp(s, prefix, strlen(prefix)) == 0;
}

bool str_has_suffix(const char *s, const char *suffix)
{
	size_t ls = strlen(s), lx = strlen(suffix);

	return ls >= lx && str_eq(s + ls - lx, suffix);
}

int str_printf(char **ret_s, const char *fmt, ...)
{
	va_list ap;
	char *s;
	int n;

	va_start(ap, fmt);
	n = vasprintf(&s, fmt, ap);
	va_end(ap);
	if (n < 0)
		return -ENOMEM;
	*ret_s = s;
	return 0;
}

int str_dup(char **ret_s, const char *s)
{
	char *copy = NULL;

	if (s) {
		copy = strdup(s);
		if (!copy)
			return -ENOMEM;
	}
	*ret_s = copy;
	return 0;
}

static bool is_alnum(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

bool str_is_identifier(const char *s)
{
	bool need_alnum = true; /* at the start, and after each separator */
	size_t n = 0;

	for (; s[n]; n++) {
		if (n >= 76)
			return false;
		if (is_alnum(s[n]))
			need_alnum = false;
		else if ((s[n] == '.' || s[n] == '_' || s[n] == '-') && !need_alnum)
			need_alnum = true;
		else
			return false;
	}
	return n > 0 && !need_alnum;
}

size_t strv_len(char *const *v)
{
	size_t n = 0;

	while (v && v[n])
		n++;
	return n;
}

bool strv_has(char *const *v, const char *s)
{
	for (; v && *v; v++) {
		if (str_eq(*v, s))
			return true;
	}
	return false;
}

char **strv_free(char **v)
{
	for (size_t i = 0; v && v[i]; i++)
		free(v[i]);
	free((void *)v);
	return NULL;
}

void strv_freep(char ***v)
{
	*v = strv_free(*v);
}

/* Owns `s` always. */
static int strv_consume(char ***v, char *s)
{
	size_t n = strv_len(*v);
	char **grown = reallocarray((void *)*v, n + 2, sizeof(char *));

	if (!grown) {
		free(s);
		return -ENOMEM;
	}
	grown[n] = s;
	grown[n + 1] = NULL;
	*v = grown;
	return 0;
}

int strv_append(char ***v, const char *s)
{
	char *copy = strdup(s);

	return copy ? strv_consume(v, copy) : -ENOMEM;
}

int strv_appendf(char ***v, const char *fmt, ...)
{
	va_list ap;
	char *s;
	int n;

	va_start(ap, fmt);
	n = vasprintf(&s, fmt, ap);
	va_end(ap);
	return n < 0 ? -ENOMEM : strv_consume(v, s);
}

int strv_copy(char ***ret_v, char *const *v)
{
	size_t n = strv_len(v);
	_cleanup_strv_ char **copy = (char **)calloc(n + 1, sizeof(char *));

	if (!copy)
		return -ENOMEM;
	for (size_t i = 0; i < n; i++) {
		copy[i] = strdup(v[i]);
		if (!copy[i])
			return -ENOMEM;
	}
	*ret_v = TAKE_PTR(copy);
	return 0;
}

int strv_split(char ***ret_v, const char *s, const char *seps)
{
	_cleanup_strv_ char **v = (char **)calloc(1, sizeof(char *));

	if (!v)
		return -ENOMEM;
	for (;;) {
		size_t n;
		char *word;
		int r;

		s += strspn(s, seps);
		n = strcspn(s, seps);
		if (n == 0)
			break;
		word = strndup(s, n);
		r = word ? strv_consume(&v, word) : -ENOMEM;
		if (r < 0)
			return r;
		s += n;
	}
	*ret_v = TAKE_PTR(v);
	return 0;
}

static char **env_find(char *const *env, const char *name)
{
	size_t n = strlen(name);

	for (size_t i = 0; env && env[i]; i++) {
		if (strncmp(env[i], name, n) == 0 && env[i][n] == '=')
			return (char **)&env[i];
	}
	return NULL;
}

const char *strv_env_get(char *const *env, const char *name)
{
	char **slot = env_find(env, name);

	return slot ? *slot + strlen(name) + 1 : NULL;
}

int strv_env_set(char ***env, const char *name, const char *value)
{
	char **slot = env_find(*env, name);
	char *entry;
	int r;

	r = str_printf(&entry, "%s=%s", name, value);
	if (r < 0)
		return r;
	if (!slot)
		return strv_consume(env, entry);
	free(*slot);
	*slot = entry;
	return 0;
}

bool strv_asks_help(char *const *words)
{
	for (; *words; words++) {
		/* -help is how Go's flag package spells it: callers of a shim know that */
		if (str_eq(*words, "-h") || str_eq(*words, "-help") || str_eq(*words, "--help"))
			return true;
	}
	return false;
}
