#include "view/overlay.h"

#include <errno.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>
#include "base/cleanup.h"
#include "base/str.h"
#include "mask/mask.h"
#include "mount/mountinfo.h"
#include "mount/submounts.h"
#include "view/follow.h"
#include "view/layers.h"

static int add_submount(struct layers *l, const struct mountinfo_entry *e, const char *view_dir,
	char *const *rules, struct err *err)
{
	struct submount_decision what = submount_decide(e, l->base_dir, rules);
	_cleanup_free_ char *target = NULL;
	mode_t host, view;
	int r = str_printf(&target, "%s%s", view_dir, e->point);

	if (r < 0)
		return err_sysf(err, -r, "%s", e->point);
	/* below something that is omitted there is no mount point, and none is made */
	if (mask_hides(l->mask, e->point) || !layers_file_type(e->point, &host) ||
		!layers_file_type(target, &view) || host != view)
		return 0;
	return layers_mount(l, e, &what, host, target, err);
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

/* All file systems, and what none of them shows. */
static int add_host(
	int proc_fd, const struct mount_group_spec *spec, const char *view_dir, struct err *err)
{
	const char *base_dir = spec->base_dir;
	char *const *rules = spec->submounts;
	_cleanup_(mountinfo_done) struct mountinfo host = MOUNTINFO_INIT;
	_cleanup_(mask_done) struct mask mask = MASK_INIT;
	_cleanup_free_ char *layer = NULL;
	struct layers layers = {.base_dir = base_dir, .mask = &mask};
	int r = submounts_read(proc_fd, base_dir, rules, &host, err);

	if (r == 0)
		r = mask_begin(&spec->mask, &host, base_dir, -EBADF, proc_fd, &mask, err);
	if (r == 0)
		r = mask_layer(&mask, "/", &layer, err);
	if (r == 0)
		r = overlay_check_upper(base_dir, err);
	if (r == 0)
		r = overlay_mount(
			"/", (const char *const[]) {layer, NULL}, base_dir, view_dir, err);
	for (size_t i = 0; r == 0 && i < host.n; i++)
		r = add_submount(&layers, &host.entries[i], view_dir, rules, err);
	if (r == 0)
		r = mask_finish(&mask, view_dir, err);
	return r < 0 ? r : follow_remember(spec, &host, err);
}

int overlay_build_view(int proc_fd, const struct mount_group_spec *spec, struct err *err)
{
	_cleanup_free_ char *view_dir = NULL;
	int r = str_printf(&view_dir, "%s/view", spec->base_dir);

	if (r < 0)
		return err_sysf(err, -r, "%s", spec->base_dir);
	if (mkdir(view_dir, 0700) < 0 && errno != EEXIST)
		return err_sysf(err, errno, "%s", view_dir);

	/* nothing done here reaches the host; what the host does later below binds comes in */
	if (mount(NULL, "/", NULL, MS_REC | MS_SLAVE, NULL) < 0)
		return err_sysf(err, errno, "making the view's mounts private");
	r = add_host(proc_fd, spec, view_dir, err);
	return r < 0 ? r : make_root(view_dir, err);
}
