#include "mount/share.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/mount.h>
#include <sched.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <sys/syscall.h>
#include <unistd.h>
#include "base/cleanup.h"
#include "base/fd.h"
#include "base/str.h"
#include "mount/mountinfo.h"
#include "mount/target.h"
#include "mount/tree.h"

#ifndef MOVE_MOUNT_SET_GROUP
#	define MOVE_MOUNT_SET_GROUP 0x00000100 /* linux/mount.h, Linux 5.15 */
#endif

void mount_share_done(struct mount_share *s)
{
	if (!s)
		return;
	for (size_t i = 0; i < s->n; i++) {
		fd_close(&s->v[i].own);
		fd_close(&s->v[i].group);
	}
	free(s->v);
	free(s->ids);
	mount_foreign_done(&s->foreign);
	s->v = NULL;
	s->ids = NULL;
	s->n = s->n_ids = 0;
	fd_close(&s->group_root);
}

/* `foreign` may be NULL. */
static int read_visible(
	int proc_fd, struct mount_foreign *foreign, struct mountinfo *ret_table, struct err *err)
{
	struct mountinfo t = MOUNTINFO_INIT;
	int r = mountinfo_read(proc_fd, "self/mountinfo", &t, err);

	if (r == 0 && foreign)
		r = mount_foreign_find(&t, foreign, err);
	if (r == 0)
		r = mountinfo_keep_visible(&t, err);
	if (r < 0) {
		mountinfo_done(&t);
		return r;
	}
	*ret_table = t;
	return 0;
}

int mount_share_prepare(int proc_fd, struct err *err)
{
	_cleanup_(mountinfo_done) struct mountinfo t = MOUNTINFO_INIT;
	int r = read_visible(proc_fd, NULL, &t, err);

	for (size_t i = 0; r == 0 && i < t.n; i++) {
		const struct mountinfo_entry *e = &t.entries[i];

		/* not what is bound: that stays the slave of the host's mount and nothing else */
		if (str_eq(e->fstype, "overlay") && str_eq(e->source, "reaper") &&
			mount(NULL, e->point, NULL, MS_SHARED, NULL) < 0)
			r = err_sysf(err, errno, "making %s shared within the group", e->point);
	}
	return r;
}

static bool is_shared(const struct mountinfo_entry *e)
{
	return strstr(e->optional, "shared:") != NULL;
}

static int add_pair(struct mount_share *s, int own_root, const char *point, struct err *err)
{
	struct mount_share_pair *pair = &s->v[s->n];

	pair->own = mount_target_find(own_root, point);
	pair->group = mount_target_find(s->group_root, point);
	s->n++;
	if (pair->own < 0)
		return err_sysf(err, -pair->own, "%s", point);
	/* somebody has unmounted it since: it goes on alone */
	if (pair->group < 0 && pair->group != -ENOENT && pair->group != -ENOTDIR)
		return err_sysf(err, -pair->group, "%s in the group", point);
	return 0;
}

/* Opens each of the clone's shared mounts and what it is a copy of, before volumes cover some. */
static int find_shared(struct mount_share *s, int proc_fd, struct err *err)
{
	_cleanup_(mountinfo_done) struct mountinfo t = MOUNTINFO_INIT;
	_cleanup_close_ int root = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
	int r;

	if (root < 0)
		return err_sysf(err, errno, "root of the view");
	r = read_visible(proc_fd, &s->foreign, &t, err);
	if (r < 0)
		return r;
	s->v = calloc(t.n + 1, sizeof(*s->v));
	s->ids = calloc(t.n + 1, sizeof(*s->ids));
	if (!s->v || !s->ids)
		return err_sysf(err, ENOMEM, "mount table");
	for (size_t i = 0; r == 0 && i < t.n; i++) {
		/* also what is not shared: it lies on something that is */
		if (s->reach != MOUNT_REACH_NONE)
			s->ids[s->n_ids++] = (uint64_t)t.entries[i].id;
		if (s->reach != MOUNT_REACH_RECEIVE && is_shared(&t.entries[i]))
			r = add_pair(s, root, t.entries[i].point, err);
	}
	return r;
}

static int cut(const struct mount_share *s, int proc_fd, struct err *err)
{
	for (size_t i = 0; i < s->n; i++) {
		int r = tree_set_propagation(s->v[i].own, MS_PRIVATE, false, proc_fd, err);

		if (r < 0)
			return r;
	}
	return 0;
}

static int clone_view(struct mount_share *s, int proc_fd, struct err *err)
{
	int r;

	s->group_root = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (s->group_root < 0)
		return err_sysf(err, errno, "root of the group");
	if (unshare(CLONE_NEWNS) < 0)
		return err_sysf(err, errno, "a mount namespace of the container's own");
	r = find_shared(s, proc_fd, err);
	if (r < 0)
		return r;
	if (s->reach == MOUNT_REACH_NONE)
		return cut(s, proc_fd, err);
	/* what is a slave of the host's and not shared stays just that */
	if (mount(NULL, "/", NULL, MS_REC | MS_SLAVE, NULL) < 0)
		return err_sysf(err, errno, "making the container's mounts slaves of the group's");
	return 0;
}

int mount_share_clone(
	enum mount_reach reach, int proc_fd, struct mount_share *ret_share, struct err *err)
{
	struct mount_share s = MOUNT_SHARE_INIT;
	int r;

	s.reach = reach;
	r = clone_view(&s, proc_fd, err);
	if (r < 0) {
		mount_share_done(&s);
		return r;
	}
	*ret_share = s;
	return 0;
}

static int join_group(const struct mount_share_pair *pair)
{
	if (pair->group < 0)
		return 0;
	if (syscall(SYS_move_mount, pair->group, "", pair->own, "",
		    MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH | MOVE_MOUNT_SET_GROUP) == 0)
		return 0;
	return -errno;
}

int mount_share_join(struct mount_share *s, int proc_fd, struct err *err)
{
	int r;

	if (s->reach != MOUNT_REACH_BOTH)
		return 0;
	for (size_t i = 0; i < s->n; i++) {
		/* the kernel wants it private first; this is the only moment in which what another
		 * one mounts is missed */
		r = tree_set_propagation(s->v[i].own, MS_PRIVATE, false, proc_fd, err);
		if (r < 0)
			return r;
		r = join_group(&s->v[i]);
		if (r == 0)
			continue;
		(void)cut(s, proc_fd, NULL);
		return err_setf(err, ERR_UNIMPLEMENTED, -r,
			"what it mounts stays private: the kernel cannot share mounts within a "
			"group (MOVE_MOUNT_SET_GROUP, Linux 5.15: %s)",
			strerrordesc_np(-r));
	}
	return 0;
}
