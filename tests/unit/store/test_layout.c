#include "store/layout.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <ftw.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/cleanup.h"
#include "base/macro.h"
#include "base/str.h"

static char dir[] = "/tmp/reaper-layout-XXXXXX";

static int remove_one(const char *p, const struct stat *st, int type, struct FTW *at)
{
	(void)st;
	(void)type;
	(void)at;
	return remove(p);
}

static void make_dir(void)
{
	cr_assert_not_null(mkdtemp(dir));
}

static void remove_dir(void)
{
	(void)nftw(dir, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

TestSuite(store_layout, .init = make_dir, .fini = remove_dir);

static mode_t mode_of(const char *p)
{
	struct stat st;

	cr_assert_eq(lstat(p, &st), 0, "%s", p);
	return st.st_mode & 07777;
}

static void layout_below(const char *name, struct store_layout *l)
{
	_cleanup_free_ char *root = NULL;

	cr_assert_eq(str_printf(&root, "%s/%s", dir, name), 0);
	cr_assert_eq(store_layout_init(l, root, NULL, NULL), 0);
}

Test(store_layout, has_the_places_that_users_know)
{
	_cleanup_(store_layout_done) struct store_layout l = STORE_LAYOUT_INIT;

	cr_assert_eq(store_layout_init(&l, NULL, NULL, NULL), 0);
	cr_assert_str_eq(l.root, "/run/reaper");
	cr_assert_str_eq(l.ns, "/run/reaper/ns");
	cr_assert_str_eq(l.seccomp, "/run/reaper/seccomp");
	cr_assert_str_eq(l.upper, "/run/reaper/overlay/upper");
	store_layout_done(&l);
	cr_assert_eq(store_layout_init(&l, NULL, "/srv/reaper/o", NULL), 0);
	cr_assert_str_eq(l.ns, "/run/reaper/ns");
	cr_assert_str_eq(l.upper, "/srv/reaper/o/upper");
	store_layout_done(NULL);
}

Test(store_layout, refuses_paths_that_are_not_plain)
{
	static const char *const bad[] = {
		"", "/", "run", "run/x", "/run/", "//run", "/run//x", "/run/.", "/run/../x", "/.."};

	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		struct store_layout l = STORE_LAYOUT_INIT;
		struct err err = ERR_INIT;
		char expected[128];

		(void)snprintf(expected, sizeof(expected),
			"%s: must be an absolute path without empty, . and .. parts", bad[i]);
		cr_expect_lt(store_layout_init(&l, bad[i], NULL, &err), 0, "%s", bad[i]);
		cr_expect_str_eq(err.text, expected);
		cr_expect_lt(store_layout_init(&l, "/run/x", bad[i], &err), 0);
		cr_expect_str_eq(err.text, expected);
		cr_expect_null(l.root);
	}
}

Test(store_layout, makes_its_directories_private_and_twice_is_once)
{
	_cleanup_(store_layout_done) struct store_layout l = STORE_LAYOUT_INIT;
	struct err err = ERR_INIT;

	layout_below("a/b", &l);
	cr_assert_eq(store_layout_prepare(&l, &err), 0, "%s", err.text);
	cr_assert_eq(mode_of(l.root), 0700);
	cr_assert_eq(mode_of(l.ns), 0700);
	cr_assert_eq(mode_of(l.seccomp), 0700);
	cr_assert_eq(mode_of(l.overlay), 0700);
	cr_assert_eq(chmod(l.ns, 0755), 0);
	cr_assert_eq(store_layout_prepare(&l, &err), 0, "%s", err.text);
	cr_assert_eq(mode_of(l.ns), 0700);
	cr_assert_eq(access(l.upper, F_OK), -1);
}

Test(store_layout, refuses_what_stands_in_the_place_of_a_directory)
{
	_cleanup_(store_layout_done) struct store_layout l = STORE_LAYOUT_INIT;
	struct err err = ERR_INIT;

	layout_below("r", &l);
	cr_assert_eq(mkdir(l.root, 0700), 0);
	cr_assert_eq(symlink("/tmp", l.ns), 0);
	cr_assert_lt(store_layout_prepare(&l, &err), 0);
	cr_assert(str_has_suffix(
		err.text, "/r/ns: is not a directory: remove it, Reaper makes it anew"));
	cr_assert_eq(err.kind, ERR_PRECONDITION);
	cr_assert_eq(unlink(l.ns), 0);
	if (geteuid() == 0) {
		cr_assert_eq(mkdir(l.ns, 0700), 0);
		cr_assert_eq(chown(l.ns, 12345, 12345), 0);
		cr_assert_lt(store_layout_prepare(&l, &err), 0);
		cr_assert(strstr(err.text, "belongs to uid 12345, not to uid 0"), "%s", err.text);
	}
}

Test(store_layout, takes_only_group_keys_that_are_one_harmless_name)
{
	_cleanup_(store_layout_done) struct store_layout l = STORE_LAYOUT_INIT;
	static const char *const bad[] = {"", ".", "..", ".x", "a/b", "a b", "a\n", "\xc3\xa9"};
	_cleanup_free_ char *p = NULL;
	struct err err = ERR_INIT;
	char long_key[202];

	cr_assert_eq(store_layout_init(&l, NULL, NULL, NULL), 0);
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		cr_expect_eq(store_ns_path(&l, bad[i], &p, &err), -EINVAL, "%s", bad[i]);
	memset(long_key, 'k', sizeof(long_key));
	long_key[201] = '\0';
	cr_assert_eq(store_ns_path(&l, long_key, &p, &err), -EINVAL);
	cr_assert_null(p);
	cr_assert_eq(store_ns_path(&l, "node", &p, &err), 0);
	cr_assert_str_eq(p, "/run/reaper/ns/node");
}
