#include <criterion/criterion.h>
#include <errno.h>
#include "base/str.h"
#include "mount/mountinfo.h"

static struct mountinfo parsed(const char *text)
{
	struct mountinfo t = MOUNTINFO_INIT;
	struct err err = ERR_INIT;

	cr_assert_eq(mountinfo_parse(text, &t, &err), 0, "%s", err.text);
	return t;
}

Test(mount_mountinfo, fields_are_read_and_escapes_decoded)
{
	struct mountinfo t =
		parsed("36 35 98:0 /m\\040nt1 /mnt2 rw,noatime master:1 shared:7 - ext3 "
		       "/dev/root rw,errors=continue\n");

	cr_assert_eq(t.n, 1U);
	cr_assert_eq(t.entries[0].id, 36);
	cr_assert_eq(t.entries[0].parent, 35);
	cr_assert_eq(t.entries[0].major, 98U);
	cr_assert_str_eq(t.entries[0].root, "/m nt1");
	cr_assert_str_eq(t.entries[0].optional, "master:1 shared:7");
	cr_assert_str_eq(t.entries[0].fstype, "ext3");
	cr_assert(mountinfo_has_option(t.entries[0].super, "errors"));
	cr_assert(mountinfo_has_option(t.entries[0].options, "noatime"));
	cr_assert_not(mountinfo_has_option(t.entries[0].options, "atime"));
	mountinfo_done(&t);
	mountinfo_done(&t);
}

Test(mount_mountinfo, a_broken_line_is_named_by_its_number)
{
	struct mountinfo t = MOUNTINFO_INIT;
	struct err err = ERR_INIT;

	cr_assert_eq(
		mountinfo_parse("1 0 0:1 / / rw - ext4 a rw\n2 1 garbage\n", &t, &err), -EBADMSG);
	cr_assert(strstr(err.text, "line 2"), "%s", err.text);
}

Test(mount_mountinfo, covered_mounts_are_left_out_with_all_below_them)
{
	struct mountinfo t = parsed("20 1 8:1 / / rw - ext4 /dev/sda1 rw\n"
				    "30 20 8:2 / /a rw - ext4 /dev/sda2 rw\n"
				    "31 30 8:3 / /a/b rw - ext4 /dev/sda3 rw\n"
				    "40 30 0:5 / /a rw - tmpfs none rw\n"
				    "25 40 0:6 / /a/b rw - tmpfs second rw\n"
				    "50 20 0:7 / /a/b rw - tmpfs under rw\n");
	struct err err = ERR_INIT;

	cr_assert_eq(mountinfo_keep_visible(&t, &err), 0);
	/* /a is the tmpfs, /a/b the one that was mounted on it; entry 50 lies below /a's mounts */
	cr_assert_eq(t.entries[0].id, 20);
	cr_assert_not_null(mountinfo_find(&t, "/a"));
	cr_assert_eq(mountinfo_find(&t, "/a")->id, 40);
	for (size_t i = 0; i < t.n; i++)
		cr_assert(t.entries[i].id != 31 && t.entries[i].id != 50);
	mountinfo_done(&t);
}
