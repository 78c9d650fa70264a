#include "merge/write.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>
#include "base/cleanup.h"
#include "base/file.h"
#include "base/macro.h"
#include "base/sha256.h"
#include "base/str.h"
#include "node/confset.h"
#include "node/root.h"

enum { ATTR_NAMES_MAX = 64 << 10, ATTR_VALUE_MAX = 64 << 10 };

/* Not ".toml" at its end: no import pattern of anybody's loads it. One at a time, under the lock.
 */
#define TMP_SUFFIX ".reaper-new"

void write_job_done(struct write_job *job)
{
	if (job->tmp)
		(void)unlink(job->tmp);
	if (job->made > 0)
		root_rmdirs(job->root, job->dir, job->made); /* only what is empty goes */
	free(job->path);
	free(job->tmp);
	free(job->dir);
	*job = (struct write_job)WRITE_JOB_INIT;
}

static int tmp_name(const char *path, char **ret)
{
	const char *slash = strrchr(path, '/');

	return str_printf(ret, "%.*s/.%s" TMP_SUFFIX, (int)(slash - path), path, slash + 1);
}

void write_sweep(const char *path)
{
	_cleanup_free_ char *tmp = NULL;

	if (tmp_name(path, &tmp) == 0)
		(void)unlink(tmp);
}

static int hash_fd(int fd, char ret_hex[65])
{
	_cleanup_free_ char *text = NULL;
	size_t len;
	int r;

	if (lseek(fd, 0, SEEK_SET) < 0)
		return -errno;
	r = file_read_fd(fd, "file", CONFSET_FILE_MAX, &text, &len, NULL);
	if (r == 0)
		sha256_hex(text, len, ret_hex);
	return r;
}

int write_hash(const char *path, char ret_hex[65])
{
	_cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);

	return fd < 0 ? -errno : hash_fd(fd, ret_hex);
}

static int sync_directory(const char *path)
{
	const char *slash = strrchr(path, '/');
	_cleanup_free_ char *dir = strndup(path, slash == path ? 1 : (size_t)(slash - path));
	_cleanup_close_ int fd = -EBADF;

	if (!dir)
		return -ENOMEM;
	fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	return fsync(fd) < 0 && errno != EINVAL ? -errno : 0;
}

int write_unlink(const char *path, struct err *err)
{
	if (unlink(path) < 0 && errno != ENOENT)
		return err_sysf(err, errno, "removing %s", path);
	(void)sync_directory(path);
	return 0;
}

/* Labels, ACLs and user attributes. One that this file system or user may not set is an error: a
 * file with fewer rules than before is not the same file. */
static int copy_xattrs(int from, int to)
{
	_cleanup_free_ char *names = malloc(ATTR_NAMES_MAX), *value = malloc(ATTR_VALUE_MAX);
	ssize_t n;

	if (!names || !value)
		return -ENOMEM;
	n = flistxattr(from, names, ATTR_NAMES_MAX);
	if (n < 0)
		return errno == EOPNOTSUPP ? 0 : -errno;
	for (char *name = names; name < names + n; name += strlen(name) + 1) {
		char there[256];
		ssize_t len = fgetxattr(from, name, value, ATTR_VALUE_MAX);

		if (len < 0)
			return -errno;
		/* a label that the new file was born with need not be (and may not be) set again */
		if (len <= (ssize_t)sizeof(there) &&
			fgetxattr(to, name, there, sizeof(there)) == len &&
			memcmp(there, value, (size_t)len) == 0)
			continue;
		if (fsetxattr(to, name, value, (size_t)len, 0) < 0)
			return -errno;
	}
	return 0;
}

/* ---- looking ---- */

/* For root too: a read-only file system, an immutable file or directory. */
static int check_writable(const char *path, struct err *err)
{
	return access(path, W_OK) < 0 ? err_sysf(err, errno, "%s", path) : 0;
}

static int directory_of(const char *path, char **ret)
{
	const char *slash = strrchr(path, '/');

	if (!slash)
		return -EINVAL;
	*ret = strndup(path, slash == path ? 1 : (size_t)(slash - path));
	return *ret ? 0 : -ENOMEM;
}

static int prepare_existing(struct write_job *job, int fd, struct err *err)
{
	_cleanup_free_ char *dir = NULL;
	char hash[65];
	struct stat st;
	int r = hash_fd(fd, hash);

	if (r == 0)
		r = root_real_path(fd, &job->path);
	if (r < 0 || !job->path || fstat(fd, &st) < 0)
		return err_sysf(err, r < 0 ? -r : errno, "reading the file again");
	if (!str_eq(hash, job->before))
		return err_setf(err, ERR_PRECONDITION, ESTALE, "%s was changed by somebody else",
			job->path);
	job->mode = st.st_mode & 07777;
	job->uid = st.st_uid;
	job->gid = st.st_gid;
	r = check_writable(job->path, err);
	if (r < 0 || st.st_nlink > 1) /* a rename would split the two names */
		return r;
	r = tmp_name(job->path, &job->tmp);
	if (r == 0)
		r = directory_of(job->path, &dir);
	if (r < 0 || !dir)
		return err_sysf(err, r < 0 ? -r : ENOMEM, "%s", job->path);
	return check_writable(dir, err);
}

