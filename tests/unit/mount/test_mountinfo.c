#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include "base/str.h"
#include "mount/mountinfo.h"
#include "mount/submounts.h"

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

/* A table that was read in pieces while ids were given to other mounts. The fuzzer found it. */
Test(mount_mountinfo, mounts_that_stand_on_each_other_end_the_walk, .timeout = 60)
{
	struct mountinfo t = parsed("20 1 0:1 / / rw - x x x\n"
				    "20 20 0:2 / /a rw - x x x\n"
				    "20 20 0:3 / /a rw - x x x\n"
				    "31 30 0:4 / /b rw - x x x\n"
				    "30 31 0:5 / /b rw - x x x\n"
				    "31 20 0:6 / /b rw - x x x\n");
	struct err err = ERR_INIT;

	cr_assert_eq(mountinfo_keep_visible(&t, &err), 0);
	cr_assert_gt(t.n, 0);
	cr_assert_lt(t.n, 7);
	mountinfo_done(&t);
}

/* What a path walk does, one component after the other: the mount in which the walk to `point`
 * ends. */
static const struct mountinfo_entry *walk_to(const struct mountinfo *t, const char *point)
{
	const struct mountinfo_entry *at = NULL;
	char path[64];

	for (size_t i = 0; i < t->n && !at; i++) {
		if (t->entries[i].parent == 1)
			at = &t->entries[i];
	}
	for (size_t len = 1; at && len <= strlen(point); len++) {
		bool crossed = true;

		if (len != 1 && point[len] != '/' && point[len] != '\0')
			continue;
		(void)snprintf(path, sizeof(path), "%.*s", (int)len, point);
		while (crossed) {
			crossed = false;
			for (size_t i = 0; i < t->n && !crossed; i++) {
				crossed = t->entries[i].parent == at->id &&
					  str_eq(t->entries[i].point, path);
				if (crossed)
					at = &t->entries[i];
			}
		}
	}
	return at;
}

/* A table that a kernel could have: a mount's point lies in its parent, and a parent has one at a
 * point. */
static void random_table(char *text, size_t size)
{
	static const char *const points[] = {"/", "/a", "/a/b", "/a/b/c", "/ab", "/a/bc", "/d"};
	const char *of[16] = {[0] = "/"};
	int n = 1;

	(void)snprintf(text, size, "10 1 0:1 / / rw - x x x\n");
	for (int tries = 0; tries < 12; tries++) {
		int parent = (int)(random() % n);
		const char *point = points[(size_t)random() % 7];
		char line[128];

		(void)snprintf(line, sizeof(line), " %d 0:1 / %s rw", 10 + parent, point);
		if (!submount_is_below(point, of[parent]) || strstr(text, line))
			continue;
		(void)snprintf(line, sizeof(line), "%d %d 0:1 / %s rw - x x x\n", 10 + n,
			10 + parent, point);
		memcpy(text + strlen(text), line, strlen(line) + 1);
		of[n++] = point;
	}
}

Test(mount_mountinfo, a_mount_is_visible_if_a_walk_ends_in_it)
{
	srandom(7);
	for (int round = 0; round < 2000; round++) {
		struct mountinfo all, kept;
		struct err err = ERR_INIT;
		char text[2048];

		random_table(text, sizeof(text));
		all = parsed(text);
		kept = parsed(text);
		cr_assert_eq(mountinfo_keep_visible(&kept, &err), 0);
		for (size_t i = 0; i < all.n; i++) {
			bool found = false;
			bool visible = walk_to(&all, all.entries[i].point) == &all.entries[i];

			for (size_t j = 0; j < kept.n; j++)
				found |= kept.entries[j].id == all.entries[i].id;
			cr_expect_eq(found, visible, "%d in\n%s", all.entries[i].id, text);
		}
		mountinfo_done(&all);
		mountinfo_done(&kept);
	}
}
