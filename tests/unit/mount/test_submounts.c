#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/macro.h"
#include "base/str.h"
#include "mount/submounts.h"

static const struct {
	const char *point, *fstype, *options;
	enum submount_action action;
} cases[] = {
	{"/home", "ext4", "rw,relatime", SUBMOUNT_LAYER},
	{"/var", "xfs", "rw", SUBMOUNT_LAYER},
	{"/tmp", "tmpfs", "rw,nosuid", SUBMOUNT_LAYER},
	{"/snap/core/1", "squashfs", "ro,nodev", SUBMOUNT_BIND},
	{"/scratch", "lustre", "rw", SUBMOUNT_BIND},
	{"/home", "nfs4", "rw", SUBMOUNT_BIND},
	{"/mnt/s3", "fuse.s3fs", "rw", SUBMOUNT_BIND},
	{"/net", "autofs", "rw", SUBMOUNT_BIND},
	{"/proc/sys/fs/binfmt_misc", "autofs", "rw", SUBMOUNT_OMIT},
	{"/srv/chroot/proc", "proc", "rw", SUBMOUNT_OMIT},
	{"/running", "ext4", "rw", SUBMOUNT_LAYER},
	{"/run/lock", "tmpfs", "rw", SUBMOUNT_OMIT},
	{"/var/lib/kubelet/pods/1/volumes/x", "tmpfs", "rw", SUBMOUNT_OMIT},
	{"/srv/engine/overlay2/abc/merged", "overlay", "rw", SUBMOUNT_OMIT},
	{"/etc", "overlay", "rw", SUBMOUNT_LAYER},
	{"/own/tmpfs", "tmpfs", "rw", SUBMOUNT_OMIT},
	{"/boot/efi", "vfat", "rw", SUBMOUNT_BIND_READONLY},
	{"/mnt/stick", "exfat", "rw", SUBMOUNT_BIND_READONLY},
};

Test(mount_submounts, each_file_system_gets_what_the_table_says)
{
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct mountinfo_entry e = {
			.point = (char *)cases[i].point,
			.fstype = (char *)cases[i].fstype,
			.options = (char *)cases[i].options,
			.super = (char *)"rw",
		};

		cr_expect_eq(submount_decide(&e, "/own/tmpfs", NULL).action, cases[i].action,
			"%s %s", cases[i].point, cases[i].fstype);
	}
}

Test(mount_submounts, the_sites_rules_win_where_they_may)
{
	static char *const rules[] = {(char *)"/scratch=layer", (char *)"/scratch/fast=omit",
		(char *)"xfs=bind", (char *)"fuse*=omit", (char *)"/run/lock=bind",
		(char *)"/var/lib/kubelet/plugins=bind", NULL};
	static const struct {
		const char *point, *fstype;
		enum submount_action action;
		const char *rule;
	} table[] = {
		{"/scratch", "nfs4", SUBMOUNT_LAYER, "/scratch=layer"},
		{"/scratch/a", "ext4", SUBMOUNT_LAYER, "/scratch=layer"},
		{"/scratch/fast/a", "ext4", SUBMOUNT_OMIT, "/scratch/fast=omit"},
		{"/scratches", "ext4", SUBMOUNT_LAYER, NULL},
		{"/srv", "xfs", SUBMOUNT_BIND, "xfs=bind"},
		{"/mnt/s3", "fuse.s3fs", SUBMOUNT_OMIT, "fuse*=omit"},
		{"/run/lock", "tmpfs", SUBMOUNT_OMIT, NULL},
		{"/var/lib/kubelet/plugins/x", "tmpfs", SUBMOUNT_BIND,
			"/var/lib/kubelet/plugins=bind"},
		{"/var/lib/kubelet/pods/x", "xfs", SUBMOUNT_OMIT, NULL},
		{"/own/tmpfs", "xfs", SUBMOUNT_OMIT, NULL},
	};

	for (size_t i = 0; i < ARRAY_LEN(table); i++) {
		struct mountinfo_entry e = {
			.point = (char *)table[i].point,
			.fstype = (char *)table[i].fstype,
			.options = (char *)"rw",
			.super = (char *)"rw",
		};
		struct submount_decision d = submount_decide(&e, "/own/tmpfs", rules);

		cr_expect_eq(d.action, table[i].action, "%s %s", table[i].point, table[i].fstype);
		cr_expect_eq(d.rule == NULL, table[i].rule == NULL, "%s", table[i].point);
		if (d.rule && table[i].rule)
			cr_expect_str_eq(d.rule, table[i].rule);
	}
}

