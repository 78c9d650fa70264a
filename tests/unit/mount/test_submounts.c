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
