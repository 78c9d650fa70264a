#include "shim/socket.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stddef.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/fd.h"
#include "base/file.h"
#include "base/sha256.h"
#include "base/str.h"
#include "shim/reserve.h"

#define DEFAULT_DIR "/run/containerd/s"

/* containerd computes filepath.Join(address, namespace, group): double and trailing slashes vanish.
 */
static int clean_join(const char *address, const char *ns, const char *group, char **ret_joined)
{
	_cleanup_free_ char *joined = NULL;
	char *out;
	int r = str_printf(&joined, "%s/%s/%s", address, ns, group);

	if (r < 0)
		return r;
	out = joined;
	for (const char *in = joined; *in; in++) {
		if (*in == '/' && out > joined && out[-1] == '/')
			continue;
		*out++ = *in;
	}
	*out = '\0';
	*ret_joined = TAKE_PTR(joined);
	return 0;
}

int socket_path(const char *dir, const char *address, const char *ns, const char *group,
	char **ret_path, struct err *err)
{
	_cleanup_free_ char *joined = NULL, *path = NULL;
	char hex[65];
	int r;

	r = clean_join(address, ns, group, &joined);
	if (r < 0)
		return err_sysf(err, -r, "socket path");
	sha256_hex(joined, strlen(joined), hex);
	r = str_printf(&path, "%s/%s", str_empty(dir) ? DEFAULT_DIR : dir, hex);
	if (r < 0)
		return err_sysf(err, -r, "socket path");
	if (strlen(path) > SOCKET_PATH_MAX)
		return err_setf(err, ERR_INVALID, ENAMETOOLONG,
			"socket path %.200s: %zu bytes, at most %d; use a shorter socket directory",
			path, strlen(path), SOCKET_PATH_MAX);
	*ret_path = TAKE_PTR(path);
	return 0;
}

static void fill_address(struct sockaddr_un *sun, const char *path)
{
	*sun = (struct sockaddr_un) {.sun_family = AF_UNIX};
	memcpy(sun->sun_path, path, strlen(path)); /* socket_path checked the length */
}

/* An exclusive lock on the directory of `path`, which is made (root's alone) when it is not there.
 */
static int lock_dir(const char *path, struct err *err)
{
	_cleanup_free_ char *dir = strndup(path, (size_t)(strrchr(path, '/') - path));
	_cleanup_close_ int fd = -EBADF;
	int r;

	if (!dir)
		return err_sysf(err, ENOMEM, "%s", path);
	r = file_mkdir_p(dir, 0700);
	if (r < 0)
		return err_sysf(err, -r, "making %s", dir);
	fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0 || RETRY_EINTR(flock(fd, LOCK_EX)) < 0)
		return err_sysf(err, errno, "locking %s", dir);
	return TAKE_FD(fd);
}

int socket_bind(const char *path)
{
	_cleanup_close_ int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	struct sockaddr_un sun;
	mode_t old;
	int r;

	if (fd < 0)
		return -errno;
	fill_address(&sun, path);
	old = umask(0177); /* only root may speak to the shim, from the first moment */
	r = bind(fd, (struct sockaddr *)&sun, sizeof(sun));
	(void)umask(old);
	if (r < 0)
		return -errno;
	if (listen(fd, 512) < 0) {
		r = -errno;
		(void)unlink(path);
		return r;
	}
	return TAKE_FD(fd);
}

/* A connection to whoever listens; -ECONNREFUSED or -ENOENT when nobody does. Never blocks: a full
 * backlog is -EAGAIN. */
static int connect_to(const char *path)
{
	_cleanup_close_ int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	struct sockaddr_un sun;

	if (fd < 0)
		return -errno;
	fill_address(&sun, path);
	if (RETRY_EINTR(connect(fd, (struct sockaddr *)&sun, sizeof(sun))) < 0)
		return -errno;
	return TAKE_FD(fd);
}

void socket_claim_done(struct socket_claim *claim)
{
	fd_close(&claim->lock);
	fd_close(&claim->peer);
}

int socket_claim(const char *path, const char *ns, const char *id, struct socket_claim *ret_claim,
	struct err *err)
{
	/* each turn either ends or has seen another shim leave */
	for (int turn = 0; turn < 16; turn++) {
		_cleanup_close_ int peer = -EBADF, lock = lock_dir(path, err);
		int r;

		if (lock < 0)
			return lock;
		if (access(path, F_OK) == 0)
			peer = connect_to(path);
		else
			peer = -errno;
		if (peer == -ECONNREFUSED && unlink(path) < 0 && errno != ENOENT)
			return err_sysf(err, errno, "removing the stale %s", path);
		if (peer == -ECONNREFUSED || peer == -ENOENT) {
			ret_claim->lock = TAKE_FD(lock);
			return 0;
		}
		if (peer < 0)
			return err_sysf(err, -peer, "connecting to %s", path);
		/* the lock is every pod's: one shim that does not answer holds up its own only */
		fd_close(&lock);
		r = reserve_ask(peer, ns, id, err);
		if (r == RESERVE_GRANTED) {
			ret_claim->peer = TAKE_FD(peer);
			return 0;
		}
		if (r < 0)
			return err_wrapf(err, "the pod's shim at %s", path);
		/* RESERVE_LEAVING: it has unlinked its socket, or is about to be gone */
	}
	return err_setf(
		err, ERR_UNAVAILABLE, EBUSY, "%s: shims come and go there, none answers", path);
}

enum socket_release socket_release(const char *path, const char *id)
{
	int r = 0;

	for (int turn = 0; turn < 2; turn++) {
		_cleanup_close_ int lock = -EBADF, peer = -EBADF;

		if (access(path, F_OK) < 0)
			return SOCKET_OF_NOBODY;
		lock = lock_dir(path, NULL);
		if (lock < 0)
			return SOCKET_OF_NOBODY;
		peer = connect_to(path);
		if (peer == -ECONNREFUSED)
			(void)unlink(path);
		if (peer < 0)
			return SOCKET_OF_NOBODY;
		fd_close(&lock);
		r = reserve_release(peer, id);
		if (r != 0)
			break;
	}
	if (r < 0)
		return SOCKET_SILENT;
	return r > 0 ? SOCKET_OF_A_SHIM : SOCKET_OF_NOBODY;
}
