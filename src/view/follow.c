#include "view/follow.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <sched.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>
#include "base/buf.h"
#include "base/cleanup.h"
#include "base/fd.h"
#include "base/file.h"
#include "base/str.h"
#include "mask/mask.h"
#include "mount/pin.h"
#include "mount/submounts.h"
#include "view/layers.h"

enum { TABLE_MAX = 1 << 20 };

#define TABLE_NAME "submounts"

/* ---- the table of what the view shows ---- */

/* As mountinfo writes it. */
static int put_escaped(struct buf *b, const char *s)
{
	int r = 0;

	for (; *s && r == 0; s++)
		r = strchr(" \t\n\\", *s) ? buf_printf(b, "\\%03o", (unsigned char)*s)
					  : buf_append(b, s, 1);
	return r;
}

/* A line of mountinfo, in which the options are the action: what makes two mounts the same. */
static int put_line(struct buf *b, const struct mountinfo_entry *e, enum submount_action action)
{
	int r = buf_printf(b, "0 0 %u:%u ", e->major, e->minor);

	if (r == 0)
		r = put_escaped(b, e->root);
	if (r == 0)
		r = buf_append_str(b, " ");
	if (r == 0)
		r = put_escaped(b, e->point);
	if (r == 0)
		r = buf_printf(b, " %d - ", (int)action);
	if (r == 0)
		r = put_escaped(b, e->fstype);
	return r < 0 ? r : buf_append_str(b, " none none\n");
}

int follow_remember(
	const struct mount_group_spec *spec, const struct mountinfo *shown, struct err *err)
{
	_cleanup_(buf_done) struct buf text = BUF_INIT(TABLE_MAX);
	_cleanup_free_ char *path = NULL;
	int r = str_printf(&path, "%s/" TABLE_NAME, spec->dir);

	if (r == 0)
		r = buf_append_str(&text, "");
	for (size_t i = 0; r == 0 && i < shown->n; i++)
		r = put_line(&text, &shown->entries[i],
			submount_decide(&shown->entries[i], spec->base_dir, spec->submounts)
				.action);
	if (r < 0)
		return err_sysf(err, -r, "%s/" TABLE_NAME, spec->dir);
	return file_replace_at(AT_FDCWD, path, text.data, text.len, 0600, err);
}

static int read_table(const char *dir, struct mountinfo *ret_table, struct err *err)
{
	_cleanup_free_ char *path = NULL, *text = NULL;
	int r = str_printf(&path, "%s/" TABLE_NAME, dir);

	if (r < 0)
		return err_sysf(err, -r, "%s", dir);
	r = file_read_at(AT_FDCWD, path, TABLE_MAX, &text, NULL, err);
	if (r == -ENOENT) /* a group of before there was such a table: all is attached anew */
		return mountinfo_parse("", ret_table, err);
	return r < 0 ? r : mountinfo_parse(text, ret_table, err);
}

/* ---- what changed ---- */

/* The work of one call. */
struct follower {
	const struct mount_group_spec *spec;
	int proc_fd, home, view; /* namespaces */
	int host_root, view_root;
	char **layers, **others; /* mount points of the view: its overlays, and all that are none */
	struct mountinfo shown, wanted;
	bool *gone;                   /* per entry of shown */
	enum submount_action *action; /* per entry of wanted */
	int *trees;                   /* per entry of wanted: a new mount, or -EBADF */
	bool changed;
	bool remask; /* what is hidden is worked out anew, not only for new layers */
	struct mask mask;
};

static void follower_done(struct follower *f)
{
	for (size_t i = 0; f->trees && i < f->wanted.n; i++)
		fd_close(&f->trees[i]);
	free(f->trees);
	free(f->gone);
	free(f->action);
	mountinfo_done(&f->shown);
	mountinfo_done(&f->wanted);
	fd_close(&f->home);
	fd_close(&f->view);
	fd_close(&f->host_root);
	fd_close(&f->view_root);
	(void)strv_free(f->layers);
	(void)strv_free(f->others);
	mask_done(&f->mask);
}

static ssize_t find_shown(const struct follower *f, size_t wanted)
{
	const struct mountinfo_entry *w = &f->wanted.entries[wanted];

	for (size_t i = 0; i < f->shown.n; i++) {
		const struct mountinfo_entry *e = &f->shown.entries[i];

		if (e->major == w->major && e->minor == w->minor && str_eq(e->root, w->root) &&
			str_eq(e->point, w->point) && e->options[0] - '0' == (int)f->action[wanted])
			return (ssize_t)i;
	}
	return -1;
}