static int prepare_new(struct write_job *job, const char *name, struct err *err)
{
	_cleanup_free_ char *there = NULL;
	int r = root_path(job->root, name, &job->path);

	if (r == 0)
		r = tmp_name(job->path, &job->tmp);
	if (r == 0)
		r = root_missing_dirs(job->root, job->dir, &there);
	if (r < 0 || !there)
		return err_sysf(err, r < 0 ? -r : ENOMEM, "%s", name);
	job->dirs_made = r;
	job->create = true;
	job->mode = 0644;
	job->uid = geteuid();
	job->gid = getegid();
	return check_writable(there, err);
}

int write_prepare(struct write_job *job, const char *root, const char *name, const char *before,
	const char *data, size_t len, struct err *err)
{
	_cleanup_close_ int fd = -EBADF;

	job->root = root;
	job->data = data;
	job->len = len;
	if (directory_of(name, &job->dir) < 0)
		return err_sysf(err, ENOMEM, "%s", name);
	fd = root_open(root, name, O_RDONLY | O_NONBLOCK);
	if (fd < 0 && fd != -ENOENT)
		return err_sysf(err, -fd, "%s%s", root, name);
	if ((fd < 0) != (before == NULL))
		return err_setf(err, ERR_PRECONDITION, ESTALE, "%s%s %s", root, name,
			before ? "is gone" : "has come into being");
	if (!before)
		return prepare_new(job, name, err);
	memcpy(job->before, before, sizeof(job->before));
	return prepare_existing(job, fd, err);
}

/* ---- a new file beside it ---- */

/* `from` is the file that gives its attributes, or -1. */
static int fill_tmp(const struct write_job *job, int from)
{
	_cleanup_close_ int fd = -EBADF;
	int r;

	(void)unlink(job->tmp); /* of a run that was killed: the lock is ours */
	fd = open(job->tmp, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0)
		return -errno;
	r = file_write_all(fd, job->data, job->len);
	/* owner first: changing it takes set-id bits away */
	if (r == 0 && fchown(fd, job->uid, job->gid) < 0)
		r = -errno;
	if (r == 0 && from >= 0)
		r = copy_xattrs(from, fd);
	if (r == 0 && fchmod(fd, job->mode) < 0)
		r = -errno;
	if (r == 0 && fsync(fd) < 0)
		r = -errno;
	return r;
}

static int commit_new(struct write_job *job)
{
	int r = root_mkdirs(job->root, job->dir, 0755, 0755);

	if (r < 0)
		return r;
	job->made = r;
	r = fill_tmp(job, -1);
	if (r < 0)
		return r;
	r = renameat2(AT_FDCWD, job->tmp, AT_FDCWD, job->path, RENAME_NOREPLACE) < 0 ? -errno : 0;
	if (r == -EINVAL) /* a file system without it: a link has the same guarantee */
		r = link(job->tmp, job->path) < 0 ? -errno : unlink(job->tmp) < 0 ? -errno : 0;
	if (r == 0)
		job->made = 0;
	return r == -EEXIST ? -ESTALE : r;
}

/*
 * Exchanges the two files, so that the old one can be looked at once more when nobody finds it
 * under its name any longer; if somebody wrote to it at the last moment, they are exchanged back.
 */
static int exchange(const struct write_job *job)
{
	char hash[65];
	int r;

	if (renameat2(AT_FDCWD, job->tmp, AT_FDCWD, job->path, RENAME_EXCHANGE) < 0) {
		if (errno != EINVAL && errno != ENOSYS)
			return errno == ENOENT ? -ESTALE : -errno;
		/* a file system without it */
		return rename(job->tmp, job->path) < 0 ? -errno : 0;
	}
	r = write_hash(job->tmp, hash);
	if (r == 0 && str_eq(hash, job->before)) {
		(void)unlink(job->tmp); /* else the next run sweeps it */
		return 0;
	}
	if (renameat2(AT_FDCWD, job->tmp, AT_FDCWD, job->path, RENAME_EXCHANGE) == 0)
		return r < 0 ? r : -ESTALE;
	return r < 0 ? 0 : -errno; /* it has the name, and that cannot be changed any more */
}

