#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "base/cleanup.h"
#include "base/file.h"
#include "base/str.h"
#include "cli/child.h"
#include "uppers/upper_diff.h"

#define DPKG_INFO "/var/lib/dpkg/info"

enum { LIST_MAX = 64 << 20 }; /* bytes of one package's list */

static int compare(const void *key, const void *change)
{
	return strcmp(key, ((const struct upper_change *)change)->path);
}

/* The first package that has a path is its owner: lists of the view are read before the node's. */
static void own(struct upper_changes *c, const char *path, const char *package)
{
	struct upper_change *change = bsearch(path, c->v, c->n, sizeof(*c->v), compare);

	if (change && !change->package)
		change->package = package;
}

/* Packages still name /bin/x where the node's /bin is a link to /usr/bin. */
static void own_merged(struct upper_changes *c, const char *path, const char *package)
{
	static const char *const merged[] = {
		"/bin/", "/sbin/", "/lib/", "/lib32/", "/lib64/", "/libx32/"};
	_cleanup_free_ char *moved = NULL;

	for (size_t i = 0; i < ARRAY_LEN(merged); i++) {
		if (str_has_prefix(path, merged[i]) && str_printf(&moved, "/usr%s", path) == 0)
			own(c, moved, package);
		free(TAKE_PTR(moved));
	}
}

static const char *keep_name(struct upper_changes *c, const char *name, size_t len)
{
	_cleanup_free_ char *copy = strndup(name, len);

	if (!copy || strv_append(&c->packages, copy) < 0)
		return NULL;
	return c->packages[strv_len(c->packages) - 1];
}

/* ---- dpkg ---- */

/* NAME.list or NAME:ARCHITECTURE.list: a path a line. */
static int read_list(struct upper_changes *c, int dir, const char *file, struct err *err)
{
	_cleanup_free_ char *text = NULL;
	size_t name = strcspn(file, ":");
	const char *package;
	char *rest, *line;
	int r;

	if (name > strlen(file) - strlen(".list"))
		name = strlen(file) - strlen(".list");
	package = keep_name(c, file, name);
	if (!package)
		return err_sysf(err, ENOMEM, "packages");
	r = file_read_at(dir, file, LIST_MAX, &text, NULL, err);
	if (r < 0)
		return r == -ENOMEM ? r : 0; /* what cannot be read names no owners */
	rest = text;
	while ((line = strsep(&rest, "\n"))) {
		own(c, line, package);
		own_merged(c, line, package);
	}
	return 0;
}

/* False in *ret_found: no dpkg there. */
static int read_dpkg(
	struct upper_changes *c, const char *info_dir, bool *ret_found, struct err *err)
{
	_cleanup_closedir_ DIR *dir = opendir(info_dir);
	struct dirent *e;
	int r = 0;

	*ret_found = dir != NULL;
	while (dir && r == 0 && (e = readdir(dir))) {
		struct stat st;

		/* those of the view are files of workloads: nothing else is opened */
		if (str_has_suffix(e->d_name, ".list") &&
			fstatat(dirfd(dir), e->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
			S_ISREG(st.st_mode))
			r = read_list(c, dirfd(dir), e->d_name, err);
	}
	return r;
}

/* ---- rpm ---- */

/* All files of all packages in one answer, "NAME<tab>PATH" a line. */
static int ask_rpm(struct upper_changes *c, struct err *err)
{
	_cleanup_(child_result_done) struct child_result result = CHILD_RESULT_INIT;
	_cleanup_free_ char *program = NULL;
	char *argv[] = {(char *)"rpm", (char *)"-qa", (char *)"--queryformat",
		(char *)"[%{=NAME}\\t%{FILENAMES}\\n]", NULL};
	struct child_spec spec = {.argv = argv};
	const char *package = NULL;
	char *rest, *line;
	int r;

	if (child_find("rpm", &program, NULL) < 0)
		return 0;
	spec.path = program;
	r = child_must(&spec, &result, err);
	if (r < 0)
		return r;
	rest = result.out.data;
	while ((line = strsep(&rest, "\n"))) {
		char *tab = strchr(line, '\t');

		if (!tab)
			continue;
		*tab = '\0';
		if (!package || !str_eq(package, line))
			package = keep_name(c, line, strlen(line));
		if (!package)
			return err_sysf(err, ENOMEM, "packages");
		own(c, tab + 1, package);
		own_merged(c, tab + 1, package);
	}
	return 0;
}

int upper_find_packages(struct upper_changes *c, const struct mount_uppers *uppers, struct err *err)
{
	_cleanup_free_ char *installed = NULL;
	bool found = false;
	int r;

	if (c->n == 0)
		return 0;
	installed = mount_uppers_path(uppers, DPKG_INFO);
	if (!installed)
		return err_sysf(err, ENOMEM, "packages");
	r = read_dpkg(c, installed, &found, err);
	if (r == 0)
		r = read_dpkg(c, DPKG_INFO, &found, err);
	return r == 0 && !found ? ask_rpm(c, err) : r;
}
