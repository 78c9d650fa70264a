#include "cgroup/oom.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>
#include "base/cleanup.h"
#include "base/fd.h"
#include "cgroup/read.h"
#include "cgroup/tree.h"

enum { EVENTS_TEXT_MAX = 512 };

static const char *counter_file(bool v2)
{
	return v2 ? "memory.events" : "memory.oom_control";
}

int cgroup_oom_kills(const struct cgroup *cg, uint64_t *ret_kills)
{
	_cleanup_free_ char *text = NULL;
	size_t i;
	int r = -ENOENT;

	if (cgroup_has(cg, CGROUP_MEMORY, &i))
		r = cgroup_read(cg, CGROUP_MEMORY, counter_file(cg->dirs[i].v2), &text);
	return r < 0 ? r : cgroup_text_value(text, "oom_kill", ret_kills);
}

/* "EVENTFD FILE" into cgroup.event_control: the kernel keeps what it needs of the file. */
static int register_eventfd(const char *dir, int file, int *ret_fd)
{
	_cleanup_close_ int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	char line[32];
	int r;

	if (fd < 0)
		return -errno;
	(void)snprintf(line, sizeof(line), "%d %d", fd, file);
	r = cgroup_file_put(dir, "cgroup.event_control", line);
	if (r == 0)
		*ret_fd = TAKE_FD(fd);
	return r;
}

int cgroup_oom_watch(const struct cgroup *cg, struct cgroup_oom_watch *ret_watch, struct err *err)
{
	struct cgroup_oom_watch w = CGROUP_OOM_WATCH_INIT;
	_cleanup_close_ int file = -EBADF;
	const struct cgroup_dir *d;
	char path[PATH_MAX];
	size_t i;
	int r;

	if (!cgroup_has(cg, CGROUP_MEMORY, &i))
		return err_setf(err, ERR_NOT_FOUND, ENOENT, "this host has no memory controller");
	d = &cg->dirs[i];
	r = cgroup_file_path(path, sizeof(path), d->path, counter_file(d->v2));
	if (r < 0)
		return err_sysf(err, -r, "%s", d->path);
	file = open(path, O_RDONLY | O_CLOEXEC);
	if (file < 0)
		return err_sysf(err, errno, "%s", path);
	if (d->v2) {
		w = (struct cgroup_oom_watch) {.fd = TAKE_FD(file), .events = EPOLLPRI};
		(void)cgroup_oom_seen(&w);
	} else {
		w = (struct cgroup_oom_watch) {.fd = -EBADF, .events = EPOLLIN, .early = true};
		r = register_eventfd(d->path, file, &w.fd);
		if (r < 0)
			return err_sysf(err, -r, "%s/cgroup.event_control", d->path);
	}
	*ret_watch = w;
	return 0;
}

uint64_t cgroup_oom_seen(const struct cgroup_oom_watch *watch)
{
	char text[EVENTS_TEXT_MAX];
	uint64_t times = 0;
	ssize_t n;

	/* both reads are for their effect, too: a file that was read is quiet again */
	n = watch->early ? read(watch->fd, &times, sizeof(times))
			 : pread(watch->fd, text, sizeof(text), 0);
	(void)n;
	return times;
}

void cgroup_oom_watch_done(struct cgroup_oom_watch *watch)
{
	fd_close(&watch->fd);
}