/* Whether something that goes or comes lies above `point`: taking it away or putting it there takes
 * what is below along. */
static bool is_below_change(const struct follower *f, const bool *is_new, const char *point)
{
	for (size_t i = 0; i < f->shown.n; i++) {
		const char *other = f->shown.entries[i].point;

		if (f->gone[i] && !str_eq(point, other) && submount_is_below(point, other))
			return true;
	}
	for (size_t i = 0; i < f->wanted.n; i++) {
		const char *other = f->wanted.entries[i].point;

		if (is_new[i] && !str_eq(point, other) && submount_is_below(point, other))
			return true;
	}
	return false;
}

/* Fills f->gone and is_new. Parents stand before children in both tables. */
static void compare(struct follower *f, bool *is_new)
{
	for (size_t i = 0; i < f->shown.n; i++)
		f->gone[i] = true;
	for (size_t i = 0; i < f->wanted.n; i++) {
		ssize_t at = find_shown(f, i);

		is_new[i] = at < 0;
		if (at >= 0)
			f->gone[at] = false;
	}
	for (size_t i = 0; i < f->wanted.n; i++) {
		ssize_t at = is_new[i] ? -1 : find_shown(f, i);

		if (at < 0 || !is_below_change(f, is_new, f->wanted.entries[i].point))
			continue;
		is_new[i] = true;
		f->gone[at] = true;
	}
	for (size_t i = 0; i < f->shown.n; i++)
		f->changed |= f->gone[i];
	for (size_t i = 0; i < f->wanted.n; i++)
		f->changed |= is_new[i];
}

/* ---- new mounts, made in a namespace that is left again ---- */

static int make_tree(struct follower *f, struct layers *l, size_t i, struct err *err)
{
	const struct mountinfo_entry *e = &f->wanted.entries[i];
	struct submount_decision what = submount_decide(e, f->spec->base_dir, f->spec->submounts);
	mode_t type = 0;
	int r;

	if (mask_hides(&f->mask, e->point) || !layers_file_type(e->point, &type))
		return 0; /* hidden, or unmounted meanwhile */
	r = layers_mount(l, e, &what, type, e->point, err);
	if (r < 0)
		return r;
	f->trees[i] = open_tree(
		AT_FDCWD, e->point, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_NO_AUTOMOUNT);
	if (f->trees[i] < 0)
		r = err_sysf(err, errno, "%s", e->point);
	/* what the host has mounted below is seen again */
	(void)umount2(e->point, MNT_DETACH | UMOUNT_NOFOLLOW);
	return r;
}

/* The group's mask, where layers can be added to it. In a namespace that is left again. */
static int begin_mask(struct follower *f, int tree, struct err *err)
{
	int r = mask_begin(
		&f->spec->mask, &f->wanted, f->spec->base_dir, tree, f->proc_fd, &f->mask, err);

	return r < 0 || !f->remask ? r : mask_refresh(&f->mask, err);
}

static int make_trees(struct follower *f, const bool *is_new, struct err *err)
{
	struct layers layers = {.base_dir = f->spec->base_dir, .mask = &f->mask};
	_cleanup_close_ int tree = -EBADF;
	bool some = f->remask;
	int r = 0;

	for (size_t i = 0; i < f->wanted.n; i++)
		some |= is_new[i];
	if (!some)
		return 0;
	if (setns(f->view, CLONE_NEWNS) < 0)
		return err_sysf(err, errno, "entering the mount namespace of %s", f->spec->name);
	tree = mask_open_tree();
	if (setns(f->home, CLONE_NEWNS) < 0)
		return err_sysf(err, errno, "returning to the host's mount namespace");
	if (unshare(CLONE_NEWNS) < 0)
		return err_sysf(err, errno, "unshare(CLONE_NEWNS)");
	if (mount(NULL, "/", NULL, MS_REC | MS_SLAVE, NULL) < 0)
		r = err_sysf(err, errno, "making mounts private");
	if (r == 0)
		r = begin_mask(f, tree, err);
	for (size_t i = 0; r == 0 && i < f->wanted.n; i++) {
		if (is_new[i])
			r = make_tree(f, &layers, i, err);
	}
	mask_detach(&f->mask);
	if (r == -ENOSPC || r == -EDQUOT)
		r = err_wrapf(err,
			"%s is full and has no room for what the host has mounted since (delete "
			"what pods wrote there: reaperctl overlay diff, overlay reset)",
			f->spec->base_dir);
	if (setns(f->home, CLONE_NEWNS) < 0)
		return err_sysf(err, errno, "returning to the host's mount namespace");
	return r;
}

