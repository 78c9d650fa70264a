#include "shim/runtime_client.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/memfd.h>
#include <linux/mount.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>
#include "base/cleanup.h"
#include "base/fd.h"
#include "base/file.h"
#include "base/str.h"
#include "oci/init_contract.h"

#define RUNTIME_NAME "reaper-runtime"

static const char default_path[] = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/* Whether `dir`/reaper-runtime is a program; its path then in *ret_path. */
static bool try_dir(const char *dir, size_t len, char **ret_path)
{
	_cleanup_free_ char *path = NULL;
	struct stat st;

	if (str_printf(&path, "%.*s/%s", (int)len, dir, RUNTIME_NAME) < 0)
		return false;
	if (stat(path, &st) < 0 || !S_ISREG(st.st_mode) || access(path, X_OK) < 0)
		return false;
	*ret_path = TAKE_PTR(path);
	return true;
}

static int find_runtime(char **ret_path, struct err *err)
{
	const char *search = getenv("PATH"), *end;
	char self[4096];
	ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);

	if (n > 0) {
		char *slash;

		self[n] = '\0';
		slash = strrchr(self, '/');
		if (slash && try_dir(self, (size_t)(slash - self), ret_path))
			return 0;
	}
	if (str_empty(search))
		search = default_path;
	for (const char *dir = search; *dir; dir = *end ? end + 1 : end) {
		end = strchrnul(dir, ':');
		if (end > dir && try_dir(dir, (size_t)(end - dir), ret_path))
			return 0;
	}
	return err_setf(err, ERR_NOT_FOUND, ENOENT,
		RUNTIME_NAME ": not found beside the shim (%s) nor in PATH (%s); install it there",
		n > 0 ? self : "?", search);
}

/* A private read-only mount of that one file, attached nowhere: writing through it answers EROFS,
 * to root as well. */
static int clone_read_only(const char *path)
{
	struct mount_attr attr = {
		.attr_set = MOUNT_ATTR_RDONLY | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOSUID};
	_cleanup_close_ int fd = (int)syscall(SYS_open_tree, AT_FDCWD, path,
		OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_SYMLINK_NOFOLLOW);

	if (fd < 0)
		return -errno;
	if (syscall(SYS_mount_setattr, fd, "", AT_EMPTY_PATH, &attr, sizeof(attr)) < 0)
		return -errno;
	return TAKE_FD(fd);
}

