#include "node/pods.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include "base/cleanup.h"
#include "base/file.h"
#include "base/str.h"

static bool is_shim(const char *pid)
{
	static const char name[] = "containerd-shim-reaper-v2";
	_cleanup_free_ char *path = NULL, *cmdline = NULL;
	const char *base;

	if (!isdigit((unsigned char)pid[0]) || str_printf(&path, "/proc/%s/cmdline", pid) < 0 ||
		file_read_at(AT_FDCWD, path, 1 << 20, &cmdline, NULL, NULL) < 0 || !cmdline)
		return false;
	base = strrchr(cmdline, '/');
	return str_eq(base ? base + 1 : cmdline, name);
}

/* Nodes in containers and chroots show their processes to each other; a shim serves the node whose
 * root it has. */
static bool is_ours(const char *pid, const struct stat *root)
{
	_cleanup_free_ char *path = NULL;
	struct stat st;

	if (str_printf(&path, "/proc/%s/root", pid) < 0)
		return true;
	if (stat(path, &st) < 0)
		return errno != ENOENT && errno != ESRCH; /* it has just ended */
	return st.st_dev == root->st_dev && st.st_ino == root->st_ino;
}

unsigned pods_count(void)
{
	_cleanup_closedir_ DIR *dir = opendir("/proc");
	struct dirent *e;
	struct stat root;
	unsigned n = 0;

	if (stat("/", &root) < 0)
		return 0;
	while (dir && (e = readdir(dir)))
		n += is_shim(e->d_name) && is_ours(e->d_name, &root);
	return n;
}
