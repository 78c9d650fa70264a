#include "operate/history_file.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>
#include "base/cleanup.h"
#include "base/fd.h"
#include "base/file.h"
#include "base/macro.h"
#include "base/str.h"
#include "recorder/file.h"

enum { CHUNK = 64 << 10, LINE_MAX_BYTES = 1 << 20 };

static void tail_done(struct history_tail *t)
{
	fd_close(&t->fd);
	buf_done(&t->rest);
}

void history_reader_done(struct history_reader *r)
{
	tail_done(&r->old);
	tail_done(&r->now);
}

static bool is_same(const struct history_place *a, const struct history_place *b)
{
	return a->inode == b->inode && a->device == b->device && a->born == b->born;
}

/* A file that is not there is none. */
static int tail_open(const char *path, struct history_tail *ret, struct err *err)
{
	struct statx st;

	*ret = (struct history_tail) {.rest = BUF_INIT(LINE_MAX_BYTES + CHUNK)};
	ret->fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	if (ret->fd < 0 && errno == ENOENT)
		return 0;
	if (ret->fd < 0)
		return err_sysf(err, errno, "%s", path);
	if (statx(ret->fd, "", AT_EMPTY_PATH, STATX_INO | STATX_BTIME, &st) < 0) {
		tail_done(ret);
		return err_sysf(err, errno, "%s", path);
	}
	/* the number of a file that is gone may be another's by now: its time of birth is not */
	ret->at = (struct history_place) {
		.device = makedev(st.stx_dev_major, st.stx_dev_minor), .inode = st.stx_ino};
	if (st.stx_mask & STATX_BTIME)
		ret->at.born = (uint64_t)st.stx_btime.tv_sec * 1000000000U + st.stx_btime.tv_nsec;
	return 0;
}

static void hand_over(struct history_reader *r, struct history_tail *t, bool torn)
{
	size_t done = 0;

	while (done < t->rest.len) {
		const char *line = t->rest.data + done;
		const char *end = memchr(line, '\n', t->rest.len - done);
		size_t len = end ? (size_t)(end - line) + 1 : t->rest.len - done;

		if (!end && !torn)
			break;
		r->line(r->arg, line, len);
		done += len;
	}
	t->at.offset += done;
	buf_consume(&t->rest, done);
}

static int tail_read(struct history_reader *r, struct history_tail *t, struct err *err)
{
	while (t->fd >= 0) {
		ssize_t n;

		if (buf_reserve(&t->rest, CHUNK) < 0)
			return err_sysf(err, ENOMEM, "%s", r->path);
		n = read(t->fd, t->rest.data + t->rest.len, CHUNK);
		if (n < 0)
			return err_sysf(err, errno, "%s", r->path);
		if (n == 0)
			break;
		t->rest.len += (size_t)n;
		hand_over(r, t, t->rest.len > LINE_MAX_BYTES);
	}
	return 0;
}

/* Goes on with a file that is open already; else from one of the places, or its beginning. */
static bool take_over(
	struct history_reader *r, struct history_tail *t, const struct history_place *from)
{
	struct history_tail *const open_ones[] = {&r->old, &r->now};
	struct stat st;

	for (size_t i = 0; t->fd >= 0 && i < ARRAY_LEN(open_ones); i++) {
		if (open_ones[i]->fd < 0 || !is_same(&open_ones[i]->at, &t->at))
			continue;
		tail_done(t);
		*t = *open_ones[i];
		*open_ones[i] = (struct history_tail) {.fd = -EBADF};
		return false;
	}
	for (size_t i = 0; t->fd >= 0 && from && i < 2; i++) {
		if (is_same(&from[i], &t->at) && fstat(t->fd, &st) == 0 &&
			(uint64_t)st.st_size >= from[i].offset &&
			lseek(t->fd, (off_t)from[i].offset, SEEK_SET) >= 0)
			t->at.offset = from[i].offset;
	}
	return t->fd >= 0;
}

/* Whatever was renamed since: what has lost its name is read to its end. 1: there is another. */
static int look_again(struct history_reader *r, const struct history_place *from, struct err *err)
{
	struct history_tail old = {.fd = -EBADF}, now = {.fd = -EBADF};
	_cleanup_free_ char *old_path = NULL;
	bool fresh = false;
	int e = str_printf(&old_path, "%s" RECORDER_OLD_SUFFIX, r->path);

	if (e < 0)
		return err_sysf(err, ENOMEM, "%s", r->path);
	e = tail_open(old_path, &old, err);
	if (e == 0)
		e = tail_open(r->path, &now, err);
	if (e == 0) {
		fresh = take_over(r, &old, from);
		fresh |= take_over(r, &now, from);
		e = tail_read(r, &r->old, err);
	}
	if (e == 0)
		e = tail_read(r, &r->now, err);
	history_reader_done(r);
	r->old = old;
	r->now = now;
	return e < 0 ? e : fresh;
}

int history_read(struct history_reader *r, const struct history_place from[2], struct err *err)
{
	int fresh, e;

	do { /* the file may be renamed between the two */
		fresh = e = look_again(r, from, err);
		if (e >= 0)
			e = tail_read(r, &r->old, err);
		if (e == 0)
			e = tail_read(r, &r->now, err);
	} while (e == 0 && fresh);
	return e < 0 ? e : r->old.fd >= 0 || r->now.fd >= 0;
}

void history_read_rest(struct history_reader *r)
{
	hand_over(r, &r->old, true);
	hand_over(r, &r->now, true);
}

/* The directory is watched, not the file: that also tells of the next one, and of the older. */
static int watch(const char *path, struct err *err)
{
	_cleanup_close_ int fd = inotify_init1(IN_CLOEXEC);
	_cleanup_free_ char *dir = NULL;
	char *slash;
	int r;

	if (fd < 0 && errno == EMFILE)
		return err_setf(err, ERR_EXHAUSTED, EMFILE,
			"watching %s: raise fs.inotify.max_user_instances", path);
	if (fd < 0 || str_dup(&dir, path) < 0)
		return err_sysf(err, fd < 0 ? errno : ENOMEM, "watching %s", path);
	slash = strrchr(dir, '/');
	if (slash)
		slash[slash == dir] = '\0';
	r = file_mkdir_p(dir, 0700);
	if (r < 0)
		return err_sysf(err, -r, "%s", dir);
	if (inotify_add_watch(fd, dir, IN_MODIFY | IN_CREATE | IN_MOVED_TO | IN_ONLYDIR) < 0)
		return err_sysf(err, errno, "watching %s", dir);
	return TAKE_FD(fd);
}

/* Until something happens. */
static int wait_for_more(int fd, const char *path, struct err *err)
{
	_Alignas(struct inotify_event) char events[sizeof(struct inotify_event) + NAME_MAX + 1];
	ssize_t n = RETRY_EINTR(read(fd, events, sizeof(events)));

	if (n < 0)
		return err_sysf(err, errno, "watching %s", path);
	for (const char *p = events; p < events + n;) {
		const struct inotify_event *e = (const struct inotify_event *)(const void *)p;

		if (e->mask & IN_IGNORED)
			return err_setf(
				err, ERR_NOT_FOUND, ENOENT, "%s: its directory is gone", path);
		p += sizeof(*e) + e->len;
	}
	return 0;
}

int history_follow(struct history_reader *r, struct err *err)
{
	_cleanup_close_ int fd = watch(r->path, err);
	int e = fd;

	while (e >= 0) {
		e = history_read(r, NULL, err);
		(void)fflush(stdout);
		if (e >= 0)
			e = wait_for_more(fd, r->path, err);
	}
	return e;
}
