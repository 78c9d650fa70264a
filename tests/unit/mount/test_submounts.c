#include <criterion/criterion.h>
#include "base/macro.h"
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

		cr_expect_eq(submount_decide(&e, "/own/tmpfs").action, cases[i].action, "%s %s",
			cases[i].point, cases[i].fstype);
	}
}