/* ---- in the group's namespace ---- */

/* A path of the view as nobody could have bent it: a workload may have put a link there. */
static int open_point(const char *point)
{
	struct open_how how = {.flags = O_PATH | O_CLOEXEC | O_NOFOLLOW,
		.resolve = RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS};
	long fd = syscall(SYS_openat2, AT_FDCWD, point, &how, sizeof(how));

	return fd < 0 ? -errno : (int)fd;
}

/* Whether what is mounted at the entry's point in the view is there for that entry. */
static bool is_ours(const struct mountinfo *view, const struct mountinfo_entry *e)
{
	const struct mountinfo_entry *there = mountinfo_find(view, e->point);

	if (!there)
		return false;
	return (str_eq(there->fstype, "overlay") && str_eq(there->source, "reaper")) ||
	       (there->major == e->major && there->minor == e->minor &&
		       str_eq(there->root, e->root));
}

static int read_view(struct follower *f, struct mountinfo *ret_view, struct err *err)
{
	int r = mountinfo_read(f->proc_fd, "self/mountinfo", ret_view, err);

	if (r < 0)
		return r;
	r = mountinfo_keep_visible(ret_view, err);
	if (r < 0)
		mountinfo_done(ret_view);
	return r;
}

/* The overlays forget all names that no process uses: what the host changed is looked up again. */
static int refresh(struct follower *f, const struct mountinfo *view, struct err *err)
{
	for (size_t i = 0; i < view->n; i++) {
		const struct mountinfo_entry *e = &view->entries[i];
		_cleanup_close_ int fs = -EBADF;

		if (!str_eq(e->fstype, "overlay") || !str_eq(e->source, "reaper")) {
			if (strv_append(&f->others, e->point) < 0)
				return err_sysf(err, ENOMEM, "%s", e->point);
			continue;
		}
		fs = fspick(AT_FDCWD, e->point,
			FSPICK_CLOEXEC | FSPICK_SYMLINK_NOFOLLOW | FSPICK_NO_AUTOMOUNT);
		if (fs < 0 || fsconfig(fs, FSCONFIG_CMD_RECONFIGURE, NULL, NULL, 0) < 0)
			return err_sysf(err, errno, "refreshing the view of %s", e->point);
		if (strv_append(&f->layers, e->point) < 0)
			return err_sysf(err, ENOMEM, "%s", e->point);
	}
	return 0;
}

static void detach(const struct mountinfo *view, const struct mountinfo_entry *e)
{
	if (is_ours(view, e))
		(void)umount2(e->point, MNT_DETACH | UMOUNT_NOFOLLOW);
}

static int attach(struct follower *f, size_t i, struct err *err)
{
	const struct mountinfo_entry *e = &f->wanted.entries[i];
	_cleanup_close_ int point = -EBADF;
	mode_t tree, there;

	if (f->trees[i] < 0)
		return 0;
	/* below something that is omitted there is no mount point, and none is made */
	point = open_point(e->point);
	if (point < 0 || !layers_file_type_of(point, &there) ||
		!layers_file_type_of(f->trees[i], &tree) || there != tree)
		return 0;
	if (move_mount(f->trees[i], "", point, "",
		    MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH) < 0)
		return err_sysf(err, errno, "attaching %s to the view", e->point);
	return 0;
}

static int change_view(struct follower *f, struct err *err)
{
	_cleanup_(mountinfo_done) struct mountinfo view = MOUNTINFO_INIT;
	int r = read_view(f, &view, err);

	if (r == 0)
		r = refresh(f, &view, err);
	if (r < 0 || !f->changed)
		return r < 0 ? r : mask_cover(&f->mask, err);
	for (size_t i = f->shown.n; i-- > 0;) {
		if (f->gone[i])
			detach(&view, &f->shown.entries[i]);
	}
	/* also what a bind's propagation brought, or an attempt that was interrupted */
	mountinfo_done(&view);
	r = read_view(f, &view, err);
	for (size_t i = f->wanted.n; r == 0 && i-- > 0;) {
		if (f->trees[i] >= 0)
			detach(&view, &f->wanted.entries[i]);
	}
	for (size_t i = 0; r == 0 && i < f->wanted.n; i++)
		r = attach(f, i, err);
	return r < 0 ? r : mask_cover(&f->mask, err);
}

/* ---- all of it ---- */

