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

int root_mkdirs(const char *root, const char *name, mode_t mode, mode_t last_mode)
{
	_cleanup_free_ char *path = NULL;
	size_t at = strlen(root) + 1;
	int made = 0, r;

	r = str_printf(&path, "%s%s", root, name);
	if (r < 0)
		return r;
	for (;;) {
		size_t next = at + strcspn(path + at, "/");
		bool last = path[next] == '\0';

		path[next] = '\0';
		if (mkdir(path, last ? last_mode : mode) == 0) {
			made++;
			/* umask must not decide who can read a configuration directory */
			if (chmod(path, last ? last_mode : mode) < 0)
				return -errno;
		} else if (errno != EEXIST) {
			return -errno;
		}
		if (last)
			return made;
		path[next] = '/';
		at = next + 1;
	}
}

void root_rmdirs(const char *root, const char *name, int levels)
{
	_cleanup_free_ char *path = NULL;

	if (str_printf(&path, "%s%s", root, name) < 0)
		return;
	for (; levels > 0; levels--) {
		char *slash = strrchr(path, '/');

		if (rmdir(path) < 0 || !slash || slash == path)
			return;
		*slash = '\0';
	}
}
