#include "recorder/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/cleanup.h"
#include "base/fd.h"
#include "base/file.h"
#include "base/str.h"

enum { TRIES = 8 };

static int open_file(const char *path)
{
	/* O_NONBLOCK: of a FIFO that somebody has put there nothing is waited for */
	int fd = open(path,
		O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NOCTTY | O_NONBLOCK,
		0600);

	return fd < 0 ? -errno : fd;
}

static int open_or_make(const char *path)
{
	_cleanup_free_ char *dir = NULL;
	char *slash;
	int fd = open_file(path), r;

	if (fd != -ENOENT)
		return fd;
	if (str_dup(&dir, path) < 0)
		return -ENOMEM;
	slash = strrchr(dir, '/');
	if (!slash || slash == dir)
		return -ENOENT;
	*slash = '\0';
	r = file_mkdir_p(dir, 0700);
	return r < 0 ? r : open_file(path);
}

/* Whoever has the lock of a file that is still the one at `path` moves it away. */
static int rotate(const char *path, int fd, const struct stat *st)
{
	_cleanup_free_ char *old = NULL;
	struct stat now;

	if (flock(fd, LOCK_EX | LOCK_NB) < 0)
		return errno == EWOULDBLOCK ? 0 : -errno; /* somebody else is at it */
	if (stat(path, &now) < 0 || now.st_ino != st->st_ino || now.st_dev != st->st_dev)
		return 0;
	if (str_printf(&old, "%s" RECORDER_OLD_SUFFIX, path) < 0)
		return -ENOMEM;
	return rename(path, old) < 0 ? -errno : 0;
}

/* 1: written; 0: the file went away meanwhile. */
static int append_once(const char *path, uint64_t max, const char *line, size_t len)
{
	_cleanup_close_ int fd = open_or_make(path);
	struct stat st;
	ssize_t n;
	int r;

	if (fd < 0)
		return fd;
	if (fstat(fd, &st) < 0)
		return -errno;
	if (!S_ISREG(st.st_mode))
		return -ENOTTY;
	if ((uint64_t)st.st_size >= max) {
		r = rotate(path, fd, &st);
		if (r < 0)
			return r;
		fd_close(&fd);
		fd = open_or_make(path);
		if (fd < 0)
			return fd;
	}
	n = write(fd, line, len);
	if (n < 0)
		return -errno;
	if ((size_t)n != len)
		return -ENOSPC;
	if (fstat(fd, &st) < 0)
		return -errno;
	return st.st_nlink > 0; /* renamed over: two rotations since it was opened */
}

int recorder_append(const char *path, uint64_t max, const char *line, size_t len, struct err *err)
{
	int r = 0;

	for (int i = 0; r == 0 && i < TRIES; i++)
		r = append_once(path, max, line, len);
	if (r == -ENOTTY || r == -ELOOP || r == -ENXIO)
		return err_setf(
			err, ERR_PRECONDITION, ENOTSUP, "%s: is no regular file: remove it", path);
	if (r == 0)
		return err_setf(err, ERR_UNAVAILABLE, EAGAIN, "%s: is renamed all the time", path);
	return r < 0 ? err_sysf(err, -r, "%s", path) : 0;
}