static int commit_beside(struct write_job *job)
{
	_cleanup_close_ int old = open(job->path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NOFOLLOW);
	char hash[65];
	int r;

	if (old < 0)
		return errno == ENOENT ? -ESTALE : -errno;
	r = fill_tmp(job, old);
	/* as late as can be: who writes without our lock is seen up to here */
	if (r == 0)
		r = write_hash(job->path, hash);
	if (r == 0 && !str_eq(hash, job->before))
		r = -ESTALE;
	return r < 0 ? r : exchange(job);
}

/* ---- into the file itself ---- */

static int write_at(int fd, const char *data, size_t len, size_t at)
{
	while (len > 0) {
		ssize_t n = RETRY_EINTR(pwrite(fd, data, len, (off_t)at));

		if (n < 0)
			return -errno;
		data += n;
		len -= (size_t)n;
		at += (size_t)n;
	}
	return 0;
}

/*
 * One write() from the first byte that differs, so that a kill leaves the old bytes or the new
 * ones. A file that gets shorter is filled up with line ends before it is cut: what a kill between
 * the two leaves means the same already (write_trim takes them away).
 */
static int overwrite(const struct write_job *job, int fd, const char *old, size_t old_len)
{
	size_t max = old_len > job->len ? old_len : job->len, at = 0;
	_cleanup_free_ char *text = malloc(max + 1);
	int r = 0;

	if (!text)
		return -ENOMEM;
	memcpy(text, job->data, job->len);
	memset(text + job->len, '\n', max - job->len);
	while (at < job->len && at < old_len && text[at] == old[at])
		at++;
	if (at < job->len)
		r = write_at(fd, text + at, max - at, at);
	if (r == 0 && job->len < old_len && ftruncate(fd, (off_t)job->len) < 0)
		r = -errno;
	if (r == 0 && fsync(fd) < 0)
		r = -errno;
	if (r < 0) { /* as it was, as far as that goes */
		if (write_at(fd, old + at, old_len - at, at) < 0 ||
			ftruncate(fd, (off_t)old_len) < 0)
			return -ENOTRECOVERABLE;
		(void)fsync(fd);
	}
	return r;
}

static int commit_in_place(const struct write_job *job)
{
	_cleanup_close_ int fd = open(job->path, O_RDWR | O_CLOEXEC | O_NOCTTY | O_NOFOLLOW);
	_cleanup_free_ char *old = NULL;
	char hash[SHA256_HEX_SIZE];
	size_t len;
	int r;

	if (fd < 0)
		return errno == ENOENT ? -ESTALE : -errno;
	/* that there is no space is found out before anything is written; and nothing comes between
	 * the last look and the writing */
	if (fallocate(fd, FALLOC_FL_KEEP_SIZE, 0, (off_t)job->len + 1) < 0 && errno != EOPNOTSUPP &&
		errno != ENOSYS)
		return -errno;
	r = file_read_fd(fd, "file", CONFSET_FILE_MAX, &old, &len, NULL);
	if (r < 0)
		return r;
	sha256_hex(old, len, hash);
	return str_eq(hash, job->before) ? overwrite(job, fd, old ? old : "", len) : -ESTALE;
}

int write_commit(struct write_job *job, struct err *err)
{
	int r = job->create ? commit_new(job)
		: job->tmp  ? commit_beside(job)
			    : commit_in_place(job);

	if (r == -EBUSY && !job->create &&
		job->tmp) { /* a mount point has no other file renamed over it */
		(void)unlink(job->tmp);
		r = commit_in_place(job);
	}
	if (r == -ESTALE)
		return err_setf(err, ERR_PRECONDITION, ESTALE, "%s was changed by somebody else",
			job->path);
	if (r == -ENOTRECOVERABLE)
		return err_setf(err, ERR_PRECONDITION, ENOTRECOVERABLE,
			"writing %s failed, and its old bytes could not be written back",
			job->path);
	if (r < 0)
		return err_sysf(err, -r, "writing %s", job->path);
	free(job->tmp);
	job->tmp = NULL;
	(void)sync_directory(job->path);
	return 0;
}

int write_trim(const char *path, const char *before, size_t len)
{
	_cleanup_close_ int fd = open(path, O_RDWR | O_CLOEXEC | O_NOCTTY | O_NOFOLLOW);
	_cleanup_free_ char *text = NULL;
	char hash[SHA256_HEX_SIZE];
	size_t now;
	int r;

	if (fd < 0)
		return -errno;
	r = file_read_fd(fd, "file", CONFSET_FILE_MAX, &text, &now, NULL);
	if (r < 0 || !text || now <= len)
		return r;
	for (size_t i = len; i < now; i++) {
		if (text[i] != '\n')
			return 0;
	}
	sha256_hex(text, len, hash);
	if (!str_eq(hash, before))
		return 0;
	return ftruncate(fd, (off_t)len) < 0 || fsync(fd) < 0 ? -errno : 1;
}
