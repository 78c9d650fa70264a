#include "stream/logfile.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include "base/cleanup.h"
#include "base/file.h"
#include "base/str.h"

int logfile_open(const char *path, struct err *err)
{
	_cleanup_free_ char *parent = NULL;
	char *slash;
	int fd, r;

	if (str_dup(&parent, path) < 0)
		return err_sysf(err, ENOMEM, "stdio file://");
	slash = strrchr(parent, '/');
	if (slash && slash != parent) {
		*slash = '\0';
		r = file_mkdir_p(parent, 0755);
		if (r < 0)
			return err_sysf(err, -r, "stdio file://%s: making %s", path, parent);
	}
	fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOCTTY | O_NONBLOCK, 0644);
	return fd < 0 ? err_sysf(err, errno, "stdio file://%s", path) : fd;
}
