#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/random.h>
#include <unistd.h>
#include "base/buf.h"
#include "base/cleanup.h"
#include "base/str.h"

/* `size`: how much there is if that is known, else 0. */
static int read_all(int fd, const char *what, size_t max, size_t size, char **ret_data,
	size_t *ret_len, struct err *err)
{
	_cleanup_(buf_done) struct buf b = BUF_INIT(max);

	for (;;) {
		char chunk[4096];
		ssize_t n = RETRY_EINTR(read(fd, chunk, sizeof(chunk)));
		int r;

		if (n < 0)
			return err_sysf(err, errno, "reading %s", what);
		r = buf_append(&b, chunk, (size_t)n);
		if (r == -EMSGSIZE)
			return err_setf(err, ERR_INVALID, EFBIG,
				"%s: larger than the limit of %zu bytes", what, max);
		if (r < 0)
			return err_sysf(err, -r, "reading %s", what);
		if (n == 0 || (b.len == size && n < (ssize_t)sizeof(chunk)))
			break;
	}
	if (ret_len)
		*ret_len = b.len;
	*ret_data = TAKE_PTR(b.data);
	return 0;
}

int file_read_fd(
	int fd, const char *what, size_t max, char **ret_data, size_t *ret_len, struct err *err)
{
	return read_all(fd, what, max, 0, ret_data, ret_len, err);
}

int file_read_at(
	int dirfd, const char *path, size_t max, char **ret_data, size_t *ret_len, struct err *err)
{
	_cleanup_close_ int fd = openat(dirfd, path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	struct stat st;
	size_t size = 0;

	if (fd < 0)
		return err_sysf(err, errno, "%s", path);
	if (fstat(fd, &st) < 0)
		return err_sysf(err, errno, "%s", path);
	/* a file of sysfs says 4096 whatever is in it; it has no blocks */
	if (S_ISREG(st.st_mode) && st.st_blocks > 0 && st.st_size > 0)
		size = (size_t)st.st_size;
	if (size > max)
		return err_setf(err, ERR_INVALID, EFBIG,
			"%s: %lld bytes, larger than the limit of %zu bytes", path,
			(long long)st.st_size, max);
	return read_all(fd, path, max, size, ret_data, ret_len, err);
}

int file_check_owner(int fd, const char *path, mode_t writers, struct err *err)
{
	bool group = writers & S_IWGRP;
	struct stat st;

	if (fstat(fd, &st) < 0)
		return err_sysf(err, errno, "%s", path);
	if (st.st_uid != 0 && st.st_uid != geteuid())
		return err_setf(err, ERR_PRECONDITION, EPERM,
			"%s: belongs to uid %u: chown root it", path, st.st_uid);
	if (st.st_mode & writers)
		return err_setf(err, ERR_PRECONDITION, EPERM, "%s: %s may write it: chmod %s it",
			path, group ? "others than its owner" : "everybody",
			group ? "go-w" : "o-w");
	return 0;
}

int file_write_all(int fd, const void *data, size_t len)
{
	const char *p = data;

	while (len > 0) {
		ssize_t n = RETRY_EINTR(write(fd, p, len));

		if (n < 0)
			return -errno;
		p += n;
		len -= (size_t)n;
	}
	return 0;
}

int file_put_at(int dirfd, const char *path, const char *text, struct err *err)
{
	_cleanup_close_ int fd = openat(dirfd, path, O_WRONLY | O_CLOEXEC | O_NOCTTY);
	size_t len = strlen(text);
	ssize_t n;

	if (fd < 0)
		return err_sysf(err, errno, "%s", path);
	n = RETRY_EINTR(write(fd, text, len));
	if (n < 0)
		return err_sysf(err, errno, "writing \"%s\" to %s", text, path);
	if ((size_t)n != len)
		return err_sysf(err, EIO, "writing \"%s\" to %s", text, path);
	return 0;
}

static int write_and_sync(int fd, const void *data, size_t len, mode_t mode)
{
	int r = file_write_all(fd, data, len);

	if (r < 0)
		return r;
	/* it was made with 0600 */
	if ((mode != 0600 && fchmod(fd, mode) < 0) || fsync(fd) < 0)
		return -errno;
	return 0;
}

/* Makes the rename durable. A file system that cannot sync a directory (EINVAL) keeps its own
 * order. */
static int sync_parent(int dirfd, const char *path)
{
	const char *slash = strrchr(path, '/');
	_cleanup_free_ char *parent = NULL;
	_cleanup_close_ int fd = -EBADF;

	if (!slash && dirfd >= 0 && (fsync(dirfd) == 0 || errno == EINVAL))
		return 0; /* else it is open for nothing but its name */
	if (slash == path)
		parent = strdup("/");
	else
		parent = slash ? strndup(path, (size_t)(slash - path)) : strdup(".");
	if (!parent)
		return -ENOMEM;
	fd = openat(dirfd, parent, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	if (fsync(fd) < 0 && errno != EINVAL)
		return -errno;
	return 0;
}

int file_replace_at(
	int dirfd, const char *path, const void *data, size_t len, mode_t mode, struct err *err)
{
	_cleanup_free_ char *tmp = NULL;
	_cleanup_close_ int fd = -EBADF;
	const char *slash = strrchr(path, '/');
	int base = slash ? (int)(slash - path + 1) : 0;
	uint64_t nonce;
	int r;

	if (getrandom(&nonce, sizeof(nonce), 0) != sizeof(nonce))
		return err_sysf(err, errno, "%s", path);
	/* a dot file: nobody's glob for *.toml or *.json reads it half-written */
	r = str_printf(&tmp, "%.*s.%s.%016llx", base, path, path + base, (unsigned long long)nonce);
	if (r < 0)
		return err_sysf(err, -r, "%s", path);
	fd = openat(dirfd, tmp, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0)
		return err_sysf(err, errno, "%s", tmp);
	r = write_and_sync(fd, data, len, mode);
	if (r == 0 && renameat(dirfd, tmp, dirfd, path) < 0)
		r = -errno;
	if (r < 0) {
		(void)unlinkat(dirfd, tmp, 0);
		return err_sysf(err, -r, "writing %s", path);
	}
	r = sync_parent(dirfd, path);
	if (r < 0)
		return err_sysf(err, -r, "syncing the directory of %s", path);
	return 0;
}

int file_mkdir_p(const char *path, mode_t mode)
{
	_cleanup_free_ char *copy = strdup(path);

	if (!copy)
		return -ENOMEM;
	for (char *p = copy + 1; *p; p++) {
		if (*p != '/')
			continue;
		*p = '\0';
		if (mkdir(copy, mode) < 0 && errno != EEXIST)
			return -errno;
		*p = '/';
	}
	if (mkdir(copy, mode) < 0 && errno != EEXIST)
		return -errno;
	return 0;
}

int file_lock(const char *path, struct err *err)
{
	_cleanup_close_ int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);

	if (fd < 0)
		return err_sysf(err, errno, "%s", path);
	if (RETRY_EINTR(flock(fd, LOCK_EX)) < 0)
		return err_sysf(err, errno, "locking %s", path);
	return TAKE_FD(fd);
}
