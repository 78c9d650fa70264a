#include "node/root.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>
#include "base/cleanup.h"
#include "base/str.h"

int root_open(const char *root, const char *name, int flags)
{
	struct open_how how = {.flags = (unsigned)(flags | O_CLOEXEC | O_NOCTTY),
		.resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS};
	_cleanup_close_ int dir = -EBADF;
	long fd;

	if (str_empty(root)) {
		fd = open(name, flags | O_CLOEXEC | O_NOCTTY);
		return fd < 0 ? -errno : (int)fd;
	}
	dir = open(root, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (dir < 0)
		return -errno;
	fd = syscall(SYS_openat2, dir, name, &how, sizeof(how));
	return fd < 0 ? -errno : (int)fd;
}

int root_real_path(int fd, char **ret_path)
{
	char link[64], target[PATH_MAX];
	ssize_t n;

	(void)snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	n = readlink(link, target, sizeof(target) - 1);
	if (n < 0)
		return -errno;
	target[n] = '\0';
	return str_dup(ret_path, target);
}

int root_missing_dirs(const char *root, const char *name, char **ret_last)
{
	_cleanup_free_ char *path = NULL;
	int missing = 0, r = str_printf(&path, "%s%s", root, name);

	if (r < 0)
		return r;
	for (; access(path, F_OK) < 0; missing++) {
		char *slash = strrchr(path, '/');

		if (errno != ENOENT || !slash)
			return -errno;
		slash[slash == path] = '\0';
	}
	*ret_last = TAKE_PTR(path);
	return missing;
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
	int r = str_printf(&path, "%s%s", root, name);
	mode_t mask;

	if (r < 0)
		return r;
	/* it must not decide who can read a configuration directory; these programs have one thread
	 */
	mask = umask(0);
	r = mkdirs(path, strlen(root) + 1, mode, last_mode);
	(void)umask(mask);
	return r;
}

void root_rmdirs(const char *root, const char *name, int levels)
{
	_cleanup_free_ char *path = NULL;

	if (str_printf(&path, "%s%s", root, name) < 0)
		return;
	for (; levels > 0; levels--) {
		char *slash = strrchr(path, '/');

		/* one that a killed run removed already counts as removed */
		if ((rmdir(path) < 0 && errno != ENOENT) || !slash || slash == path)
			return;
		*slash = '\0';
	}
}
