#include "view/uppers.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "base/cleanup.h"
#include "base/num.h"
#include "base/str.h"
#include "mount/mountinfo.h"
#include "mount/pin.h"
#include "mount/submounts.h"
#include "view/overlay.h"

void mount_uppers_done(struct mount_uppers *u)
{
	if (!u)
		return;
	for (size_t i = 0; i < u->n; i++) {
		free(u->v[i].point);
		free(u->v[i].dir);
	}
	free(u->v);
	*u = (struct mount_uppers)MOUNT_UPPERS_INIT;
}

/* The table of the namespace on `ns`, read inside of it. */
static int read_table(int ns, struct mountinfo *ret_table, struct err *err)
{
	_cleanup_close_ int proc_fd = open("/proc", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	_cleanup_close_ int home =
		proc_fd < 0 ? -EBADF : openat(proc_fd, "self/ns/mnt", O_RDONLY | O_CLOEXEC);
	int r;

	if (home < 0)
		return err_sysf(err, errno, "own mount namespace");
	if (setns(ns, CLONE_NEWNS) < 0)
		return err_sysf(err, errno, "entering the group's mount namespace");
	r = mountinfo_read(proc_fd, "self/mountinfo", ret_table, err);
	if (setns(home, CLONE_NEWNS) < 0)
		return err_sysf(err, errno, "returning from the group's mount namespace");
	return r;
}

/*
 * The NUMBER in "…,upperdir=BASE_DIR/sub/NUMBER/upper,workdir=…": only the end of the path is
 * looked at, for the kernel has a way of its own to write one with commas. False: no such layer.
 */
static bool layer_number(const char *super, unsigned *ret_number)
{
	const char *begin = strstr(super, ",upperdir="), *end;
	uint64_t number;
	char digits[16];
	size_t n = 0;

	if (!begin)
		return false;
	end = strstr(begin, "/upper,workdir=");
	while (end && n < sizeof(digits) - 1 && end - n > begin &&
		isdigit((unsigned char)end[-1 - (ptrdiff_t)n]))
		n++;
	if (n == 0)
		return false;
	memcpy(digits, end - n, n);
	digits[n] = '\0';
	if (num_parse_u64(digits, UINT32_MAX, &number) < 0)
		return false;
	*ret_number = (unsigned)number;
	return true;
}

static int add(struct mount_uppers *u, const char *point, const char *base_dir, unsigned number)
{
	struct mount_upper *grown = reallocarray(u->v, u->n + 1, sizeof(*u->v));
	struct mount_upper *last;

	if (!grown)
		return -ENOMEM;
	u->v = grown;
	last = &u->v[u->n++];
	*last = (struct mount_upper) {.point = NULL};
	if (str_dup(&last->point, point) < 0)
		return -ENOMEM;
	if (str_eq(point, "/"))
		return str_printf(&last->dir, "%s/upper", base_dir);
	return str_printf(&last->dir, "%s/sub/%u/upper", base_dir, number);
}

int mount_group_uppers(
	const struct mount_group_spec *spec, struct mount_uppers *ret_uppers, struct err *err)
{
	_cleanup_close_ int ns = pin_open(spec->ns_dir, spec->name, NULL);
	_cleanup_(mountinfo_done) struct mountinfo table = MOUNTINFO_INIT;
	_cleanup_(mount_uppers_done) struct mount_uppers u = MOUNT_UPPERS_INIT;
	int r;

	if (ns < 0)
		return err_setf(err, ERR_NOT_FOUND, ENOENT,
			"%s: no such group (reaperctl overlay list)", spec->name);
	r = read_table(ns, &table, err);
	if (r == 0)
		r = mountinfo_keep_visible(&table, err);
	for (size_t i = 0; i < table.n && r == 0; i++) {
		const struct mountinfo_entry *e = &table.entries[i];
		unsigned number = 0;

		if (!str_eq(e->fstype, "overlay") || !str_eq(e->source, OVERLAY_SOURCE))
			continue;
		if (!str_eq(e->point, "/") && !layer_number(e->super, &number))
			continue;
		if (add(&u, e->point, spec->base_dir, number) < 0)
			r = err_sysf(err, ENOMEM, "%s", spec->name);
	}
	if (r < 0)
		return r;
	*ret_uppers = u;
	u = (struct mount_uppers)MOUNT_UPPERS_INIT;
	return 0;
}

char *mount_uppers_path(const struct mount_uppers *u, const char *path)
{
	const struct mount_upper *of = &u->v[0];
	char *where = NULL;

	for (size_t i = 0; i < u->n; i++) {
		if (submount_is_below(path, u->v[i].point)) /* parents come before children */
			of = &u->v[i];
	}
	if (str_printf(&where, "%s%s", of->dir, of->point[1] ? path + strlen(of->point) : path) < 0)
		return NULL;
	return where;
}
