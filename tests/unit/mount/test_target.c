#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "mount/target.h"

static char dir_name[64];
static int root = -EBADF;

static void setup(void)
{
	strcpy(dir_name, "/tmp/unit-target-XXXXXX");
	cr_assert_not_null(mkdtemp(dir_name));
	root = open(dir_name, O_PATH | O_DIRECTORY | O_CLOEXEC);
	cr_assert_geq(root, 0);
}

static void teardown(void)
{
	char command[128];

	close(root);
	(void)snprintf(command, sizeof(command), "rm -rf %s", dir_name);
	cr_assert_eq(system(command), 0);
}

TestSuite(mount_target, .init = setup, .fini = teardown);

static bool open_target(const char *path, enum mount_target_kind kind, bool *ret_made)
{
	struct err err = ERR_INIT;
	int fd = mount_target_open(root, path, kind, NULL, ret_made, &err);

	if (fd >= 0)
		close(fd);
	return fd >= 0;
}

static mode_t type_of(const char *path)
{
	struct stat st;

	return fstatat(root, path, &st, AT_SYMLINK_NOFOLLOW) == 0 ? st.st_mode & S_IFMT : 0;
}

Test(mount_target, what_is_missing_is_made_with_its_parents)
{
	bool made = false;

	cr_expect(open_target("/a/b/c", MOUNT_TARGET_FILE, &made) && made);
	cr_expect_eq(type_of("a/b"), (mode_t)S_IFDIR);
	cr_expect_eq(type_of("a/b/c"), (mode_t)S_IFREG);
	cr_expect(open_target("/a/b/c", MOUNT_TARGET_FILE, &made) && !made);
	cr_expect(open_target("/a/d", MOUNT_TARGET_DIR, &made) && made);
	cr_expect_eq(type_of("a/d"), (mode_t)S_IFDIR);
}

Test(mount_target, links_are_followed_within_the_root_even_when_they_lead_nowhere)
{
	bool made;

	cr_assert_eq(mkdirat(root, "etc", 0755), 0);
	cr_assert_eq(symlinkat("../run/x/conf", root, "etc/conf"), 0);
	cr_assert_eq(symlinkat("/srv/abs", root, "abs"), 0);
	cr_assert_eq(symlinkat("../../../../up", root, "out"), 0);
	cr_expect(open_target("/etc/conf", MOUNT_TARGET_FILE, &made) && made);
	cr_expect_eq(type_of("run/x/conf"), (mode_t)S_IFREG);
	cr_expect_eq(type_of("etc/conf"), (mode_t)S_IFLNK);
	cr_expect(open_target("/abs/sub", MOUNT_TARGET_DIR, &made));
	cr_expect_eq(type_of("srv/abs/sub"), (mode_t)S_IFDIR);
	cr_expect(open_target("/out/sub", MOUNT_TARGET_DIR, &made));
	cr_expect_eq(type_of("up/sub"), (mode_t)S_IFDIR);
}

Test(mount_target, a_loop_ends)
{
	struct err err = ERR_INIT;

	cr_assert_eq(symlinkat("loop", root, "loop"), 0);
	cr_expect_eq(
		mount_target_open(root, "/loop/x", MOUNT_TARGET_DIR, NULL, NULL, &err), -ELOOP);
}

Test(mount_target, a_file_is_no_place_for_a_directory)
{
	struct err err = ERR_INIT;

	cr_assert(open_target("/file", MOUNT_TARGET_FILE, NULL));
	cr_expect_eq(
		mount_target_open(root, "/file", MOUNT_TARGET_DIR, NULL, NULL, &err), -ENOTDIR);
	cr_expect(strstr(err.text, "/file is a file"), "%s", err.text);
	cr_expect_eq(mount_target_find(root, "/nothing"), -ENOENT);
}

Test(mount_target, nothing_is_made_in_what_is_the_hosts)
{
	struct mount_foreign foreign = MOUNT_FOREIGN_INIT;
	struct err err = ERR_INIT;

	cr_assert_eq(mount_foreign_add(&foreign, root), 0);
	cr_expect_eq(
		mount_target_open(root, "/new", MOUNT_TARGET_DIR, &foreign, NULL, &err), -EROFS);
	cr_expect(strstr(err.text, "the host's own"), "%s", err.text);
	cr_expect_eq(type_of("new"), 0U);
	mount_foreign_done(&foreign);
}
