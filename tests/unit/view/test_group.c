/* Makes real groups, in a mount namespace of the test's own: needs root. */
#include <criterion/criterion.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdbool.h>
#include <stdio.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include "base/str.h"
#include "mount/mountinfo.h"
#include "view/group.h"

#define DIR_NAME "/run/reaper-unit-mount"

static const struct mount_group_spec spec = {
	.name = "node",
	.run_dir = DIR_NAME,
	.ns_dir = DIR_NAME "/ns",
	.dir = DIR_NAME "/node",
	.base_dir = DIR_NAME "/overlay",
	.size_bytes = 16 << 20,
};

/* All that a test mounts goes with its namespace; files on /run do not, hence the tmpfs. */
static void own_namespace(void)
{
	if (geteuid() != 0)
		cr_skip_test("needs root");
	if (unshare(CLONE_NEWNS) < 0)
		cr_skip_test("may not make a mount namespace");
	cr_assert_eq(mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL), 0);
	cr_assert_eq(mount("test", "/run", "tmpfs", 0, "mode=755"), 0);
	cr_assert_eq(mkdir(DIR_NAME, 0700), 0);
}

static int open_proc(void)
{
	int fd = open("/proc", O_PATH | O_DIRECTORY | O_CLOEXEC);

	cr_assert_geq(fd, 0);
	return fd;
}

/* Runs `fn` in a child that has entered the group and cloned its namespace. */
static int in_view(int (*fn)(void))
{
	int status;
	pid_t pid = fork();

	if (pid == 0) {
		struct err err = ERR_INIT;

		if (mount_group_enter(&spec, open_proc(), &err) < 0) {
			(void)fprintf(stderr, "%s\n", err.text);
			_exit(100);
		}
		if (unshare(CLONE_NEWNS) < 0)
			_exit(101);
		_exit(fn());
	}
	cr_assert_eq(waitpid(pid, &status, 0), pid);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static int write_file(void)
{
	int fd = open("/etc/reaper-unit-was-here", O_CREAT | O_WRONLY | O_EXCL, 0644);

	return fd < 0 ? 1 : 0;
}

static int see_file(void)
{
	struct stat st;

	if (access("/etc/reaper-unit-was-here", F_OK) < 0)
		return 1;
	if (stat("/", &st) < 0 || (st.st_mode & 07777) != 0755)
		return 2;
	/* the host's own tree is not reachable any more */
	return access(DIR_NAME "/overlay/upper", F_OK) == 0 ? 3 : 0;
}

static int mounts_are_few(void)
{
	struct mountinfo t = MOUNTINFO_INIT;
	int fd;

	if (mount("proc", "/proc", "proc", 0, NULL) < 0)
		return 1;
	fd = open_proc();
	if (mountinfo_read(fd, "self/mountinfo", &t, NULL) < 0)
		return 2;
	for (size_t i = 0; i < t.n; i++) {
		if (str_has_prefix(t.entries[i].point, "/run/"))
			return 3;
	}
	return t.n > 0 && str_eq(t.entries[0].fstype, "overlay") ? 0 : 4;
}

Test(mount_group, writes_are_seen_by_the_next_and_never_reach_the_host)
{
	struct mount_group_info info;
	struct err err = ERR_INIT;

	own_namespace();
	cr_assert_eq(in_view(write_file), 0);
	cr_expect_eq(access("/etc/reaper-unit-was-here", F_OK), -1);
	cr_expect_eq(access(DIR_NAME "/overlay/upper/etc/reaper-unit-was-here", F_OK), 0);
	cr_expect_eq(in_view(see_file), 0);
	cr_expect_eq(in_view(mounts_are_few), 0);

	cr_assert_eq(mount_group_inspect(&spec, &info, &err), 0, "%s", err.text);
	cr_expect(info.pinned && info.mounted);
	cr_expect_eq(info.size_bytes, spec.size_bytes);
	cr_expect_eq(info.inodes, 16384U);
	cr_expect_eq(info.processes, 0U);
}

static int count_entries(const char *path)
{
	DIR *dir = opendir(path);
	int n = 0;

	for (; dir && readdir(dir); n++) {
	}
	if (dir)
		closedir(dir);
	return n - 2;
}

/* `elsewhere`: the process has gone on into a volume, as `chroot /host` does. */
static void collect(bool elsewhere)
{
	struct err err = ERR_INIT;
	int ready[2], go[2], status;
	char byte;
	pid_t pid;

	own_namespace();
	cr_assert_eq(mount_group_gc(&spec, &err), 0, "nothing is there yet");
	cr_assert_eq(pipe2(ready, O_CLOEXEC), 0);
	cr_assert_eq(pipe2(go, O_CLOEXEC), 0);
	pid = fork();
	if (pid == 0) {
		close(go[1]);
		if (mount_group_enter(&spec, open_proc(), &err) < 0 || unshare(CLONE_NEWNS) < 0)
			_exit(fprintf(stderr, "%s\n", err.text));
		if (elsewhere && (mount("t", "/mnt", "tmpfs", 0, NULL) < 0 || chroot("/mnt") < 0))
			_exit(4);
		if (write(ready[1], "r", 1) != 1)
			_exit(2);
		_exit(read(go[0], &byte, 1) == 0 ? 0 : 3);
	}
	close(ready[1]);
	cr_assert_eq(read(ready[0], &byte, 1), 1);
	cr_expect_eq(mount_group_gc(&spec, &err), MOUNT_GROUP_IN_USE);
	close(go[1]);
	cr_assert_eq(waitpid(pid, &status, 0), pid);
	cr_expect_eq(status, 0);
	cr_expect_eq(mount_group_gc(&spec, &err), MOUNT_GROUP_REMOVED, "%s", err.text);
	cr_expect_eq(count_entries(DIR_NAME), 0);
	cr_expect_eq(mount_group_inspect(&spec, &(struct mount_group_info) {0}, &err), -ENOENT);
}

Test(mount_group, collecting_waits_for_the_last_process_and_leaves_nothing)
{
	collect(false);
}

Test(mount_group, a_process_with_another_root_is_in_the_group_as_well)
{
	collect(true);
}

Test(mount_group, what_an_interrupted_making_left_is_taken_over)
{
	own_namespace();
	cr_assert_eq(mkdir(DIR_NAME "/ns", 0700), 0);
	cr_assert_eq(mkdir(DIR_NAME "/overlay", 0700), 0);
	cr_assert_eq(mount("x", DIR_NAME "/overlay", "tmpfs", 0, "size=1m"), 0);
	cr_assert_eq(mknod(DIR_NAME "/ns/node", S_IFREG | 0600, 0), 0);
	cr_expect_eq(in_view(write_file), 0);
	cr_expect_eq(in_view(see_file), 0);
}

Test(mount_group, a_view_that_cannot_be_made_is_refused_and_leaves_nothing)
{
	struct mount_group_spec impossible = spec;
	struct err err = ERR_INIT;
	struct stat before, after;

	own_namespace();
	impossible.size_bytes = 4096; /* not even upper/ and work/ fit */
	impossible.inodes = 1;
	cr_assert_eq(stat("/", &before), 0);
	cr_expect_lt(mount_group_enter(&impossible, open_proc(), &err), 0);
	cr_expect(str_has_prefix(err.text, "the host view cannot be made: "), "%s", err.text);
	cr_assert_eq(stat("/", &after), 0);
	cr_expect_eq(before.st_dev, after.st_dev);
	cr_expect_eq(count_entries(DIR_NAME "/overlay"), 0);
	cr_expect_eq(count_entries(DIR_NAME "/ns"), 0);
}
