#include "node/root.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/cleanup.h"
#include "base/err.h"
#include "base/fd.h"
#include "base/str.h"

int root_open(const char *root, const char *name, int flags)
{
	return fd_open_below(root, name, flags);
}

int root_real_path(int fd, char **ret_path)
{
	char link[64], target[PATH_MAX];
	ssize_t n;

	(void)snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	n = readlink(link, target, sizeof(target) - 1);
	if (n < 0)
		return err_negative(-errno);
	target[n] = '\0';
	return str_dup(ret_path, target);
}

static bool is_dangling(const char *root, const char *name)
{
	_cleanup_close_ int fd = root_open(root, name, O_PATH | O_NOFOLLOW);

	return fd >= 0;
}

/*
 * ROOT/NAME of a directory, where it really lies: links are followed as inside the root. The first
 * *ret_there bytes of the path are there, the rest has to be made. A link that leads nowhere is
 * -ENOENT: behind it something would be made that is outside of the root.
 */
static int resolve(const char *root, const char *name, char **ret_path, size_t *ret_there)
{
	_cleanup_free_ char *there = strdup(name), *real = NULL;
	int r;

	if (!there)
		return -ENOMEM;
	for (;;) {
		_cleanup_close_ int fd =
			root_open(root, *there ? there : "/", O_PATH | O_DIRECTORY);
		char *slash = strrchr(there, '/');

		if (fd >= 0) {
			r = str_empty(root) ? str_dup(&real, there) : root_real_path(fd, &real);
			if (r < 0)
				return r;
			*ret_there = strlen(real);
			return str_printf(ret_path, "%s%s", real, name + strlen(there));
		}
		if (fd != -ENOENT || !slash || is_dangling(root, there))
			return fd;
		*slash = '\0';
	}
}

int root_path(const char *root, const char *name, char **ret_path)
{
	const char *slash = strrchr(name, '/');
	_cleanup_free_ char *dir = NULL, *path = NULL;
	size_t there;
	int r;

	if (str_empty(root) || !slash)
		return str_dup(ret_path, name);
	r = str_printf(&dir, "%.*s", (int)(slash - name), name);
	if (r == 0)
		r = resolve(root, dir, &path, &there);
	return r < 0 ? r : str_printf(ret_path, "%s%s", path, slash);
}

int root_program(const char *root, const char *name, char **ret_path)
{
	_cleanup_close_ int fd = -EBADF;
	_cleanup_free_ char *path = NULL;
	int r;

	*ret_path = NULL;
	if (str_empty(root))
		return access(name, X_OK) == 0 ? str_dup(ret_path, name) : 0;
	fd = root_open(root, name, O_PATH);
	if (fd < 0)
		return 0;
	r = root_real_path(fd, &path);
	if (r == 0 && access(path, X_OK) == 0)
		*ret_path = TAKE_PTR(path);
	return r;
}

int root_missing_dirs(const char *root, const char *name, char **ret_last)
{
	_cleanup_free_ char *path = NULL;
	size_t there = 0;
	int missing = 0, r = resolve(root, name, &path, &there);

	if (r < 0)
		return r;
	for (const char *p = path + there; *p; p++)
		missing += *p == '/';
	path[there] = '\0';
	r = str_dup(ret_last, there > 0 ? path : "/");
	return r < 0 ? r : missing;
}

/* Removes the directories above `path` that were made for it; returns `r`. */
static int take_back(char *path, int made, int r)
{
	for (; made > 0; made--) {
		*strrchr(path, '/') = '\0';
		(void)rmdir(path); /* somebody else has put something there: it stays */
	}
	return r;
}

static int mkdirs(char *path, size_t at, mode_t mode, mode_t last_mode)
{
	int made = 0;

	for (;;) {
		size_t next = at + strcspn(path + at, "/");
		bool last = path[next] == '\0';

		path[next] = '\0';
		if (mkdir(path, last ? last_mode : mode) == 0)
			made++;
		else if (errno != EEXIST)
			return take_back(path, made, -errno);
		if (last)
			return made;
		path[next] = '/';
		at = next + 1;
	}
}

int root_mkdirs(const char *root, const char *name, mode_t mode, mode_t last_mode)
{
	_cleanup_free_ char *path = NULL;
	size_t there = 0;
	int r = resolve(root, name, &path, &there);
	mode_t mask;

	if (r < 0 || !path[there])
		return r;
	/* it must not decide who can read a configuration directory; these programs have one thread
	 */
	mask = umask(0);
	r = mkdirs(path, there + 1, mode, last_mode);
	(void)umask(mask);
	return r;
}

void root_rmdirs(const char *root, const char *name, int levels)
{
	_cleanup_free_ char *path = NULL;
	size_t there;

	if (resolve(root, name, &path, &there) < 0)
		return;
	for (; levels > 0; levels--) {
		char *slash = strrchr(path, '/');

		/* one that a killed run removed already counts as removed */
		if ((rmdir(path) < 0 && errno != ENOENT) || !slash || slash == path)
			return;
		*slash = '\0';
	}
}
