#include "runtime/command.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/fsuid.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <unistd.h>
#include "base/cleanup.h"
#include "base/fd.h"
#include "base/str.h"
#include "oci/init_contract.h"
#include "runtime/program.h"

int command_exit_status(const struct err *err)
{
	return err->kind == ERR_NOT_FOUND ? INIT_EXIT_NOT_FOUND : INIT_EXIT_CANNOT_EXEC;
}

/* Without the magic links of /proc: /proc/self/exe is this very program, and a workload that is it
 * could be made to write to it. */
static int open_command(const char *path)
{
	struct open_how how = {.flags = O_PATH | O_CLOEXEC, .resolve = RESOLVE_NO_MAGICLINKS};
	long fd = syscall(SYS_openat2, AT_FDCWD, path, &how, sizeof(how));

	return fd < 0 ? -errno : (int)fd;
}

static bool is_own_program(const struct stat *st, int proc_fd)
{
	struct stat own;

	return fstatat(proc_fd, "self/exe", &own, 0) == 0 && own.st_dev == st->st_dev &&
	       own.st_ino == st->st_ino;
}

/* Which directory on the way does not let this user through: "" for the working directory. */
static bool find_denying(const char *path, char *ret_dir, size_t size)
{
	for (const char *slash = strchr(path, '/'); slash; slash = strchr(slash + 1, '/')) {
		int len = slash == path ? 1 : (int)(slash - path);

		(void)snprintf(ret_dir, size, "%.*s", len, path);
		if (faccessat(AT_FDCWD, ret_dir, X_OK, AT_EACCESS) < 0 && errno == EACCES)
			return true;
	}
	return false;
}

static uid_t user_now(void)
{
	return (uid_t)setfsuid((uid_t)-1); /* changes nothing, answers what is */
}

int command_denied(const char *path, struct err *err)
{
	char dir[PATH_MAX];

	if (find_denying(path, dir, sizeof(dir)))
		return err_setf(err, ERR_PERMISSION, EACCES,
			"%s: permission denied: user %u may not enter directory %s", path,
			user_now(), dir);
	return err_setf(
		err, ERR_PERMISSION, EACCES, "%s: permission denied for user %u", path, user_now());
}

static bool on_noexec(const char *path)
{
	struct statvfs fs;

	return statvfs(path, &fs) == 0 && (fs.f_flag & ST_NOEXEC);
}

/* A regular file that this user cannot execute: 0 if he can. */
static int check_executable(const char *path, const char *role, struct err *err)
{
	/* AT_EACCESS: with the ids in force, not the real ones */
	if (faccessat(AT_FDCWD, path, X_OK, AT_EACCESS) == 0)
		return 0;
	if (errno == EACCES && on_noexec(path))
		return err_setf(err, ERR_PERMISSION, EACCES,
			"%s%s: lies on a file system that is mounted noexec", role, path);
	return err_setf(err, ERR_PERMISSION, errno, "%s%s: is not executable for user %u", role,
		path, user_now());
}

/* The interpreter of a script and the loader of a program must be there and executable: execve
 * would only say "no such file". */
static int check_interpreter(const char *path, struct err *err)
{
	_cleanup_(program_done) struct program program;
	const char *what;
	struct stat st;
	int fd, r;

	program_look(path, &program); /* a program may be executable and not readable */
	if (program.kind == PROGRAM_SCRIPT && program.dos)
		return err_setf(err, ERR_NOT_FOUND, ENOENT,
			"%s: its first line ends in a carriage return (DOS line endings)", path);
	if (!program.interpreter)
		return 0;
	what = program.kind == PROGRAM_ELF ? "dynamic loader" : "interpreter";
	fd = open_command(program.interpreter);
	if (fd == -ELOOP)
		return err_setf(err, ERR_INVALID, ELOOP, "%s: its %s %s is a magic link of /proc",
			path, what, program.interpreter);
	if (fd == -EACCES) {
		(void)command_denied(program.interpreter, err);
		return err_wrapf(err, "%s: its %s", path, what);
	}
	if (fd < 0)
		return err_setf(err, err_kind_of(-fd), -fd, "%s: its %s %s: %s", path, what,
			program.interpreter, fd == -ENOENT ? "not found" : strerrordesc_np(-fd));
	r = fstat(fd, &st) < 0 || !S_ISREG(st.st_mode)
		    ? err_setf(err, ERR_PERMISSION, EACCES, "%s: is no regular file",
			      program.interpreter)
		    : check_executable(program.interpreter, "", err);
	fd_close(&fd);
	return r < 0 ? err_wrapf(err, "%s: its %s", path, what) : 0;
}

