#include "store/layout.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/cleanup.h"
#include "base/file.h"
#include "base/macro.h"
#include "base/str.h"

/* Absolute, and the same path however it is walked: no empty, "." or ".." parts. */
static bool is_plain_path(const char *path)
{
	const char *p = path;

	if (*p != '/' || !p[1])
		return false;
	while (*p) {
		const char *part = ++p;
		size_t len = strcspn(part, "/");

		if (len == 0 || (len == 1 && part[0] == '.') ||
			(len == 2 && part[0] == '.' && part[1] == '.'))
			return false;
		p = part + len;
	}
	return true;
}

static int join(char **ret_path, const char *dir, const char *name)
{
	return str_printf(ret_path, "%s/%s", dir, name);
}

int store_layout_init(struct store_layout *ret_layout, const char *root, const char *overlay_base,
	struct err *err)
{
	struct store_layout l = STORE_LAYOUT_INIT;
	int r;

	root = root ? root : STORE_ROOT;
	if (!is_plain_path(root) || (overlay_base && !is_plain_path(overlay_base)))
		return err_setf(err, ERR_INVALID, EINVAL,
			"%s: must be an absolute path without empty, . and .. parts",
			is_plain_path(root) ? overlay_base : root);
	r = str_dup(&l.root, root);
	if (r == 0)
		r = join(&l.ns, root, "ns");
	if (r == 0)
		r = join(&l.groups, root, "groups");
	if (r == 0)
		r = join(&l.seccomp, root, "seccomp");
	if (r == 0)
		r = overlay_base ? str_dup(&l.overlay, overlay_base)
				 : join(&l.overlay, root, "overlay");
	if (r == 0)
		r = join(&l.upper, l.overlay, "upper");
	if (r < 0) {
		store_layout_done(&l);
		return err_sysf(err, -r, "%s", root);
	}
	*ret_layout = l;
	return 0;
}

void store_layout_done(struct store_layout *layout)
{
	if (!layout)
		return;
	free(layout->root);
	free(layout->ns);
	free(layout->groups);
	free(layout->seccomp);
	free(layout->overlay);
	free(layout->upper);
	*layout = (struct store_layout)STORE_LAYOUT_INIT;
}

/* Nothing has to be made or changed. */
static bool is_as_wanted(const char *path, mode_t mode, uid_t owner)
{
	struct stat st;

	return lstat(path, &st) == 0 && S_ISDIR(st.st_mode) && st.st_uid == owner &&
	       (st.st_mode & 07777) == mode;
}

/* Looks at what is there through a descriptor, so that it is the same directory all along. */
static int take_directory(const char *path, mode_t mode, struct err *err)
{
	_cleanup_close_ int fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	struct stat st;

	if (fd < 0 && (errno == ELOOP || errno == ENOTDIR))
		return err_setf(err, ERR_PRECONDITION, ENOTDIR,
			"%s: is not a directory: remove it, Reaper makes it anew", path);
	if (fd < 0 || fstat(fd, &st) < 0)
		return err_sysf(err, errno, "%s", path);
	if (st.st_uid != geteuid())
		return err_setf(err, ERR_PRECONDITION, EPERM,
			"%s: belongs to uid %u, not to uid %u: remove it, Reaper makes it anew",
			path, st.st_uid, geteuid());
	if ((st.st_mode & 07777) != mode && fchmod(fd, mode) < 0)
		return err_sysf(err, errno, "%s", path);
	return 0;
}

static int make_directory(const char *path, mode_t mode, struct err *err)
{
	if (mkdir(path, mode) < 0 && errno != EEXIST)
		return err_sysf(err, errno, "%s", path);
	return take_directory(path, mode, err);
}

int store_layout_prepare(const struct store_layout *layout, struct err *err)
{
	static const struct {
		size_t offset;
		mode_t mode;
	} table[] = {
		{offsetof(struct store_layout, root), 0700},
		{offsetof(struct store_layout, ns), 0700},
		{offsetof(struct store_layout, groups), 0700},
		{offsetof(struct store_layout, seccomp), 0700},
		{offsetof(struct store_layout, overlay), 0700},
	};

	uid_t owner = geteuid();

	for (size_t i = 0; i < ARRAY_LEN(table); i++) {
		const char *path = *(char *const *)((const char *)layout + table[i].offset);
		_cleanup_free_ char *parent = NULL;
		int r;

		if (is_as_wanted(path, table[i].mode, owner))
			continue;
		parent = strdup(path);
		if (!parent)
			return err_sysf(err, ENOMEM, "%s", path);
		*strrchr(parent, '/') = '\0';
		r = *parent ? file_mkdir_p(parent, 0755) : 0;
		if (r < 0)
			return err_sysf(err, -r, "%s", parent);
		r = make_directory(path, table[i].mode, err);
		if (r < 0)
			return r;
	}
	return 0;
}

int store_ns_path(
	const struct store_layout *layout, const char *key, char **ret_path, struct err *err)
{
	static const char allowed[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
				      "0123456789._-";
	size_t len = strlen(key);

	if (len == 0 || len > STORE_KEY_MAX || key[0] == '.' || strspn(key, allowed) != len)
		return err_setf(err, ERR_INVALID, EINVAL,
			"group key \"%.80s\": must be 1 to %d letters, digits, '.', '_' and '-', "
			"not beginning with '.'",
			key, STORE_KEY_MAX);
	if (join(ret_path, layout->ns, key) < 0)
		return err_sysf(err, ENOMEM, "%s", key);
	return 0;
}
