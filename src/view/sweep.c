#include "view/sweep.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <unistd.h>
#include "base/cleanup.h"
#include "base/str.h"
#include "mount/mountinfo.h"
#include "mount/pin.h"
#include "mount/submounts.h"

/* A directory or file of a file system, whatever its path is in a namespace. */
struct origin {
	unsigned major, minor;
	char *root;
};

struct origins {
	struct mountinfo host;
	struct origin *v;
	size_t n;
};

static void origins_done(struct origins *o)
{
	mountinfo_done(&o->host);
	for (size_t i = 0; i < o->n; i++)
		free(o->v[i].root);
	free(o->v);
}

/* The mount that a path lies on: of those at the longest mount point the last one. */
static const struct mountinfo_entry *mount_of(const struct mountinfo *t, const char *path)
{
	const struct mountinfo_entry *best = NULL;

	for (size_t i = 0; i < t->n; i++) {
		const struct mountinfo_entry *e = &t->entries[i];

		if (submount_is_below(path, e->point) &&
			(!best || strlen(e->point) >= strlen(best->point)))
			best = e;
	}
	return best;
}

static int add_origin(struct origins *o, const char *source)
{
	_cleanup_free_ char *path = realpath(source, NULL);
	const struct mountinfo_entry *e = path ? mount_of(&o->host, path) : NULL;
	const char *below;
	int r;

	if (!e)
		return 0;
	below = str_eq(e->point, "/") ? path : path + strlen(e->point);
	o->v[o->n] = (struct origin) {.major = e->major, .minor = e->minor};
	r = str_printf(
		&o->v[o->n].root, "%s%s", str_eq(e->root, "/") && *below ? "" : e->root, below);
	o->n += r == 0;
	return r;
}

static int find_origins(
	char *const *sources, int proc_fd, struct origins *ret_origins, struct err *err)
{
	struct origins o = {
		.host = MOUNTINFO_INIT, .v = calloc(strv_len(sources) + 1, sizeof(*o.v))};
	int r = o.v ? mountinfo_read(proc_fd, "self/mountinfo", &o.host, err)
		    : err_sysf(err, ENOMEM, "volumes");

	if (r == 0)
		r = mountinfo_keep_visible(&o.host, err);
	for (; r == 0 && *sources; sources++) {
		r = add_origin(&o, *sources);
		if (r < 0)
			(void)err_sysf(err, -r, "%s", *sources);
	}
	if (r < 0) {
		origins_done(&o);
		return r;
	}
	*ret_origins = o;
	return 0;
}

/* Not what the view has from the host: a volume may be of a file system that is mounted there, too.
 */
static bool is_from(const struct mountinfo_entry *e, const struct origins *o)
{
	const struct mountinfo_entry *host = mountinfo_find(&o->host, e->point);

	if (host && host->major == e->major && host->minor == e->minor &&
		str_eq(host->root, e->root))
		return false;
	for (size_t i = 0; i < o->n; i++) {
		if (e->major == o->v[i].major && e->minor == o->v[i].minor &&
			submount_is_below(e->root, o->v[i].root))
			return true;
	}
	return false;
}

/* In the group's namespace: the last one first, which lies on those before it. */
static int unmount_all(const struct origins *o, int proc_fd, struct err *err)
{
	_cleanup_(mountinfo_done) struct mountinfo t = MOUNTINFO_INIT;
	int r = mountinfo_read(proc_fd, "self/mountinfo", &t, err);

	if (r == 0)
		r = mountinfo_keep_visible(&t, err);
	for (size_t i = t.n; r == 0 && i > 0; i--) {
		const struct mountinfo_entry *e = &t.entries[i - 1];

		if (is_from(e, o) && umount2(e->point, MNT_DETACH | UMOUNT_NOFOLLOW) < 0 &&
			errno != EINVAL)
			r = err_sysf(err, errno, "unmounting %s in the group", e->point);
	}
	return r;
}

int mount_group_sweep(const struct mount_group_spec *spec, char *const *sources, struct err *err)
{
	_cleanup_close_ int ns = pin_open(spec->ns_dir, spec->name, NULL);
	_cleanup_close_ int proc_fd = -EBADF;
	_cleanup_close_ int home = -EBADF, cwd = -EBADF;
	_cleanup_(origins_done) struct origins o = {.v = NULL};
	int r;

	if (ns < 0 || !sources)
		return 0;
	proc_fd = open("/proc", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	home = open("/proc/self/ns/mnt", O_RDONLY | O_CLOEXEC);
	cwd = open(".", O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (proc_fd < 0 || home < 0)
		return err_sysf(err, errno, "/proc");
	r = find_origins(sources, proc_fd, &o, err);
	if (r < 0)
		return r;
	if (setns(ns, CLONE_NEWNS) < 0)
		return err_sysf(err, errno, "entering the mount namespace of %s", spec->name);
	r = unmount_all(&o, proc_fd, err);
	if (setns(home, CLONE_NEWNS) < 0)
		return err_sysf(err, errno, "returning from the view's mount namespace");
	if (cwd >= 0 && fchdir(cwd) < 0 && r == 0)
		r = err_sysf(err, errno, "returning to the working directory");
	return r;
}
