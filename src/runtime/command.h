/*
 * Which program a command means in the view: an absolute path as it is, one with a slash in it
 * relative to the working directory, else the first match in PATH of the process's environment, or
 * in the host's usual one when it has none.
 */
#pragma once

#include <sys/types.h>
#include "base/err.h"

#define COMMAND_DEFAULT_PATH "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

/*
 * Finds it, with the rights that the caller has at this moment (file system ids), from its working
 * directory. Errors, with the texts people see in the pod's events:
 *   ERR_NOT_FOUND   "slurmd: not found; searched /usr/sbin:/usr/bin", "…: its interpreter … not
 *                   found", "…: its dynamic loader … not found"
 *   ERR_PERMISSION  not executable for this user, on a noexec mount, a directory that denies, no
 *                   regular file; the same for its interpreter
 *   ERR_INVALID     the runtime's own program, or a magic link of /proc
 * *ret_path is the caller's. `proc_fd`: a procfs where "self" is the caller.
 */
int command_resolve(
	const char *name, char *const *env, int proc_fd, char **ret_path, struct err *err);

/* The exit status of a shell for such an error: 127 not found, else 126. */
int command_exit_status(const struct err *err);

/* EACCES on the way to a path, with the rights of now: "…: permission denied: user 1000 may not
 * enter directory /root". Always -EACCES. */
int command_denied(const char *path, struct err *err);

/* What execve says, in words, after another look at the file: fills `err` for `path` and returns
 * -errnum. */
int command_exec_error(int errnum, const char *path, struct err *err);
