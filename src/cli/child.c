#include "cli/child.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/fd.h"
#include "base/file.h"
#include "base/proc.h"
#include "base/str.h"

/* Of what a program says, at once; a dump of a megabyte then takes a few wake-ups instead of a
 * hundred. */
enum { PIECE = 256 << 10 };

void child_result_done(struct child_result *r)
{
	buf_done(&r->out);
	buf_done(&r->err);
}

/* A file in memory rather than a pipe: the program may read it when it likes, nobody has to feed.
 */
static int input_fd(const struct child_spec *spec, struct err *err)
{
	_cleanup_close_ int fd = -EBADF;
	int r;

	fd = memfd_create("reaperctl-input", MFD_CLOEXEC);
	if (fd < 0)
		return err_sysf(err, errno, "memfd_create");
	r = file_write_all(fd, spec->input, spec->input_len);
	if (r < 0)
		return err_sysf(err, -r, "memfd");
	if (lseek(fd, 0, SEEK_SET) < 0)
		return err_sysf(err, errno, "memfd");
	return TAKE_FD(fd);
}

/* Reads a piece. 1 at the end of the stream, 0, or an error; -EAGAIN when nothing is there. */
static int drain(int fd, struct buf *b)
{
	size_t left = b->max - b->len, room = left < PIECE ? left : PIECE;
	ssize_t n;
	char more;
	int r = buf_reserve(b, room);

	if (r < 0)
		return r;
	n = RETRY_EINTR(read(fd, room ? b->data + b->len : &more, room ? room : 1));
	if (n < 0)
		return -errno;
	if (n == 0)
		return 1;
	if (room == 0)
		return -EMSGSIZE;
	b->len += (size_t)n;
	b->data[b->len] = '\0';
	return 0;
}

/* Everything that is there. */
static int drain_rest(int fd, struct buf *b)
{
	int r;

	do {
		r = drain(fd, b);
	} while (r == 0);
	return r == -EAGAIN || r > 0 ? 0 : r;
}

/* Until both streams are at their end and the program has ended, or the deadline. */
static int collect(int fds[2], struct proc *p, struct child_result *res, uint64_t deadline)
{
	struct buf *bufs[2] = {&res->out, &res->err};
	bool ended = false;

	while (!ended || fds[0] >= 0 || fds[1] >= 0) {
		struct pollfd pfd[3] = {{.fd = fds[0], .events = POLLIN},
			{.fd = fds[1], .events = POLLIN},
			{.fd = ended ? -1 : p->pidfd, .events = POLLIN}};
		uint64_t now = clock_boot_usec();

		if (now >= deadline)
			return -ETIMEDOUT;
		if (poll(pfd, 3, (int)((deadline - now) / 1000 + 1)) < 0 && errno != EINTR)
			return -errno;
		for (size_t i = 0; i < 2; i++) {
			int r = pfd[i].revents ? drain(fds[i], bufs[i]) : 0;

			if (r < 0 && r != -EAGAIN)
				return r;
			if (r > 0)
				fd_close(&fds[i]);
		}
		if (!ended && pfd[2].revents) {
			int r = proc_reap(p, &res->status);

			if (r < 0)
				return r;
			ended = r > 0;
			/* a grandchild may hold the pipes for ever: what it says is not waited for
			 */
			for (size_t i = 0; i < 2 && ended; i++) {
				r = fds[i] >= 0 ? drain_rest(fds[i], bufs[i]) : 0;
				if (r < 0)
					return r;
				fd_close(&fds[i]);
			}
		}
	}
	return 0;
}

