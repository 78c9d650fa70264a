#include "base/fd.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/close_range.h>
#include <linux/openat2.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>
#include "base/cleanup.h"
#include "base/num.h"
#include "base/str.h"

void fd_close(int *fd)
{
	int saved = errno;

	if (*fd >= 0)
		(void)close(*fd);
	*fd = -EBADF;
	errno = saved;
}

int fd_copy(int fd)
{
	int copy = fcntl(fd, F_DUPFD_CLOEXEC, 3);

	return copy < 0 ? -errno : copy;
}

int fd_set_nonblock(int fd)
{
	int flags = fcntl(fd, F_GETFL);

	if (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0)
		return -errno;
	return 0;
}

int fd_clear_cloexec(int fd)
{
	return fcntl(fd, F_SETFD, 0) < 0 ? -errno : 0;
}

/* CLOSE_RANGE_CLOEXEC came with Linux 5.11; 5.10 is supported. */
static int cloexec_by_proc(unsigned first)
{
	_cleanup_closedir_ DIR *dir = opendir("/proc/self/fd");
	struct dirent *e;

	if (!dir)
		return -errno;
	while ((e = readdir(dir))) {
		uint64_t fd;

		if (num_parse_u64(e->d_name, INT32_MAX, &fd) < 0 || fd < first)
			continue;
		if (fcntl((int)fd, F_SETFD, FD_CLOEXEC) < 0 && errno != EBADF)
			return -errno;
	}
	return 0;
}

int fd_cloexec_from(unsigned first)
{
	if (syscall(SYS_close_range, first, ~0U, CLOSE_RANGE_CLOEXEC) == 0)
		return 0;
	if (errno == ENOSYS || errno == EINVAL)
		return cloexec_by_proc(first);
	return -errno;
}

void fd_close_from(unsigned first)
{
	struct rlimit limit;

	if (syscall(SYS_close_range, first, ~0U, 0U) == 0 || getrlimit(RLIMIT_NOFILE, &limit) < 0)
		return;
	for (unsigned fd = first; fd < limit.rlim_cur; fd++)
		(void)close((int)fd);
}

int fd_stdio_to_null(void)
{
	_cleanup_close_ int null = open("/dev/null", O_RDWR | O_CLOEXEC);

	if (null < 0)
		return -errno;
	for (int fd = 0; fd < 3; fd++) {
		if (null == fd) { /* it was free: keep it, just not close-on-exec */
			if (fcntl(TAKE_FD(null), F_SETFD, 0) < 0)
				return -errno;
			return fd_stdio_to_null();
		}
		if (dup2(null, fd) < 0)
			return -errno;
	}
	return 0;
}

union fd_control {
	struct cmsghdr header;
	char space[CMSG_SPACE(sizeof(int) * 4)];
};

int fd_send(int sock, const void *data, size_t len, int fd)
{
	struct iovec iov = {.iov_base = (void *)data, .iov_len = len};
	struct msghdr msg = {.msg_iov = &iov, .msg_iovlen = 1};
	union fd_control control = {0};

	if (fd >= 0) {
		struct cmsghdr *c;

		msg.msg_control = &control;
		msg.msg_controllen = CMSG_SPACE(sizeof(int));
		c = CMSG_FIRSTHDR(&msg);
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(sizeof(int));
		memcpy(CMSG_DATA(c), &fd, sizeof(int));
	}
	if (RETRY_EINTR(sendmsg(sock, &msg, MSG_NOSIGNAL)) < 0)
		return -errno;
	return 0;
}

ssize_t fd_recv(int sock, void *data, size_t len, int *ret_fd)
{
	struct iovec iov = {.iov_base = data, .iov_len = len};
	union fd_control control = {0};
	struct msghdr msg = {.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = &control,
		.msg_controllen = sizeof(control)};
	ssize_t n = RETRY_EINTR(recvmsg(sock, &msg, MSG_CMSG_CLOEXEC));
	int got = -EBADF;

	if (n < 0)
		return -errno;
	for (struct cmsghdr *c = CMSG_FIRSTHDR(&msg); c; c = CMSG_NXTHDR(&msg, c)) {
		size_t count;

		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
			continue;
		count = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
		for (size_t i = 0; i < count; i++) {
			int fd;

			memcpy(&fd, CMSG_DATA(c) + i * sizeof(int), sizeof(int));
			if (got < 0)
				got = fd;
			else
				fd_close(&fd);
		}
	}
	*ret_fd = got;
	return n;
}

int fd_open_below(const char *root, const char *name, int flags)
{
	struct open_how how = {
		.flags = (unsigned)(flags | O_CLOEXEC | (flags & O_PATH ? 0 : O_NOCTTY)),
		.resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS};
	_cleanup_close_ int dir = -EBADF;
	long fd;

	if (str_empty(root)) {
		fd = open(name, flags | O_CLOEXEC | O_NOCTTY);
		return fd < 0 ? -errno : (int)fd;
	}
	dir = open(root, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (dir < 0)
		return -errno;
	fd = syscall(SYS_openat2, dir, name, &how, sizeof(how));
	return fd < 0 ? -errno : (int)fd;
}
