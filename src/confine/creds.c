#include "confine/creds.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/keyctl.h>
#include <linux/magic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <unistd.h>
#include "base/cleanup.h"
#include "base/file.h"
#include "base/num.h"

/* Raw calls: glibc's wrappers would tell other threads, of which there are none. */
int confine_creds_apply(const struct confine_creds *creds, struct err *err)
{
	if (prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0) < 0)
		return err_sysf(err, errno, "PR_SET_KEEPCAPS");
	if (syscall(SYS_setgroups, creds->n_groups, creds->groups) < 0)
		return err_sysf(err, errno, "setting %zu supplementary groups", creds->n_groups);
	if (syscall(SYS_setresgid, creds->gid, creds->gid, creds->gid) < 0)
		return err_sysf(err, errno, "setting gid %u", creds->gid);
	if (syscall(SYS_setresuid, creds->uid, creds->uid, creds->uid) < 0)
		return err_sysf(err, errno, "setting uid %u", creds->uid);
	(void)umask(creds->has_umask ? creds->umask : 0022);
	return 0;
}

static int read_score(int proc, int64_t *ret_score)
{
	_cleanup_free_ char *text = NULL;
	int r = file_read_at(proc, "self/oom_score_adj", 64, &text, NULL, NULL);

	if (r < 0)
		return r;
	text[strcspn(text, "\n")] = '\0';
	return num_parse_i64(text, -1000, 1000, ret_score);
}

int confine_oom_score_adj(int proc, int value, bool *ret_refused, struct err *err)
{
	char text[16];
	int64_t now;
	int r;

	*ret_refused = false;
	(void)snprintf(text, sizeof(text), "%d", value);
	r = file_put_at(proc, "self/oom_score_adj", text, NULL);
	if (r < 0 && r != -EACCES && r != -EPERM)
		return err_sysf(err, -r, "setting oom_score_adj to %d", value);
	if (r == 0)
		return 0;
	/*
	 * Lowering is refused below the lowest value that a privileged process has ever set, which
	 * nothing tells. What was inherited is lower than what is wanted or as near as can be
	 * known, so it stays.
	 */
	*ret_refused = read_score(proc, &now) < 0 || now != value;
	return 0;
}

int confine_no_new_privs(struct err *err)
{
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return err_sysf(err, errno, "PR_SET_NO_NEW_PRIVS");
	return 0;
}

int confine_new_keyring(struct err *err)
{
	if (syscall(SYS_keyctl, KEYCTL_JOIN_SESSION_KEYRING, NULL) < 0 && errno != ENOSYS &&
		errno != EPERM)
		return err_sysf(err, errno, "a session keyring of its own");
	return 0;
}

int confine_open_proc(struct err *err)
{
	_cleanup_close_ int fd = open("/proc", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct statfs fs;

	if (fd < 0 || fstatfs(fd, &fs) < 0)
		return err_sysf(err, errno, "/proc");
	if (fs.f_type != PROC_SUPER_MAGIC)
		return err_setf(err, ERR_PRECONDITION, EINVAL, "/proc: no procfs is mounted there");
	return TAKE_FD(fd);
}