static int find_stale(struct follower *f, bool search, struct stale_files *ret, struct err *err)
{
	const struct stale_search s = {.proc_fd = f->proc_fd,
		.host_root = f->host_root,
		.view_root = f->view_root,
		.layers = f->layers,
		.others = f->others,
		.base_dir = f->spec->base_dir,
		.run_dir = f->spec->run_dir,
		.search = search};

	return stale_find(&s, ret, err);
}

static int prepare(struct follower *f, struct err *err)
{
	_cleanup_free_ bool *is_new = NULL;
	int r = submounts_read(f->proc_fd, f->spec->base_dir, f->spec->submounts, &f->wanted, err);

	if (r == 0)
		r = read_table(f->spec->dir, &f->shown, err);
	if (r < 0)
		return r;
	is_new = calloc(f->wanted.n + 1, sizeof(*is_new));
	f->gone = calloc(f->shown.n + 1, sizeof(*f->gone));
	f->action = calloc(f->wanted.n + 1, sizeof(*f->action));
	f->trees = calloc(f->wanted.n + 1, sizeof(*f->trees));
	if (!is_new || !f->gone || !f->action || !f->trees)
		return err_sysf(err, ENOMEM, "table of mounts");
	for (size_t i = 0; i < f->wanted.n; i++) {
		f->trees[i] = -EBADF;
		f->action[i] = submount_decide(
			&f->wanted.entries[i], f->spec->base_dir, f->spec->submounts)
				       .action;
	}
	compare(f, is_new);
	return make_trees(f, is_new, err);
}

/* As many bytes as there were: nobody has to read and write a number under a lock. */
static void count(const char *dir)
{
	_cleanup_free_ char *path = NULL;
	_cleanup_close_ int fd = -EBADF;

	if (str_printf(&path, "%s/" FOLLOW_COUNT_NAME, dir) == 0)
		fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd >= 0)
		(void)file_write_all(fd, "+", 1);
}

static int follow(struct follower *f, bool search, struct stale_files *ret_stale, struct err *err)
{
	int r = prepare(f, err);

	if (r < 0)
		return r;
	if (setns(f->view, CLONE_NEWNS) < 0)
		return err_sysf(err, errno, "entering the mount namespace of %s", f->spec->name);
	r = change_view(f, err);
	f->view_root = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (r == 0 && f->view_root < 0)
		r = err_sysf(err, errno, "root of the view");
	if (setns(f->home, CLONE_NEWNS) < 0)
		return err_sysf(err, errno, "returning to the host's mount namespace");
	if (r == 0 && f->changed) {
		count(f->spec->dir);
		r = follow_remember(f->spec, &f->wanted, err);
	}
	return r < 0 ? r : find_stale(f, search, ret_stale, err);
}

static int lock_dir(const char *path, int how, struct err *err)
{
	_cleanup_close_ int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);

	if (fd < 0)
		return err_sysf(err, errno, "%s", path);
	if (RETRY_EINTR(flock(fd, how)) < 0)
		return err_sysf(err, errno, "locking %s", path);
	return TAKE_FD(fd);
}

int mount_group_follow(const struct mount_group_spec *spec, int proc_fd, bool search,
	struct stale_files *ret_stale, struct err *err)
{
	_cleanup_(follower_done) struct follower f = {.spec = spec,
		.proc_fd = proc_fd,
		.home = -EBADF,
		.view = -EBADF,
		.view_root = -EBADF,
		.mask = MASK_INIT,
		.remask = search,
		.host_root = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC)};
	_cleanup_close_ int groups = lock_dir(spec->run_dir, LOCK_SH, NULL);
	_cleanup_close_ int group = -EBADF;
	int r;

	*ret_stale = (struct stale_files)STALE_FILES_INIT;
	if (groups == -ENOENT)
		return 0;
	if (groups < 0)
		return err_sysf(err, -groups, "locking %s", spec->run_dir);
	f.view = pin_open(spec->ns_dir, spec->name, NULL);
	if (f.view == -ENOENT)
		return 0; /* made with the next container, from what the host has then */
	if (f.view < 0)
		return err_sysf(err, -f.view, "%s/%s", spec->ns_dir, spec->name);
	f.home = openat(proc_fd, "self/ns/mnt", O_RDONLY | O_CLOEXEC);
	if (f.home < 0 || f.host_root < 0)
		return err_sysf(err, errno, "own mount namespace");
	group = lock_dir(spec->base_dir, LOCK_EX, err);
	if (group < 0)
		return group;
	r = follow(&f, search, ret_stale, err);
	return r < 0 ? err_wrapf(err, "bringing the host view up to date") : 0;
}
