#include "cgroup/read.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include "base/cleanup.h"
#include "base/file.h"
#include "base/num.h"
#include "base/str.h"
#include "cgroup/tree.h"

/* A line for each block device or processor of a large machine. */
enum { STAT_TEXT_MAX = 1 << 20 };

static int read_in(const struct cgroup_dir *d, const char *file, char **ret_text)
{
	char path[PATH_MAX];
	int r = cgroup_file_path(path, sizeof(path), d->path, file);

	if (r == 0)
		r = file_read_at(AT_FDCWD, path, STAT_TEXT_MAX, ret_text, NULL, NULL);
	return r == -ENODEV ? -ENOENT : r; /* it was removed while the file was open */
}

int cgroup_read(
	const struct cgroup *cg, enum cgroup_controller c, const char *file, char **ret_text)
{
	size_t i;

	return cgroup_has(cg, c, &i) ? read_in(&cg->dirs[i], file, ret_text) : -ENOENT;
}

int cgroup_read_v2(const struct cgroup *cg, const char *file, char **ret_text)
{
	if (cg->n == 0 || !cg->dirs[cg->n - 1].v2)
		return -ENOENT;
	return read_in(&cg->dirs[cg->n - 1], file, ret_text);
}

/* Digits, or "max", that end at a blank or at the end of the line. */
static int parse_number(const char *s, uint64_t *ret_v)
{
	char word[24];
	size_t n = strcspn(s, " \n");

	if (n == 0 || n >= sizeof(word))
		return -EINVAL;
	memcpy(word, s, n);
	word[n] = '\0';
	if (str_eq(word, "max")) {
		*ret_v = UINT64_MAX;
		return 0;
	}
	return num_parse_u64(word, UINT64_MAX, ret_v);
}

int cgroup_read_u64(
	const struct cgroup *cg, enum cgroup_controller c, const char *file, uint64_t *ret_v)
{
	_cleanup_free_ char *text = NULL;
	int r = cgroup_read(cg, c, file, &text);

	if (r < 0)
		return r;
	return text ? parse_number(text, ret_v) : -EINVAL;
}

int cgroup_text_value(const char *text, const char *key, uint64_t *ret_v)
{
	size_t len = strlen(key);

	for (const char *line = text; line && *line; line = strchr(line, '\n')) {
		line += *line == '\n';
		if (strncmp(line, key, len) == 0 && line[len] == ' ')
			return parse_number(line + len + 1, ret_v);
	}
	return -ENOENT;
}

int cgroup_line_value(const char *line, const char *key, uint64_t *ret_v)
{
	size_t len = strlen(key);

	for (const char *word = line; *word && *word != '\n';) {
		if (strncmp(word, key, len) == 0 && word[len] == '=')
			return parse_number(word + len + 1, ret_v);
		word += strcspn(word, " \n");
		word += strspn(word, " ");
	}
	return -ENOENT;
}

int cgroup_file_names(const struct cgroup *cg, enum cgroup_controller c, const char *prefix,
	const char *suffix, char ***ret_names)
{
	_cleanup_closedir_ DIR *dir = NULL;
	_cleanup_strv_ char **names = NULL;
	size_t before = strlen(prefix), after = strlen(suffix), i;
	struct dirent *e;

	if (!cgroup_has(cg, c, &i))
		return -ENOENT;
	dir = opendir(cg->dirs[i].path);
	if (!dir)
		return -errno;
	while ((e = readdir(dir))) {
		size_t len = strlen(e->d_name);
		int r;

		if (len <= before + after || !str_has_prefix(e->d_name, prefix) ||
			!str_eq(e->d_name + len - after, suffix))
			continue;
		r = strv_appendf(&names, "%.*s", (int)(len - before - after), e->d_name + before);
		if (r < 0)
			return r;
	}
	*ret_names = TAKE_PTR(names);
	return 0;
}
