/* What every change of containerd's configuration asks about its surroundings. */
#include <stdlib.h>
#include <unistd.h>
#include "base/cleanup.h"
#include "base/macro.h"
#include "base/str.h"
#include "mount/inside.h"
#include "node/containerd_impl.h"

/* The PATH of systemd's units, which containerd searches, in its order. */
static const char *const dirs[] = {
	"/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin"};
enum { OF_ADMINISTRATORS = 2 }; /* so many of them belong to no package */

static char *find_shim(const char *root, size_t from, size_t to)
{
	for (size_t i = from; i < to; i++) {
		char *path = NULL;

		if (str_printf(&path, "%s%s/containerd-shim-reaper-v2", root, dirs[i]) < 0)
			return NULL;
		if (access(path, X_OK) == 0)
			return path;
		free(path);
	}
	return NULL;
}

bool containerd_find_shim(const char *root)
{
	_cleanup_free_ char *path = find_shim(root, 0, ARRAY_LEN(dirs));

	return path != NULL;
}

char *containerd_shadowing_shim(const char *root)
{
	_cleanup_free_ char *packaged = find_shim(root, OF_ADMINISTRATORS, ARRAY_LEN(dirs));

	return packaged ? find_shim(root, 0, OF_ADMINISTRATORS) : NULL;
}

bool containerd_inside_view(const struct cli_args *args, struct report *rep)
{
	if (args->root || !mount_inside_view())
		return false;
	(void)report_set(rep, REASON_IN_VIEW,
		"this is the view of a Reaper pod: containerd's configuration is left as it is");
	return true;
}