/* FIXME(kernel<5.12): without mount_setattr a sealed copy in memory does the same. */
static int copy_sealed(const char *path)
{
	_cleanup_close_ int in = open(path, O_RDONLY | O_CLOEXEC), out = -EBADF;
	struct stat st;
	off_t at = 0;

	if (in < 0 || fstat(in, &st) < 0)
		return -errno;
	out = memfd_create(RUNTIME_NAME, MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (out < 0)
		return -errno;
	while (at < st.st_size) {
		ssize_t n = sendfile(out, in, &at, (size_t)(st.st_size - at));

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n < 0 ? -errno : -EIO;
	}
	if (fcntl(out, F_ADD_SEALS, F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE) < 0)
		return -errno;
	return TAKE_FD(out);
}

int runtime_hold(int *ret_fd, struct err *err)
{
	_cleanup_free_ char *path = NULL, *real = NULL;
	int fd, r;

	r = find_runtime(&path, err);
	if (r < 0)
		return r;
	real = realpath(path, NULL);
	if (!real)
		return err_sysf(err, errno, "%s", path);
	fd = clone_read_only(real);
	if (fd < 0)
		fd = copy_sealed(real);
	if (fd < 0)
		return err_sysf(err, -fd, "holding %s", real);
	*ret_fd = fd;
	return 0;
}

/* The two ends of a control socket; ours is non-blocking. */
static int control_pair(int *ret_ours, int *ret_theirs, struct err *err)
{
	int pair[2], r;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		return err_sysf(err, errno, "socketpair");
	*ret_ours = pair[0];
	*ret_theirs = pair[1];
	r = fd_set_nonblock(pair[0]);
	return r < 0 ? err_sysf(err, -r, "control socket") : 0;
}

/* In the child: as init and the runner of hooks themselves say what went wrong. */
static void tell_failed(int control, const struct err *err)
{
	struct err why = *err;

	(void)err_wrapf(&why, "starting " RUNTIME_NAME);
	(void)init_message_send(control, INIT_FAILED, &why, -EBADF);
}

int runtime_spawn(
	const struct runtime_child *child, struct proc *ret_proc, int *ret_control, struct err *err)
{
	_cleanup_close_ int ours = -EBADF, theirs = -EBADF;
	const char *argv[12] = {RUNTIME_NAME, "init", "--bundle", child->bundle, "--id", child->id,
		"--namespace", child->ns};
	struct proc_spec spec = PROC_SPEC_INIT;
	size_t n = 8;
	int r = control_pair(&ours, &theirs, err);

	if (r < 0)
		return r;
	spec.exec_fd = child->runtime_fd;
	spec.argv = (char *const *)argv;
	spec.env = environ;
	memcpy(spec.fds, child->stdio, sizeof(child->stdio));
	spec.fds[INIT_FD_CONTROL] = theirs;
	spec.n_fds = INIT_FD_CONTROL + 1;
	if (child->exec_id) {
		argv[n++] = "--exec";
		argv[n++] = child->exec_id;
		spec.fds[INIT_FD_TARGET] = child->target_pidfd;
		spec.fds[INIT_FD_PROCESS] = child->process_fd;
		spec.n_fds = INIT_FD_PROCESS + 1;
	}
	if (child->cgroup_fd >= 0)
		argv[n++] = INIT_BORN_IN_CGROUP;
	spec.clone_flags = child->new_pidns ? CLONE_NEWPID : 0;
	spec.pidns_fd = child->pidns_fd;
	spec.cgroup_fd = child->cgroup_fd;
	/* it is born among the workload's processes */
	spec.tell = tell_failed;
	spec.tell_fd = theirs;
	r = proc_spawn(&spec, ret_proc, err);
	if (r < 0)
		return err_wrapf(err, "starting " RUNTIME_NAME);
	*ret_control = TAKE_FD(ours);
	return 0;
}

int runtime_spawn_hooks(
	const struct runtime_hooks *hooks, struct proc *ret_proc, int *ret_control, struct err *err)
{
	_cleanup_close_ int ours = -EBADF, theirs = -EBADF;
	char pid[16];
	const char *argv[] = {RUNTIME_NAME, "hooks", "--bundle", hooks->bundle, "--id", hooks->id,
		"--namespace", hooks->ns, "--stage", hooks->stage, hooks->pid > 0 ? "--pid" : NULL,
		pid, NULL};
	struct proc_spec spec = PROC_SPEC_INIT;
	int r = control_pair(&ours, &theirs, err);

	if (r < 0)
		return r;
	(void)snprintf(pid, sizeof(pid), "%d", hooks->pid);
	spec.exec_fd = hooks->runtime_fd;
	spec.argv = (char *const *)argv;
	spec.env = environ;
	for (int i = 0; i < INIT_FD_CONTROL; i++)
		spec.fds[i] = -EBADF;
	spec.fds[INIT_FD_CONTROL] = theirs;
	spec.n_fds = INIT_FD_CONTROL + 1;
	spec.tell = tell_failed;
	spec.tell_fd = theirs;
	r = proc_spawn(&spec, ret_proc, err);
	if (r < 0)
		return err_wrapf(err, "starting " RUNTIME_NAME);
	*ret_control = TAKE_FD(ours);
	return 0;
}

static int send_byte(int control, char byte)
{
	return fd_send(control, &byte, 1, -EBADF);
}

int runtime_go_on(int control)
{
	return send_byte(control, INIT_GO_ON);
}

int runtime_open_gate(int control)
{
	return send_byte(control, INIT_GATE_OPEN);
}
