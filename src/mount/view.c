#include "mount/overlay.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>
#include "base/cleanup.h"
#include "base/file.h"
#include "base/str.h"
#include "mount/mountinfo.h"
#include "mount/submounts.h"

struct builder {
	const char *base_dir, *view_dir;
	unsigned layers; /* made so far: names their upper directories */
};

/* An overlay of its own for one file system, below base_dir/sub/NUMBER. */
static int add_layer(struct builder *b, const char *point, const char *target, struct err *err)
{
	_cleanup_free_ char *dir = NULL;
	int r = str_printf(&dir, "%s/sub/%u", b->base_dir, b->layers);

	if (r < 0)
		return err_sysf(err, -r, "%s", point);
	r = file_mkdir_p(dir, 0700);
	if (r < 0)
		return err_sysf(err, -r, "%s", dir);
	r = overlay_mount(point, NULL, dir, target, err);
	if (r < 0) { /* not even an empty directory of a layer that is none */
		char path[4096];

		(void)snprintf(path, sizeof(path), "%s/upper", dir);
		(void)rmdir(path);
		(void)snprintf(path, sizeof(path), "%s/work", dir);
		(void)rmdir(path);
		(void)rmdir(dir);
		return r;
	}
	b->layers++;
	return 0;
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

/* Without asking a server: one that is gone must not keep pods from starting. */
static bool file_type(const char *path, mode_t *ret_type)
{
	struct statx st;

	if (statx(AT_FDCWD, path, AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT | AT_STATX_DONT_SYNC,
		    STATX_TYPE, &st) < 0)
		return false;
	*ret_type = st.stx_mode & S_IFMT;
	return true;
}

static int add_submount(struct builder *b, const struct mountinfo_entry *e, struct err *err)
{
	struct submount_decision what = submount_decide(e, b->base_dir);
	_cleanup_free_ char *target = NULL;
	struct err reason = ERR_INIT;
	mode_t host, view;
	int r;

	if (what.action == SUBMOUNT_OMIT)
		return 0;
	r = str_printf(&target, "%s%s", b->view_dir, e->point);
	if (r < 0)
		return err_sysf(err, -r, "%s", e->point);
	/* below something that is omitted there is no mount point, and none is made */
	if (!file_type(e->point, &host) || !file_type(target, &view) || host != view)
		return 0;
	if (!S_ISDIR(host)) /* a file over a file; overlays are of directories only */
		return add_bind(e->point, target, true, err);
	if (what.action == SUBMOUNT_BIND)
		return add_bind(e->point, target, false, err);
	r = add_layer(b, e->point, target, &reason);
	/* what the kernel does not take as a lower layer (vfat, an overlay too deep) is shown as it
	   is, but without writes */
	if (r < 0 && r != -ENOMEM && r != -ENOSPC)
		r = add_bind(e->point, target, true, &reason);
	if (r < 0 && err)
		*err = reason;
	return r;
}

static int make_root(const char *view_dir, struct err *err)
{
	if (chdir(view_dir) < 0)
		return err_sysf(err, errno, "%s", view_dir);
	/* the old root is stacked on the new one and then taken away: no directory is needed */
	if (syscall(SYS_pivot_root, ".", ".") < 0)
		return err_sysf(err, errno, "pivot_root into the view%s",
			errno == EINVAL ? " (is the host's root the initial ramfs?)" : "");
	if (umount2(".", MNT_DETACH) < 0 || chdir("/") < 0)
		return err_sysf(err, errno, "leaving the host's root");
	return 0;
}

int overlay_build_view(int proc_fd, const char *base_dir, struct err *err)
{
	_cleanup_free_ char *view_dir = NULL;
	_cleanup_(mountinfo_done) struct mountinfo host = MOUNTINFO_INIT;
	struct builder b = {.base_dir = base_dir};
	int r = str_printf(&view_dir, "%s/view", base_dir);

	if (r < 0)
		return err_sysf(err, -r, "%s", base_dir);
	b.view_dir = view_dir;
	if (mkdir(view_dir, 0700) < 0 && errno != EEXIST)
		return err_sysf(err, errno, "%s", view_dir);

	/* nothing done here reaches the host; what the host does later below binds comes in */
	if (mount(NULL, "/", NULL, MS_REC | MS_SLAVE, NULL) < 0)
		return err_sysf(err, errno, "making the view's mounts private");
	r = mountinfo_read(proc_fd, "self/mountinfo", &host, err);
	if (r < 0)
		return r;
	r = mountinfo_keep_visible(&host, err);
	if (r < 0)
		return r;
	r = overlay_mount("/", NULL, base_dir, view_dir, err);
	if (r < 0)
		return r;
	for (size_t i = 0; i < host.n; i++) {
		if (str_eq(host.entries[i].point, "/"))
			continue;
		r = add_submount(&b, &host.entries[i], err);
		if (r < 0)
			return r;
	}
	return make_root(view_dir, err);
}
