#include "view/layers.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/cleanup.h"
#include "base/str.h"
#include "view/overlay.h"

/* BASE_DIR/sub/NUMBER, new: one that is there may still take the writes of running pods. */
static int make_layer_dir(struct layers *l, char **ret_dir, struct err *err)
{
	_cleanup_free_ char *sub = NULL;
	int r = str_printf(&sub, "%s/sub", l->base_dir);

	if (r < 0)
		return err_sysf(err, -r, "%s", l->base_dir);
	if (l->next == 0 && mkdir(sub, 0700) < 0 && errno != EEXIST)
		return err_sysf(err, errno, "%s", sub);
	for (;;) {
		_cleanup_free_ char *dir = NULL;

		if (str_printf(&dir, "%s/%u", sub, l->next++) < 0 || !dir)
			return err_sysf(err, ENOMEM, "%s", sub);
		if (mkdir(dir, 0700) == 0) {
			*ret_dir = TAKE_PTR(dir);
			return 0;
		}
		if (errno != EEXIST)
			return err_sysf(err, errno, "%s", dir);
	}
}

/* Not even an empty directory of a layer that is none. */
static void remove_layer_dir(const char *dir)
{
	static const char *const names[] = {"upper", "work/work", "work"};

	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		_cleanup_free_ char *path = NULL;

		if (str_printf(&path, "%s/%s", dir, names[i]) == 0)
			(void)rmdir(path);
	}
	(void)rmdir(dir);
}

static int add_layer(struct layers *l, const char *point, const char *target, struct err *err)
{
	_cleanup_free_ char *dir = NULL, *hidden = NULL;
	int r = mask_layer(l->mask, point, &hidden, err);

	if (r < 0)
		return r;
	r = make_layer_dir(l, &dir, err);
	if (r < 0)
		return r;
	r = overlay_mount(point, (const char *const[]) {hidden, NULL}, dir, target, err);
	if (r < 0) {
		struct err reason = ERR_INIT;

		remove_layer_dir(dir);
		if (mask_no_layer(l->mask, point, &reason) < 0) {
			*err = reason;
			return -ENOMEM; /* nothing takes the layer's place then */
		}
	}
	return r;
}

/*
 * The host's mount itself, without those below it: they are entries of their own. The clone is a
 * slave of the host's mount as the one it is made from, so that what is mounted below it later
 * appears. Automounts are not set off.
 */
static int add_bind(const char *point, const char *target, bool read_only, struct err *err)
{
	_cleanup_close_ int tree =
		open_tree(AT_FDCWD, point, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_NO_AUTOMOUNT);

	if (tree < 0 || move_mount(tree, "", AT_FDCWD, target, MOVE_MOUNT_F_EMPTY_PATH) < 0)
		return err_sysf(err, errno, "binding %s into the view", point);
	if (read_only && mount(NULL, target, NULL, MS_REMOUNT | MS_BIND | MS_RDONLY, NULL) < 0)
		return err_sysf(err, errno, "binding %s read-only into the view", point);
	return 0;
}

int layers_mount(struct layers *l, const struct mountinfo_entry *e,
	const struct submount_decision *what, mode_t type, const char *target, struct err *err)
{
	struct err reason = ERR_INIT;
	int r;

	if (!S_ISDIR(type)) /* a file over a file; overlays are of directories only */
		return add_bind(
			e->point, target, what->action != SUBMOUNT_BIND || !what->rule, err);
	if (what->action != SUBMOUNT_LAYER)
		return add_bind(e->point, target, what->action == SUBMOUNT_BIND_READONLY, err);
	r = add_layer(l, e->point, target, &reason);
	if (r < 0 && r != -ENOMEM && r != -ENOSPC && what->rule)
		return err_setf(err, ERR_PRECONDITION, -r,
			"%s (%s): REAPER_SUBMOUNTS says %s, but it cannot be a lower layer: %s",
			e->point, e->fstype, what->rule, reason.text);
	/* an overlay too deep, names without case, …: shown as it is, but without writes */
	if (r < 0 && r != -ENOMEM && r != -ENOSPC)
		r = add_bind(e->point, target, true, &reason);
	if (r < 0 && err)
		*err = reason;
	return r;
}

static bool file_type(int dir, const char *path, int flags, mode_t *ret_type)
{
	struct statx st;

	if (statx(dir, path, flags | AT_NO_AUTOMOUNT | AT_STATX_DONT_SYNC, STATX_TYPE, &st) < 0)
		return false;
	*ret_type = st.stx_mode & S_IFMT;
	return true;
}

bool layers_file_type(const char *path, mode_t *ret_type)
{
	return file_type(AT_FDCWD, path, AT_SYMLINK_NOFOLLOW, ret_type);
}

bool layers_file_type_of(int fd, mode_t *ret_type)
{
	return file_type(fd, "", AT_EMPTY_PATH, ret_type);
}
