/* Who the annotation reaper.runtime/user makes of a spec. Pure, but for the question to getent. */
#include "runtime/identity.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/cleanup.h"
#include "base/macro.h"

static gid_t numbers[] = {27, 100};

static struct identity alice(void)
{
	return (struct identity) {.name = (char *)"alice",
		.uid = 1001,
		.gid = 1001,
		.groups = numbers,
		.n_groups = ARRAY_LEN(numbers),
		.home = (char *)"/home/alice",
		.shell = (char *)"/bin/bash"};
}

Test(runtime_identity, reads_what_getent_says)
{
	_cleanup_(identity_done) struct identity who = IDENTITY_INIT;
	struct err err = ERR_INIT;

	cr_assert_eq(identity_parse("alice:x:1001:1002:A, B:/home/alice:/bin/zsh\n",
			     "alice                 27 100\n", &who, &err),
		0, "%s", err.text);
	cr_expect_str_eq(who.name, "alice");
	cr_expect_eq(who.uid, 1001);
	cr_expect_eq(who.gid, 1002);
	cr_expect_str_eq(who.home, "/home/alice");
	cr_expect_str_eq(who.shell, "/bin/zsh");
	cr_assert_eq(who.n_groups, 2);
	cr_expect_eq(who.groups[0], 27);
	cr_expect_eq(who.groups[1], 100);
}

Test(runtime_identity, refuses_what_no_database_says)
{
	static const struct {
		const char *passwd, *groups, *error;
	} table[] = {
		{"", "alice", "getent passwd says \"\": no line of a passwd file"},
		{"alice:x:1:2:::", "", "getent initgroups says nothing"},
		{"alice:x:1:2::", "alice",
			"getent passwd says \"alice:x:1:2::\": no line of a passwd file"},
		{"alice:x:1:2::::", "alice",
			"getent passwd says \"alice:x:1:2::::\": no line of a passwd file"},
		{"alice:x:-1:2:::", "alice",
			"getent passwd says \"alice:x:-1:2:::\": no line of a passwd file"},
		{"alice:x:4294967295:2:::", "alice",
			"getent passwd says \"alice:x:4294967295:2:::\": no line of a passwd file"},
		{":x:1:2:::", "alice",
			"getent passwd says \":x:1:2:::\": no line of a passwd file"},
		{"alice:x:1:2:::", "alice 1 b",
			"getent initgroups says \"alice 1 b\": no list of groups"},
	};

	for (size_t i = 0; i < ARRAY_LEN(table); i++) {
		struct identity who = IDENTITY_INIT;
		struct err err = ERR_INIT;

		cr_expect_lt(identity_parse(table[i].passwd, table[i].groups, &who, &err), 0);
		cr_expect_str_eq(err.text, table[i].error);
		cr_expect_null(who.name);
	}
}

Test(runtime_identity, keeps_in_the_bundle_what_was_found)
{
	char dir[] = "/tmp/reaper-identity-XXXXXX";
	_cleanup_(identity_done) struct identity back = IDENTITY_INIT;
	struct identity who = alice(), none = IDENTITY_INIT;
	_cleanup_close_ int fd = -EBADF;
	struct err err = ERR_INIT;
	struct stat st;

	cr_assert_not_null(mkdtemp(dir));
	fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	cr_assert_eq(identity_read(fd, &none, &err), -ENOENT);
	cr_assert_eq(identity_write(fd, &who, &err), 0, "%s", err.text);
	cr_assert_eq(fstatat(fd, IDENTITY_FILE, &st, 0), 0);
	cr_expect_eq(st.st_mode & 07777, 0600);
	cr_assert_eq(identity_read(fd, &back, &err), 0, "%s", err.text);
	cr_expect_str_eq(back.name, "alice");
	cr_expect_eq(back.uid, 1001);
	cr_expect_eq(back.n_groups, 2);
	cr_expect_eq(back.groups[1], 100);
	cr_expect_str_eq(back.shell, "/bin/bash");
	cr_assert_eq(unlinkat(fd, IDENTITY_FILE, 0), 0);
	cr_assert_eq(rmdir(dir), 0);
}

/* What the spec says, and what comes of it; -1 ends a list of groups. */
Test(runtime_identity, narrows_and_never_widens)
{
	static const struct {
		uid_t uid;
		gid_t gid, more[4];
		size_t n_more;
		gid_t expected_gid, expected[8];
		size_t n_expected;
		const char *why;
	} table[] = {
		{0, 0, {0}, 1, 1001, {1001, 27, 100}, 3, "root's own group is not kept"},
		{0, 0, {0, 2000, 100}, 3, 1001, {1001, 27, 100, 2000}, 4, "fsGroup is kept"},
		{0, 500, {500}, 1, 500, {1001, 27, 100, 500}, 4,
			"runAsGroup stays the primary one"},
		{1001, 0, {0}, 0, 0, {0}, 0, "nothing is added to a spec that says the user"},
		{1001, 1001, {3000, 0}, 2, 1001, {3000, 0}, 2, "nor taken away from it"},
	};
	struct identity who = alice();

	for (size_t i = 0; i < ARRAY_LEN(table); i++) {
		struct oci_process p = {.uid = table[i].uid,
			.gid = table[i].gid,
			.additional_gids = (gid_t *)(uintptr_t)table[i].more,
			.n_additional_gids = table[i].n_more};
		struct identity_ids ids = {.n_groups = 0};
		struct err err = ERR_INIT;

		cr_assert_eq(identity_decide(&who, &p, &ids, &err), 0, "%s", table[i].why);
		cr_expect_eq(ids.uid, 1001, "%s", table[i].why);
		cr_expect_eq(ids.gid, table[i].expected_gid, "%s", table[i].why);
		cr_assert_eq(ids.n_groups, table[i].n_expected, "%s", table[i].why);
		cr_expect_arr_eq(ids.groups, table[i].expected, table[i].n_expected * sizeof(gid_t),
			"%s", table[i].why);
		free(ids.groups);
	}
}

Test(runtime_identity, refuses_another_user_than_the_specs)
{
	struct oci_process p = {.uid = 1000};
	struct identity_ids ids = {.n_groups = 0};
	struct identity who = alice();
	struct err err = ERR_INIT;

	cr_assert_eq(identity_decide(&who, &p, &ids, &err), -EPERM);
	cr_expect_str_eq(err.text,
		"annotation reaper.runtime/user: alice is user 1001, but the pod's spec says user "
		"1000: an annotation gives no other rights (take one of the two out)");
	who.uid = 0;
	cr_assert_eq(identity_decide(&who, &p, &ids, &err), -EPERM, "root of a name");
	p.uid = 0;
	cr_assert_eq(identity_decide(&who, &p, &ids, &err), 0, "root who is root already");
	free(ids.groups);
}

Test(runtime_identity, asks_the_node)
{
	_cleanup_(identity_done) struct identity who = IDENTITY_INIT;
	struct identity none = IDENTITY_INIT;
	struct err err = ERR_INIT;

	cr_assert_eq(identity_lookup("root", -EBADF, &who, &err), 0, "%s", err.text);
	cr_expect_eq(who.uid, 0);
	cr_assert_eq(identity_lookup("no-such-user", -EBADF, &none, &err), -ENOENT);
	cr_expect_str_eq(err.text, "annotation reaper.runtime/user: no-such-user: this node knows "
				   "no user of this name (getent passwd finds none)");
}
