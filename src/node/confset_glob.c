#include <dirent.h>
#include <errno.h>
#include <fnmatch.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include "base/cleanup.h"
#include "base/str.h"
#include "node/confset.h"

/* glob(3) would do, but it pulls NSS (for "~") into a static program; and Go's filepath.Glob, whose
 * rules count here, lets '*' match a leading dot. */

static int compare(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static bool has_magic(const char *s)
{
	return strpbrk(s, "*?[\\") != NULL;
}

/* The names in `dir` that match one component of the pattern, each put behind the directory. */
static int match_component(const char *root, const char *dir, const char *component, char ***names)
{
	_cleanup_free_ char *path = NULL;
	_cleanup_closedir_ DIR *d = NULL;
	struct dirent *e;
	int r = str_printf(&path, "%s%s/", root, dir);

	if (r < 0)
		return r;
	d = opendir(path);
	while (d && (e = readdir(d))) {
		if (str_eq(e->d_name, ".") || str_eq(e->d_name, "..") ||
			fnmatch(component, e->d_name, 0) != 0)
			continue;
		if (strv_len(*names) >= CONFSET_FILES_MAX)
			return -E2BIG;
		r = strv_appendf(names, "%s/%s", dir, e->d_name);
		if (r < 0)
			return r;
	}
	return 0;
}

static int expand_one(const char *root, const char *dir, const char *component, char ***names)
{
	_cleanup_free_ char *path = NULL;
	struct stat st;
	int r;

	if (has_magic(component))
		return match_component(root, dir, component, names);
	r = str_printf(&path, "%s%s/%s", root, dir, component);
	if (r < 0)
		return r;
	if (lstat(path, &st) < 0)
		return 0;
	return strv_appendf(names, "%s/%s", dir, component);
}

int confset_glob(const char *root, const char *pattern, char ***ret_names)
{
	_cleanup_strv_ char **components = NULL, **names = NULL;
	int r = strv_split(&components, pattern, "/");

	if (r == 0)
		r = strv_append(&names, "");
	for (char **c = components; r == 0 && c && *c; c++) {
		_cleanup_strv_ char **next = NULL;

		for (char **n = names; r == 0 && n && *n; n++)
			r = expand_one(root, *n, *c, &next);
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
