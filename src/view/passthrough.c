#include "view/passthrough.h"

#include <errno.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include "base/cleanup.h"
#include "base/glob.h"
#include "base/str.h"

enum { MATCHES_MAX = 1024 };

static int add(struct mount_ops *ops, const char *path, struct err *err)
{
	struct mount_op *op;
	struct stat st;

	/* a link is no socket: what it leads to has a path of its own */
	if (lstat(path, &st) < 0 ||
		(!S_ISSOCK(st.st_mode) && !S_ISFIFO(st.st_mode) && !S_ISDIR(st.st_mode)))
		return 0;
	op = mount_ops_add(ops, MOUNT_OP_BIND, path, path, NULL);
	if (!op)
		return err_sysf(err, ENOMEM, "list of mounts");
	op->optional = op->of_host = true;
	op->options.bind = true;
	op->options.recursive_bind = S_ISDIR(st.st_mode);
	op->options.set = MS_RDONLY | MS_NOSUID | MS_NODEV | MS_NOEXEC;
	op->options.propagation = MS_SLAVE;
	op->options.propagation_recursive = true;
	return 0;
}

int passthrough_add(char *const *patterns, struct mount_ops *ops, struct err *err)
{
	for (char *const *p = patterns; p && *p; p++) {
		_cleanup_strv_ char **paths = NULL;
		int r = glob_expand("", *p, MATCHES_MAX, &paths);

		if (r < 0)
			return err_sysf(err, -r, "REAPER_PASSTHROUGH: %s", *p);
		for (char **path = paths; path && *path; path++) {
			r = add(ops, *path, err);
			if (r < 0)
				return r;
		}
	}
	return 0;
}
