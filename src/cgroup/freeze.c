#include "cgroup/freeze.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <unistd.h>
#include "base/cleanup.h"
#include "cgroup/read.h"
#include "cgroup/tree.h"

enum { EVENTS_TEXT_MAX = 256 };

static const struct cgroup_dir *v2_dir(const struct cgroup *cg)
{
	return cg->n > 0 && cg->dirs[cg->n - 1].v2 ? &cg->dirs[cg->n - 1] : NULL;
}

static int freeze_in(
	const struct cgroup_dir *d, const char *file, const char *text, struct err *err)
{
	int r = cgroup_file_put(d->path, file, text);

	return r < 0 ? err_sysf(err, -r, "writing \"%s\" to %s/%s", text, d->path, file) : 0;
}

int cgroup_freeze(const struct cgroup *cg, bool frozen, struct err *err)
{
	const struct cgroup_dir *v2 = v2_dir(cg);
	size_t i;

	if (v2)
		return freeze_in(v2, "cgroup.freeze", frozen ? "1" : "0", err);
	if (cgroup_has(cg, CGROUP_FREEZER, &i))
		return freeze_in(&cg->dirs[i], "freezer.state", frozen ? "FROZEN" : "THAWED", err);
	return err_setf(err, ERR_PRECONDITION, EOPNOTSUPP,
		"this host has neither cgroup2 nor the v1 freezer controller");
}

int cgroup_is_frozen(const struct cgroup *cg, struct err *err)
{
	_cleanup_free_ char *text = NULL;
	bool v2 = v2_dir(cg);
	uint64_t frozen = 0;
	int r = v2 ? cgroup_read_v2(cg, "cgroup.events", &text)
		   : cgroup_read(cg, CGROUP_FREEZER, "freezer.state", &text);

	if (r < 0)
		return err_sysf(err, -r, "%s", v2 ? "cgroup.events" : "freezer.state");
	if (!v2) /* reading brings it up to date: FREEZING until the last one stands */
		return strncmp(text, "FROZEN", strlen("FROZEN")) == 0;
	(void)cgroup_text_value(text, "frozen", &frozen);
	return frozen == 1;
}

int cgroup_open_freeze_events(const struct cgroup *cg)
{
	const struct cgroup_dir *v2 = v2_dir(cg);
	char path[PATH_MAX];
	int fd, r;

	if (!v2)
		return -ENOENT;
	r = cgroup_file_path(path, sizeof(path), v2->path, "cgroup.events");
	if (r < 0)
		return r;
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	cgroup_freeze_seen(fd);
	return fd;
}

void cgroup_freeze_seen(int fd)
{
	char text[EVENTS_TEXT_MAX];

	/* the read is what the kernel goes by, whatever it gives */
	if (pread(fd, text, sizeof(text), 0) < 0)
		return;
}

bool cgroup_freezes_births(const struct cgroup *cg)
{
	_cleanup_free_ char *told = NULL, *events = NULL;
	uint64_t frozen = 0;

	if (cgroup_read_v2(cg, "cgroup.freeze", &told) == 0 && told[0] == '1')
		return true;
	return cgroup_read_v2(cg, "cgroup.events", &events) == 0 &&
	       cgroup_text_value(events, "frozen", &frozen) == 0 && frozen == 1;
}

bool cgroup_freeze_holds_the_dead(const struct cgroup *cg)
{
	return !v2_dir(cg);
}
