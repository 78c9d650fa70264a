#include "runtime/command.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <stdbool.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>
#include "base/cleanup.h"
#include "base/str.h"
#include "oci/init_contract.h"

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

/* The interpreter of a script must exist: execve would only say "no such file". */
static int check_interpreter(const char *path, struct err *err)
{
	_cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	char line[PATH_MAX + 4];
	_cleanup_close_ int interpreter = -EBADF;
	ssize_t n = fd < 0 ? -1 : pread(fd, line, sizeof(line) - 1, 0);
	char *begin, *end;

	/* a program may be executable and not readable */
	if (n < 2 || line[0] != '#' || line[1] != '!')
		return 0;
	line[n] = '\0';
	begin = line + 2 + strspn(line + 2, " \t");
	end = begin + strcspn(begin, " \t\r\n");
	if (*end == '\r')
		return err_setf(err, ERR_NOT_FOUND, ENOENT,
			"%s: its first line ends in a carriage return (DOS line endings)", path);
	*end = '\0';
	if (!*begin)
		return 0;
	interpreter = open_command(begin);
	if (interpreter == -ELOOP)
		return err_setf(err, ERR_INVALID, ELOOP,
			"%s: its interpreter %s is a magic link of /proc", path, begin);
	if (interpreter < 0)
		return err_setf(err, err_kind_of(-interpreter), -interpreter,
			"%s: its interpreter %s: %s", path, begin,
			interpreter == -ENOENT ? "not found" : strerrordesc_np(-interpreter));
	return 0;
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
	if (fd < 0 || fstat(fd, &st) < 0)
		return err_sysf(err, fd < 0 ? -fd : errno, "%s", path);
	if (S_ISDIR(st.st_mode))
		return err_setf(err, ERR_PERMISSION, EACCES, "%s: is a directory", path);
	if (!S_ISREG(st.st_mode))
		return err_setf(err, ERR_PERMISSION, EACCES, "%s: is no regular file", path);
	if (is_own_program(&st, proc_fd))
		return err_setf(err, ERR_INVALID, EINVAL,
			"%s: the runtime's own program cannot be a pod's command", path);
	/* AT_EACCESS: with the ids in force, not the real ones */
	if (faccessat(AT_FDCWD, path, X_OK, AT_EACCESS) < 0)
		return err_setf(
			err, ERR_PERMISSION, errno, "%s: is not executable for this user", path);
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

int command_exec_error(int errnum, const char *path, struct err *err)
{
	static const struct {
		int errnum;
		const char *words;
	} table[] = {
		{ENOEXEC, "is no program this kernel can run (another architecture, or a script "
			  "without a #! line)"},
		{ENOENT, "not found, or its interpreter or dynamic loader is not"},
		{E2BIG, "arguments and environment are too large"},
		{EACCES, "permission denied (not executable, or on a noexec mount)"},
		{EPERM, "not permitted (set-user-id, capabilities or a security module)"},
		{ETXTBSY, "is open for writing"},
		{ELIBBAD, "its interpreter is broken"},
	};

	for (size_t i = 0; i < ARRAY_LEN(table); i++) {
		if (table[i].errnum == errnum)
			return err_setf(
				err, err_kind_of(errnum), errnum, "%s: %s", path, table[i].words);
	}
	return err_sysf(err, errnum, "%s", path);
}
