#include "base/glob.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include "base/cleanup.h"
#include "base/fd.h"
#include "base/str.h"

/*
 * The rules are those of Go's filepath.Glob: '*' and '?' match a leading dot too, '^' alone negates
 * a class, and a pattern that is none matches nothing. glob(3) has others and pulls NSS (for "~")
 * into a static program, fnmatch(3) the locale's collation.
 */

/* The bytes of the character at `s`. */
static size_t char_len(const char *s)
{
	size_t n = 1;

	while (((unsigned char)s[n] & 0xc0) == 0x80)
		n++;
	return n;
}

/* One character of a class, which a backslash may quote; `p` is moved behind it. Empty: there is
 * none. */
static struct slice {
	const char *s;
	size_t len;
} class_char(const char **p)
{
	struct slice c = {.s = *p};

	if (*c.s == '\\')
		c.s++;
	if (*c.s && !(c.s == *p && (*c.s == '-' || *c.s == ']')))
		c.len = char_len(c.s);
	*p = c.s + c.len;
	return c;
}

/* In UTF-8 the order of the bytes is that of the characters. */
static int slice_cmp(struct slice a, struct slice b)
{
	int r = memcmp(a.s, b.s, a.len < b.len ? a.len : b.len);

	return r ? r : (a.len > b.len) - (a.len < b.len);
}

/* The class behind a '['; the rest of the pattern, NULL if it is no class. */
static const char *match_class(const char *p, struct slice c, bool *ret_matches)
{
	bool negated = *p == '^', matches = false;

	p += negated;
	do {
		struct slice low = class_char(&p), high = low;

		if (low.len > 0 && *p == '-') {
			p++;
			high = class_char(&p);
		}
		if (high.len == 0)
			return NULL;
		matches |= slice_cmp(low, c) <= 0 && slice_cmp(c, high) <= 0;
	} while (*p && *p != ']');
	*ret_matches = matches != negated;
	return *p ? p + 1 : NULL;
}

/* One character of the name against one term that is no '*'; the rest of the pattern, or NULL. */
static const char *match_char(const char *p, struct slice c)
{
	bool matches = false;

	if (*p == '?')
		return p + 1;
	if (*p == '[') {
		p = match_class(p + 1, c, &matches);
		return matches ? p : NULL;
	}
	if (*p == '\\')
		p++;
	return strncmp(p, c.s, c.len) == 0 ? p + c.len : NULL;
}

bool glob_match(const char *pattern, const char *name)
{
	const char *star = NULL, *retry = NULL;

	while (*name || *pattern) {
		const char *next = NULL;

		if (*pattern == '*') {
			star = ++pattern;
			retry = name;
			continue;
		}
		if (*name && *pattern)
			next = match_char(pattern, (struct slice) {name, char_len(name)});
		if (next) {
			pattern = next;
			name += char_len(name);
		} else if (star && *retry) { /* the last star takes one more */
			retry += char_len(retry);
			name = retry;
			pattern = star;
		} else {
			return false;
		}
	}
	return true;
}

static int compare(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static bool has_magic(const char *s)
{
	return strpbrk(s, "*?[\\") != NULL;
}

/* The names in `dir` that match one component of the pattern, each put behind the directory. */
static int match_component(
	const char *root, const char *dir, const char *component, size_t max, char ***names)
{
	int fd = fd_open_below(root, *dir ? dir : "/", O_RDONLY | O_DIRECTORY);
	_cleanup_closedir_ DIR *d = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *e;
	int r;

	if (fd >= 0 && !d)
		fd_close(&fd);
	while (d && (e = readdir(d))) {
		if (str_eq(e->d_name, ".") || str_eq(e->d_name, "..") ||
			!glob_match(component, e->d_name))
			continue;
		if (strv_len(*names) >= max)
			return -E2BIG;
		r = strv_appendf(names, "%s/%s", dir, e->d_name);
		if (r < 0)
			return r;
	}
	return 0;
}

static int expand_one(
	const char *root, const char *dir, const char *component, size_t max, char ***names)
{
	_cleanup_close_ int fd = -EBADF;
	struct stat st;

	if (has_magic(component))
		return match_component(root, dir, component, max, names);
	fd = fd_open_below(root, *dir ? dir : "/", O_PATH | O_DIRECTORY);
	if (fd < 0 || fstatat(fd, component, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return 0;
	return strv_appendf(names, "%s/%s", dir, component);
}

int glob_expand(const char *root, const char *pattern, size_t max, char ***ret_names)
{
	_cleanup_strv_ char **components = NULL, **names = NULL;
	int r = strv_split(&components, pattern, "/");

	if (r == 0)
		r = strv_append(&names, "");
	for (char **c = components; r == 0 && c && *c; c++) {
		_cleanup_strv_ char **next = NULL;

		for (char **n = names; r == 0 && n && *n; n++)
			r = expand_one(root, *n, *c, max, &next);
		strv_free(names);
		names = TAKE_PTR(next);
	}
	if (r < 0)
		return r;
	if (names)
		qsort(names, strv_len(names), sizeof(*names), compare);
	*ret_names = TAKE_PTR(names);
	return 0;
}
