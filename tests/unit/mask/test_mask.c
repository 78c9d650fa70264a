/* What is hidden: rules, and what they mean on a host that is a small tree in /tmp. No root. */
#include <criterion/criterion.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/buf.h"
#include "base/cleanup.h"
#include "base/file.h"
#include "base/str.h"
#include "mask/plan.h"
#include "mask/shadow.h"

static char dir[] = "/tmp/reaper-mask-XXXXXX";
static int root;

static void make_host(void)
{
	cr_assert_not_null(mkdtemp(dir));
	root = open(dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
	cr_assert_geq(root, 0);
}

static void remove_host(void)
{
	char command[64];

	(void)close(root);
	(void)snprintf(command, sizeof(command), "rm -r %s", dir);
	cr_assert_eq(system(command), 0); /* nothing is mounted there */
}

TestSuite(mount_mask, .init = make_host, .fini = remove_host);

/* "a/b/" is a directory, "a" a file, "a -> b" a link. */
static void host_has(const char *const *names)
{
	for (; *names; names++) {
		_cleanup_free_ char *path = NULL;
		char *arrow;

		cr_assert_eq(str_printf(&path, "%s/%s", dir, *names), 0);
		arrow = strstr(path, " -> ");
		if (arrow) {
			*arrow = '\0';
			cr_assert_eq(symlink(arrow + 4, path), 0);
		} else if (str_has_suffix(path, "/")) {
			cr_assert_eq(file_mkdir_p(path, 0755), 0);
		} else {
			cr_assert_eq(file_replace_at(AT_FDCWD, path, "x", 1, 0600, NULL), 0);
		}
	}
}

/* The plan as "path path …". */
static void expect_hidden(const struct mask_rules *rules, const char *expected)
{
	_cleanup_(mask_plan_done) struct mask_plan plan = MASK_PLAN_INIT;
	_cleanup_(buf_done) struct buf text = BUF_INIT(1 << 20);
	struct err err = ERR_INIT;

	cr_assert_eq(mask_plan_make(root, rules, NULL, &plan, &err), 0, "%s", err.text);
	cr_assert_eq(buf_append_str(&text, ""), 0);
	for (size_t i = 0; i < plan.n; i++)
		cr_assert_eq(buf_printf(&text, "%s%s%s", i ? " " : "", plan.v[i].path,
				     plan.v[i].kind == MASK_LOCK   ? "(locked)"
				     : plan.v[i].kind == MASK_DENY ? "(denied)"
								   : ""),
			0);
	cr_expect_str_eq(text.data, expected);
}

#define LIST(...) ((char *const *)(const char *const[]) {__VA_ARGS__, NULL})
#define ONLY(...) ((struct mask_rules) {.replace = true, .paths = LIST(__VA_ARGS__)})

Test(mount_mask, plain_paths_are_hidden_before_they_are_there)
{
	struct mask_rules r = ONLY("/etc/a", "/etc/b", "/srv/x/y", "/etc/shadow");

	host_has((const char *const[]) {"etc/", "etc/a", "etc/shadow", NULL});
	/* /srv is the first part that is missing */
	expect_hidden(&r, "/etc/a /etc/b /etc/shadow(locked) /srv");
}

Test(mount_mask, where_debian_starts_services_none_is_started)
{
	struct mask_rules r = ONLY("/etc/a");

	host_has((const char *const[]) {"etc/", "usr/sbin/", "usr/sbin/invoke-rc.d", NULL});
	expect_hidden(&r, "/etc/a /usr/sbin/policy-rc.d(denied)");
	r.allow = LIST("/usr/sbin/policy-rc.d");
	expect_hidden(&r, "/etc/a");
}

Test(mount_mask, globs_are_what_is_there)
{
	struct mask_rules r = ONLY("/home/*/.ssh", "/etc/key_[ab]?");

	host_has((const char *const[]) {"home/ann/.ssh/", "home/bob/", "home/.cy/.ssh/",
		"home/file", "etc/", "etc/key_a1", "etc/key_c1", NULL});
	expect_hidden(&r, "/etc/key_a1 /home/.cy/.ssh /home/ann/.ssh /home/bob/.ssh");
}

Test(mount_mask, what_is_below_a_hidden_path_is_no_entry_of_its_own)
{
	struct mask_rules r = ONLY("/a/b/c", "/a/b", "/a/b-c", "/a/b/d");

	host_has((const char *const[]) {"a/b/", "a/b/c", "a/b-c", NULL});
	expect_hidden(&r, "/a/b /a/b-c");
}

Test(mount_mask, links_of_root_are_followed_and_hidden_with_what_they_lead_to)
{
	struct mask_rules r = ONLY("/var/lib/docker", "/home/*/.ssh", "/run-link/x");

	host_has((const char *const[]) {"var/lib/", "data/docker/", "data/home/ann/.ssh/",
		"var/lib/docker -> ../../data/docker", "home -> /data/home",
		"run-link -> data/../data", "data/x", NULL});
	expect_hidden(&r, "/data/docker /data/home/ann/.ssh /data/x /var/lib/docker");
}

Test(mount_mask, nobody_hides_the_hosts_programs_with_a_link)
{
	struct mask_rules r = ONLY("/home/*/.ssh", "/home/*/.config/gcloud");
	_cleanup_free_ char *home = NULL;

	if (geteuid() != 0)
		cr_skip_test("needs root to make another user's link");
	host_has((const char *const[]) {"usr/gcloud/", "home/eve/", "home/eve/.ssh -> /usr",
		"home/eve/.config -> /usr", NULL});
	cr_assert_eq(str_printf(&home, "%s/home/eve/.ssh", dir), 0);
	cr_assert_eq(lchown(home, 1000, 1000), 0);
	free(home);
	cr_assert_eq(str_printf(&home, "%s/home/eve/.config", dir), 0);
	cr_assert_eq(lchown(home, 1000, 1000), 0);
	expect_hidden(&r, "/home/eve/.config /home/eve/.ssh");
}

Test(mount_mask, links_that_lead_in_circles_or_to_the_root_end)
{
	struct mask_rules r = ONLY("/a/x", "/b");

	host_has((const char *const[]) {"a -> c", "c -> a", "b -> /", NULL});
	expect_hidden(&r, "/a /b");
}

Test(mount_mask, a_directory_of_which_a_part_is_allowed_is_hidden_around_it)
{
	struct mask_rules r = {.replace = true,
		.paths = LIST("/var/lib/sss", "/etc/x"),
		.allow = LIST("/var/lib/sss/pipes", "/var/lib/sss/mc/pass*", "/etc/x")};

	host_has((const char *const[]) {"etc/", "etc/x", "var/lib/sss/pipes/", "var/lib/sss/db/",
		"var/lib/sss/mc/", "var/lib/sss/mc/passwd", "var/lib/sss/mc/group", NULL});
	expect_hidden(&r, "/var/lib/sss/db /var/lib/sss/mc/group");
}

Test(mount_mask, the_defaults_are_there_unless_they_are_replaced_or_off)
{
	struct mask_rules all = {.paths = NULL};
	struct mask_rules less = {.allow = LIST("/etc/sudoers", "/home/*/.ssh")};
	struct mask_rules none = {.off = true, .paths = LIST("/etc")};

	cr_expect(mask_rules_hide(&all, "/etc/shadow"));
	cr_expect(mask_rules_hide(&all, "/home/ann/.ssh/id_rsa"));
	cr_expect(mask_rules_hide(&all, "/var/lib/sss/db"));
	cr_expect(!mask_rules_hide(&all, "/var/lib/sss/pipes/nss"));
	cr_expect(!mask_rules_hide(&all, "/etc/passwd"));
	cr_expect(!mask_rules_hide(&all, "/home/ann"));
	cr_expect(!mask_rules_hide(&less, "/etc/sudoers"));
	cr_expect(mask_rules_hide(&less, "/etc/sudoers.d/x"));
	cr_expect(!mask_rules_hide(&less, "/home/ann/.ssh/id_rsa"));
	cr_expect(!mask_rules_hide(&none, "/etc/shadow"));
	expect_hidden(&none, "");
}

Test(mount_mask, every_default_is_a_pattern_that_can_match)
{
	for (size_t i = 0; mask_default_paths[i]; i++) {
		const char *p = mask_default_paths[i];

		cr_expect(p[0] == '/' && !str_has_suffix(p, "/") && !strstr(p, "//"), "%s", p);
		for (size_t j = 0; j < i; j++)
			cr_expect_str_neq(p, mask_default_paths[j]);
	}
}

Test(mount_mask, passwords_are_locked_and_all_else_is_kept)
{
	static const char text[] = "root:$y$j9T$abc$def:19000:0:99999:7:::\n"
				   "daemon:*:19000:0:99999:7:::\n"
				   "open::19000:0:99999:7:::\n"
				   "locked:!$6$salt$hash:19000::::::\n"
				   "off:!!:19000::::::\n"
				   "short:$1$x$y\n"
				   "$6$a hash that lost its name\n"
				   ":$6$nameless:1:\n"
				   "\n"
				   "+\n"
				   "+@admins:$6$x$y:::::::\n"
				   "last:$2b$12$abc:1:";
	_cleanup_(buf_done) struct buf out = BUF_INIT(4096);

	cr_assert_eq(mask_lock_shadow(text, sizeof(text) - 1, &out), 0);
	cr_expect_str_eq(out.data, "root:!:19000:0:99999:7:::\n"
				   "daemon:*:19000:0:99999:7:::\n"
				   "open:!:19000:0:99999:7:::\n"
				   "locked:!:19000::::::\n"
				   "off:!!:19000::::::\n"
				   "short:!\n"
				   "+\n"
				   "+@admins:!:::::::\n"
				   "last:!:1:\n");
}

Test(mount_mask, a_part_of_a_pattern_is_what_glob_says)
{
	static const struct {
		const char *pattern, *name;
		bool matches;
	} table[] = {
		{"*", ".hidden", true},
		{"a*c", "abbc", true},
		{"a*c", "abb", false},
		{"?", "ab", false},
		{"[a-c]x", "bx", true},
		{"[!a-c]x", "bx", false},
		{"[!a-c]x", "dx", true},
		{"[^a-c]x", "dx", true},
		{"\\*", "*", true},
		{"\\*", "a", false},
		{"a[b", "a[b", true}, /* no pattern: itself */
		{"a[b", "ab", false},
		{"", "", true},
	};

	for (size_t i = 0; i < sizeof(table) / sizeof(*table); i++)
		cr_expect_eq(mask_matches(table[i].pattern, table[i].name), table[i].matches,
			"%s %s", table[i].pattern, table[i].name);
}