static int spawn(const struct child_spec *spec, int fds[2], struct proc *ret_proc, struct err *err)
{
	_cleanup_close_ int input = -EBADF, out_w = -EBADF, err_w = -EBADF;
	_cleanup_close_ int out_r = -EBADF, err_r = -EBADF;
	_cleanup_strv_ char **env = NULL;
	struct proc_spec ps = PROC_SPEC_INIT;
	int pair[2], r;

	if (spec->input) {
		input = input_fd(spec, err);
		if (input < 0)
			return input;
	}
	if (pipe2(pair, O_CLOEXEC) < 0)
		return err_sysf(err, errno, "pipe2");
	out_r = pair[0];
	out_w = pair[1];
	if (pipe2(pair, O_CLOEXEC) < 0)
		return err_sysf(err, errno, "pipe2");
	err_r = pair[0];
	err_w = pair[1];
	(void)fcntl(out_r, F_SETPIPE_SZ, PIECE); /* refused beyond a limit of the user's pipes */
	r = fd_set_nonblock(out_r);
	if (r == 0)
		r = fd_set_nonblock(err_r);
	if (r == 0)
		r = strv_copy(&env, environ);
	if (r == 0)
		r = strv_env_set(&env, "LC_ALL", "C");
	if (r < 0)
		return err_sysf(err, -r, "%s", spec->path);
	ps.exec_path = spec->path;
	ps.argv = spec->argv;
	ps.env = env;
	ps.fds[0] = input >= 0 ? input : -1;
	ps.fds[1] = out_w;
	ps.fds[2] = err_w;
	ps.n_fds = 3;
	r = proc_spawn(&ps, ret_proc, err);
	if (r < 0)
		return r;
	fds[0] = TAKE_FD(out_r);
	fds[1] = TAKE_FD(err_r);
	return 0;
}

int child_run(const struct child_spec *spec, struct child_result *ret, struct err *err)
{
	uint64_t timeout_s = spec->timeout_s ? spec->timeout_s : 60;
	struct proc p = PROC_INIT;
	int fds[2] = {-EBADF, -EBADF};
	uint32_t status;
	int r;

	r = spawn(spec, fds, &p, err);
	if (r < 0) {
		(void)err_wrapf(err, "%s", spec->path);
		return r;
	}
	r = collect(fds, &p, ret, clock_boot_usec() + timeout_s * USEC_PER_SEC);
	fd_close(&fds[0]);
	fd_close(&fds[1]);
	if (r < 0) { /* it may have ended and been reaped already: then these do nothing */
		(void)proc_signal(&p, SIGKILL);
		(void)proc_wait(&p, &status);
	}
	proc_done(&p);
	if (r == -ETIMEDOUT)
		return err_setf(err, ERR_DEADLINE, ETIMEDOUT,
			"%s did not end within %llu seconds and was killed", spec->path,
			(unsigned long long)timeout_s);
	return r < 0 ? err_sysf(err, -r, "output of %s", spec->path) : 0;
}

int child_must(const struct child_spec *spec, struct child_result *ret, struct err *err)
{
	int r = child_run(spec, ret, err);

	if (r < 0)
		return r;
	if (ret->status != 0) {
		size_t n = strv_len(spec->argv);

		return err_setf(err, ERR_PRECONDITION, EIO, "%s … %s: status %u: %s", spec->path,
			n > 1 ? spec->argv[n - 1] : "", ret->status, child_last_line(&ret->err));
	}
	return 0;
}

int child_find(const char *name, char **ret_path, struct err *err)
{
	const char *path = getenv("PATH");
	_cleanup_strv_ char **dirs = NULL;
	int r = strv_split(&dirs, path ? path : "/usr/sbin:/usr/bin:/sbin:/bin", ":");

	for (char **d = dirs; r == 0 && d && *d; d++) {
		_cleanup_free_ char *candidate = NULL;

		r = str_printf(&candidate, "%s/%s", *d, name);
		if (r == 0 && (*d)[0] == '/' && access(candidate, X_OK) == 0) {
			*ret_path = TAKE_PTR(candidate);
			return 0;
		}
	}
	if (r < 0)
		return err_sysf(err, -r, "%s", name);
	return err_setf(err, ERR_NOT_FOUND, ENOENT, "no program \"%s\" on PATH", name);
}

const char *child_last_line(struct buf *b)
{
	char *nl;

	while (b->len > 0 && strchr("\r\n\t ", b->data[b->len - 1]))
		b->data[--b->len] = '\0';
	if (b->len == 0)
		return "";
	nl = strrchr(b->data, '\n');
	return nl ? nl + 1 : b->data;
}