/* 0, -ENOENT quietly, or an error that ends the search. */
static int check_candidate(const char *path, int proc_fd, struct err *err)
{
	_cleanup_close_ int fd = open_command(path);
	struct stat st;

	if (fd == -ENOENT || fd == -ENOTDIR)
		return -ENOENT;
	if (fd == -ELOOP)
		return err_setf(err, ERR_INVALID, ELOOP,
			"%s: a loop of symbolic links, or a magic link of /proc", path);
	if (fd == -EACCES)
		return command_denied(path, err);
	if (fd < 0 || fstat(fd, &st) < 0)
		return err_sysf(err, fd < 0 ? -fd : errno, "%s", path);
	if (S_ISDIR(st.st_mode))
		return err_setf(err, ERR_PERMISSION, EACCES, "%s: is a directory", path);
	if (!S_ISREG(st.st_mode))
		return err_setf(err, ERR_PERMISSION, EACCES, "%s: is no regular file", path);
	if (is_own_program(&st, proc_fd))
		return err_setf(err, ERR_INVALID, EINVAL,
			"%s: the runtime's own program cannot be a pod's command", path);
	if (check_executable(path, "", err) < 0)
		return -EACCES;
	return check_interpreter(path, err);
}

/* As execvp: what cannot be executed is remembered and the search goes on. */
static int search(const char *name, const char *path, int proc_fd, char **ret_path, struct err *err)
{
	struct err first = ERR_INIT;
	const char *p = path;

	for (;;) {
		const char *end = strchrnul(p, ':');
		_cleanup_free_ char *candidate = NULL;
		struct err reason = ERR_INIT;
		int r;

		/* an empty entry means the working directory */
		if (str_printf(&candidate, "%.*s%s%s", (int)(end - p), p, end > p ? "/" : "./",
			    name) < 0)
			return err_sysf(err, ENOMEM, "%s", name);
		r = check_candidate(candidate, proc_fd, &reason);
		if (r == 0) {
			*ret_path = TAKE_PTR(candidate);
			return 0;
		}
		if (reason.kind != ERR_NONE && first.kind == ERR_NONE)
			first = reason;
		if (!*end)
			break;
		p = end + 1;
	}
	if (first.kind != ERR_NONE) {
		if (err)
			*err = first;
		return -first.errnum;
	}
	return err_setf(err, ERR_NOT_FOUND, ENOENT, "%s: not found; searched %s", name, path);
}

int command_resolve(
	const char *name, char *const *env, int proc_fd, char **ret_path, struct err *err)
{
	const char *path = strv_env_get(env, "PATH");
	struct err reason = ERR_INIT;
	char *copy;
	int r;

	if (!strchr(name, '/'))
		return search(name, str_empty(path) ? COMMAND_DEFAULT_PATH : path, proc_fd,
			ret_path, err);
	r = check_candidate(name, proc_fd, &reason);
	if (r == -ENOENT && reason.kind == ERR_NONE)
		return err_setf(err, ERR_NOT_FOUND, ENOENT, "%s: not found on this host", name);
	if (r < 0) {
		if (err)
			*err = reason;
		return r;
	}
	if (str_dup(&copy, name) < 0)
		return err_sysf(err, ENOMEM, "%s", name);
	*ret_path = copy;
	return 0;
}

/* ENOEXEC says "format error" for four things. */
static int not_a_program(const char *path, struct err *err)
{
	_cleanup_(program_done) struct program program;
	struct utsname host;
	char machine[32];

	program_look(path, &program);
	if (program.kind == PROGRAM_ELF && uname(&host) == 0)
		return err_setf(err, ERR_UNKNOWN, ENOEXEC,
			"%s: is a program for %s, which this machine (%s) cannot run", path,
			program_machine_name(program.machine, machine, sizeof(machine)),
			host.machine);
	if (program.kind == PROGRAM_EMPTY)
		return err_setf(err, ERR_UNKNOWN, ENOEXEC, "%s: is empty", path);
	if (program.kind == PROGRAM_TEXT)
		return err_setf(err, ERR_UNKNOWN, ENOEXEC,
			"%s: is a script without a #! line; run it with its shell", path);
	return err_setf(err, ERR_UNKNOWN, ENOEXEC, "%s: is no program this kernel can run", path);
}

int command_exec_error(int errnum, const char *path, struct err *err)
{
	static const struct {
		int errnum;
		const char *words;
	} table[] = {
		{ENOENT, "not found, or its interpreter or dynamic loader is not"},
		{E2BIG, "arguments and environment are too large"},
		{EACCES, "permission denied (not executable, or on a noexec mount)"},
		{EPERM, "not permitted (set-user-id, capabilities, seccomp or a security module)"},
		{ETXTBSY, "is open for writing by somebody (text file busy)"},
		{ELIBBAD, "its interpreter is broken"},
	};
	struct err looked = ERR_INIT;

	if (errnum == ENOEXEC)
		return not_a_program(path, err);
	/* looked at again, with the rights of now: of the root directory's owner it was another
	 * question. A seccomp filter may forbid the looking; then only the table is left */
	if ((errnum == EACCES && check_candidate(path, -EBADF, &looked) < 0 &&
		    looked.kind == ERR_PERMISSION) ||
		(errnum == ENOENT && check_interpreter(path, &looked) < 0 &&
			looked.kind == ERR_NOT_FOUND)) {
		if (err)
			*err = looked;
		return -errnum;
	}
	for (size_t i = 0; i < ARRAY_LEN(table); i++) {
		if (table[i].errnum == errnum)
			return err_setf(
				err, err_kind_of(errnum), errnum, "%s: %s", path, table[i].words);
	}
	return err_sysf(err, errnum, "%s", path);
}
