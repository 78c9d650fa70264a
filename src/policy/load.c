#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include "base/cleanup.h"
#include "base/file.h"
#include "base/str.h"
#include "conf/reaper_conf.h"
#include "policy/policy.h"

/* A directory that others may write is as good as a file that they may: they can replace it. */
enum { OTHERS = S_IWGRP | S_IWOTH };

static int load_file(
	struct policy *policy, int dir_fd, const char *dir, const char *name, struct err *err)
{
	_cleanup_free_ char *path = NULL, *text = NULL;
	_cleanup_close_ int fd = -EBADF;
	size_t len = 0;
	int r;

	if (str_printf(&path, "%s/%s", dir, name) < 0)
		return err_sysf(err, ENOMEM, "%s", dir);
	fd = openat(dir_fd, name, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	if (fd < 0)
		return err_sysf(err, errno, "%s", path);
	r = file_check_owner(fd, path, OTHERS, err);
	if (r == 0)
		r = file_read_fd(fd, path, CONF_FILE_MAX, &text, &len, err);
	if (r < 0)
		return r;
	return policy_parse(policy, text ? text : "", len, path, err);
}

static int is_policy(const struct dirent *e)
{
	return e->d_name[0] != '.' && str_has_suffix(e->d_name, ".conf");
}

/* Not alphasort: the order must not depend on a locale. */
static int by_bytes(const struct dirent **a, const struct dirent **b)
{
	return strcmp((*a)->d_name, (*b)->d_name);
}

int policy_load(const char *dir, struct policy *ret_policy, struct err *err)
{
	const char *path = dir ? dir : POLICY_DIR;
	_cleanup_close_ int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	_cleanup_(policy_done) struct policy policy = POLICY_INIT;
	struct dirent **found = NULL;
	int n, r;

	if (fd < 0 && errno == ENOENT) {
		*ret_policy = policy;
		return 0;
	}
	if (fd < 0)
		return err_sysf(err, errno, "%s", path);
	r = file_check_owner(fd, path, OTHERS, err);
	if (r < 0)
		return r;
	n = scandirat(fd, ".", &found, is_policy, by_bytes);
	if (n < 0)
		return err_sysf(err, errno, "%s", path);
	if (n > POLICY_FILES_MAX)
		r = err_setf(
			err, ERR_INVALID, E2BIG, "%s: more than %d files", path, POLICY_FILES_MAX);
	for (int i = 0; i < n; i++) {
		if (r == 0)
			r = load_file(&policy, fd, path, found[i]->d_name, err);
		free(found[i]);
	}
	free(found);
	if (r < 0)
		return r;
	*ret_policy = policy;
	policy = (struct policy)POLICY_INIT;
	return 0;
}