/* A /proc in which "self" has this table. */
static int fake_proc(const char *table)
{
	static char dir[] = "/tmp/reaper-unit-XXXXXX";
	int fd, file;

	cr_assert_not_null(mkdtemp(dir));
	fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	cr_assert_geq(fd, 0);
	cr_assert_eq(mkdirat(fd, "self", 0700), 0);
	file = openat(fd, "self/mountinfo", O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
	cr_assert_geq(file, 0);
	cr_assert_eq(write(file, table, strlen(table)), (ssize_t)strlen(table));
	(void)close(file);
	return fd;
}

static void remove_proc(int fd)
{
	char path[64], dir[64];
	ssize_t n;

	(void)snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	n = readlink(path, dir, sizeof(dir) - 1);
	cr_assert_gt(n, 0);
	dir[n] = '\0';
	(void)unlinkat(fd, "self/mountinfo", 0);
	(void)unlinkat(fd, "self", AT_REMOVEDIR);
	(void)close(fd);
	cr_expect_eq(rmdir(dir), 0);
}

Test(mount_submounts, only_what_is_shown_is_read_parents_first)
{
	static const char table[] =
		"20 1 8:1 / / rw - ext4 /dev/sda1 rw\n"
		"31 30 8:4 / /home/a\\040b/deep rw - ext4 /dev/sda4 rw\n"
		"30 20 8:3 / /home/a\\040b rw - ext4 /dev/sda3 rw\n"
		"21 20 0:5 / /proc rw - proc proc rw\n"
		"22 20 0:6 / /run rw shared:3 - tmpfs tmpfs rw\n"
		"40 22 0:7 / /run/containerd/x rw - tmpfs shm rw\n"
		"41 20 0:8 / /var/lib/kubelet/pods/1/volumes/v rw - tmpfs tmpfs rw\n"
		"50 20 8:9 / /covered rw - ext4 /dev/sdb rw\n"
		"51 50 8:10 / /covered rw - xfs /dev/sdc rw\n"
		"60 20 0:9 / /srv/own rw - tmpfs reaper rw\n"
		"61 20 0:10 / /runner rw - tmpfs x rw\n"
		"62 20 0:11 / /omitted rw - fuse.x x rw\n";
	static char *const rules[] = {(char *)"/omitted=omit", NULL};
	static const char *const points[] = {"/home/a b", "/covered", "/runner", "/home/a b/deep"};
	struct mountinfo t = MOUNTINFO_INIT;
	struct err err = ERR_INIT;
	int proc = fake_proc(table);

	cr_assert_eq(submounts_read(proc, "/srv/own", rules, &t, &err), 0, "%s", err.text);
	cr_assert_eq(t.n, ARRAY_LEN(points));
	for (size_t i = 0; i < t.n; i++) {
		bool found = false;

		for (size_t j = 0; j < ARRAY_LEN(points); j++)
			found |= str_eq(points[j], t.entries[i].point);
		cr_expect(found, "%s", t.entries[i].point);
		/* what is mounted on another one comes behind it */
		for (size_t j = i + 1; j < t.n; j++)
			cr_expect_not(str_eq(t.entries[j].point, "/home/a b") &&
				      str_eq(t.entries[i].point, "/home/a b/deep"));
		if (str_eq(t.entries[i].point, "/covered"))
			cr_expect_str_eq(t.entries[i].fstype, "xfs");
	}
	mountinfo_done(&t);
	remove_proc(proc);
}

Test(mount_submounts, a_line_that_is_none_is_an_error)
{
	struct mountinfo t = MOUNTINFO_INIT;
	struct err err = ERR_INIT;
	int proc = fake_proc("20 1 8:1 / / rw - ext4 /dev/sda1 rw\nnonsense\n");

	cr_expect_eq(submounts_read(proc, "/srv/own", NULL, &t, &err), -EBADMSG);
	remove_proc(proc);
}
