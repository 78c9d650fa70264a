#include "unit/merge/tree.h"

#include <criterion/criterion.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/buf.h"
#include "base/file.h"
#include "base/str.h"

static struct buf census;

static char *join(const char *root, const char *name)
{
	char *path = NULL;

	cr_assert_eq(str_printf(&path, "%s%s", root, name), 0);
	return path;
}

char *tree_new(void)
{
	/* in memory where that is possible: the code under test syncs every file it writes */
	char *root = strdup(access("/dev/shm", W_OK) == 0 ? "/dev/shm/reaper-unit-XXXXXX"
							  : "/tmp/reaper-unit-XXXXXX");
	char *dir;

	cr_assert_not_null(mkdtemp(root));
	dir = join(root, "/etc/containerd");
	cr_assert_eq(file_mkdir_p(dir, 0755), 0);
	free(dir);
	return root;
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st;
	(void)type;
	(void)ftw;
	return remove(path);
}

void tree_remove(char *root)
{
	cr_assert_eq(nftw(root, remove_one, 16, FTW_DEPTH | FTW_PHYS), 0);
	free(root);
}

void tree_put(const char *root, const char *name, const void *data, size_t len)
{
	char *path = join(root, name);
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0640);

	cr_assert_geq(fd, 0, "%s", path);
	cr_assert_eq(file_write_all(fd, data, len), 0);
	close(fd);
	free(path);
}

char *tree_get(const char *root, const char *name, size_t *ret_len)
{
	char *path = join(root, name), *data = NULL;

	*ret_len = 0;
	if (file_read_at(AT_FDCWD, path, 64UL << 20, &data, ret_len, NULL) == 0 && !data)
		data = strdup("");
	free(path);
	return data;
}

static int count_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)type;
	(void)ftw;
	return buf_printf(&census, "%s %o %u:%u %lu %lld %lld.%09ld\n", path, st->st_mode,
		st->st_uid, st->st_gid, (unsigned long)st->st_ino,
		S_ISDIR(st->st_mode) ? 0LL : (long long)st->st_size, (long long)st->st_mtim.tv_sec,
		st->st_mtim.tv_nsec);
}

char *tree_census(const char *root)
{
	char *text;

	buf_init(&census, 1 << 20);
	cr_assert_eq(nftw(root, count_one, 16, FTW_PHYS), 0);
	text = census.data;
	return text;
}
