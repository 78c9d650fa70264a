#include "merge/write.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>
#include "base/cleanup.h"
#include "base/glob.h"
#include "base/macro.h"
#include "base/sha256.h"
#include "base/str.h"
#include "node/confset.h"
#include "merge/journal.h"
#include "node/root.h"
#include "merge/stanza.h"
#include "unit/merge/tree.h"

#define FILE_NAME "/etc/containerd/config.toml"

static void expect_file(const char *root, const char *name, const char *text)
{
	size_t len;
	char *now = tree_get(root, name, &len);

	cr_assert_not_null(now, "%s", name);
	cr_expect_str_eq(now, text);
	free(now);
}

static char *path_in(const char *root, const char *name)
{
	char *path = NULL;

	cr_assert_eq(str_printf(&path, "%s%s", root, name), 0);
	return path;
}

Test(merge_write, keeps_mode_and_attributes_and_leaves_no_other_name)
{
	struct write_job job = WRITE_JOB_INIT;
	char *root = tree_new(), *path = path_in(root, FILE_NAME), hash[65], value[8];
	struct stat st;
	bool attributes;

	tree_put(root, FILE_NAME, "old", 3);
	cr_assert_eq(chmod(path, 0604), 0);
	attributes = setxattr(path, "user.test", "v", 1, 0) == 0;
	sha256_hex("old", 3, hash);
	cr_assert_eq(write_prepare(&job, root, FILE_NAME, hash, "new", 3, NULL), 0);
	expect_file(root, FILE_NAME, "old");
	cr_assert_eq(write_commit(&job, NULL), 0);
	write_job_done(&job);
	expect_file(root, FILE_NAME, "new");
	cr_assert_eq(stat(path, &st), 0);
	cr_expect_eq(st.st_mode & 07777, 0604);
	if (attributes)
		cr_expect_eq(getxattr(path, "user.test", value, sizeof(value)), 1);
	free(path);
	path = path_in(root, "/etc/containerd/.reaper-new.config.toml");
	cr_expect_lt(access(path, F_OK), 0);
	free(path);
	tree_remove(root);
}

Test(merge_write, sees_who_was_faster)
{
	char *root = tree_new(), hash[65];
	struct write_job job = WRITE_JOB_INIT;

	sha256_hex("old", 3, hash);
	tree_put(root, FILE_NAME, "other", 5);
	cr_expect_eq(write_prepare(&job, root, FILE_NAME, hash, "new", 3, NULL), -ESTALE);
	write_job_done(&job);
	cr_expect_eq(write_prepare(&job, root, FILE_NAME, NULL, "new", 3, NULL), -ESTALE);
	write_job_done(&job);
	/* between the two steps */
	tree_put(root, FILE_NAME, "old", 3);
	cr_assert_eq(write_prepare(&job, root, FILE_NAME, hash, "new", 3, NULL), 0);
	tree_put(root, FILE_NAME, "editor", 6);
	cr_expect_eq(write_commit(&job, NULL), -ESTALE);
	write_job_done(&job);
	expect_file(root, FILE_NAME, "editor");
	cr_assert_eq(write_prepare(&job, root, "/etc/x/y/new.toml", NULL, "new", 3, NULL), 0);
	cr_assert_eq(root_mkdirs(root, "/etc/x/y", 0755, 0755), 2);
	tree_put(root, "/etc/x/y/new.toml", "editor", 6);
	cr_expect_eq(write_commit(&job, NULL), -ESTALE);
	write_job_done(&job);
	expect_file(root, "/etc/x/y/new.toml", "editor");
	tree_remove(root);
}

/* What a kill leaves must stand in the journal first, and the journal comes after this. */
Test(merge_write, looks_before_it_writes_anything)
{
	char *root = tree_new(), *before, *after, hash[65];
	struct write_job job = WRITE_JOB_INIT, other = WRITE_JOB_INIT;

	tree_put(root, FILE_NAME, "old", 3);
	before = tree_census(root);
	sha256_hex("old", 3, hash);
	cr_assert_eq(write_prepare(&job, root, FILE_NAME, hash, "new", 3, NULL), 0);
	cr_assert_eq(write_prepare(&other, root, "/etc/a/b/c.toml", NULL, "new", 3, NULL), 0);
	cr_expect_eq(other.dirs_made, 2);
	write_job_done(&job);
	write_job_done(&other);
	after = tree_census(root);
	cr_expect_str_eq(before, after);
	free(before);
	free(after);
	tree_remove(root);
}

static void replace_linked(const char *old, const char *text)
{
	char *root = tree_new(), *path = path_in(root, FILE_NAME), *other = path_in(root, "/other");
	struct write_job job = WRITE_JOB_INIT;
	char hash[65];

	tree_put(root, FILE_NAME, old, strlen(old));
	cr_assert_eq(link(path, other), 0);
	sha256_hex(old, strlen(old), hash);
	cr_assert_eq(write_prepare(&job, root, FILE_NAME, hash, text, strlen(text), NULL), 0);
	cr_assert_eq(write_commit(&job, NULL), 0);
	write_job_done(&job);
	expect_file(root, FILE_NAME, text);
	expect_file(root, "/other", text);
	free(path);
	free(other);
	tree_remove(root);
}

Test(merge_write, writes_into_a_file_with_two_names)
{
	replace_linked("head\n", "head\nblock\n");
	replace_linked("head\nblock\n", "head\n");
	replace_linked("head\nblock\ntail\n", "head\ntail\n");
	replace_linked("head\ntail\n", "head\nblock\ntail\n");
	replace_linked("x", "");
	replace_linked("", "x");
}

Test(merge_write, cuts_only_what_a_kill_left_behind_the_old_bytes)
{
	static const struct {
		const char *now;
		int result;
		const char *then;
	} files[] = {
		{"old\n", 0, "old\n"},
		{"old\n\n\n\n", 1, "old\n"},
		{"old\n\n\nx", 0, "old\n\n\nx"},
		{"new\n\n\n\n", 0, "new\n\n\n\n"},
		{"ol", 0, "ol"},
	};
	char *root = tree_new(), *path = path_in(root, FILE_NAME), hash[65];

	sha256_hex("old\n", 4, hash);
	for (size_t i = 0; i < ARRAY_LEN(files); i++) {
		tree_put(root, FILE_NAME, files[i].now, strlen(files[i].now));
		cr_expect_eq(write_trim(path, hash, 4), files[i].result, "%zu", i);
		expect_file(root, FILE_NAME, files[i].then);
	}
	free(path);
	tree_remove(root);
}

Test(merge_write, follows_links_inside_of_the_root_only)
{
	char *root = tree_new(), *link = path_in(root, FILE_NAME), hash[65];
	struct write_job job = WRITE_JOB_INIT;

	tree_put(root, "/etc/real", "old", 3);
	cr_assert_eq(symlink("/etc/real", link), 0);
	sha256_hex("old", 3, hash);
	cr_assert_eq(write_prepare(&job, root, FILE_NAME, hash, "new", 3, NULL), 0);
	cr_assert_eq(write_commit(&job, NULL), 0);
	write_job_done(&job);
	expect_file(root, "/etc/real", "new");
	free(link);
	tree_remove(root);
}

Test(merge_journal, comes_back_as_it_was_saved)
{
	char *root = tree_new();
	struct journal j = {.phase = JOURNAL_WRITTEN,
			       .config = (char *)"/etc/with \"quotes\"\\and\nmore",
			       .created = true,
			       .dirs_made = 2,
			       .mode = 0640,
			       .uid = 12,
			       .gid = 4000000000U,
			       .backup = (char *)"x.bak",
			       .containerd = (char *)"1.6.20~ds1",
			       .unit = (char *)"containerd.service",
			       .time = (char *)"2026-11-23T00:00:00Z"},
		       back = JOURNAL_INIT;
	int made = 0;

	sha256_hex("a", 1, j.before);
	sha256_hex("b", 1, j.after);
	cr_expect_eq(journal_load(root, STANZA_HANDLER, &back, NULL), 0);
	cr_assert_eq(journal_save(root, &j, &made, NULL), 0);
	cr_expect_eq(made, 4); /* var lib reaper containerd */
	cr_assert_eq(journal_load(root, STANZA_HANDLER, &back, NULL), 1);
	cr_expect_eq(back.phase, JOURNAL_WRITTEN);
	cr_expect_str_eq(back.config, j.config);
	cr_expect(back.created);
	cr_expect_eq(back.dirs_made, 2);
	cr_expect_eq(back.mode, 0640);
	cr_expect_eq(back.gid, 4000000000U);
	cr_expect_str_eq(back.after, j.after);
	cr_expect_str_eq(back.backup, "x.bak");
	journal_done(&back);
	tree_put(root, JOURNAL_DIR "/journal", "format = 2\n", 11);
	cr_expect_eq(journal_load(root, STANZA_HANDLER, &back, NULL), -EBADMSG);
	tree_put(root, JOURNAL_DIR "/journal", "form", 4);
	cr_expect_eq(journal_load(root, STANZA_HANDLER, &back, NULL), -EBADMSG);
	journal_remove(root, STANZA_HANDLER, made);
	{
		char *census = tree_census(root);

		cr_expect_null(strstr(census, "/var"));
		free(census);
	}
	tree_remove(root);
}

Test(merge_journal, keeps_the_needed_backup_and_the_last_five)
{
	char *root = tree_new(), *first = NULL, *text;
	size_t len;
	int made = 0;

	for (char c = 'a'; c <= 'i'; c++) {
		char *name = NULL;

		cr_assert_eq(journal_backup(root, &c, 1, &name, &made, NULL), 0);
		if (!first)
			first = TAKE_PTR(name);
		free(name);
	}
	journal_rotate(root, first);
	cr_assert_eq(journal_read_backup(root, first, &text, &len, NULL), 0);
	cr_expect_str_eq(text, "a");
	free(text);
	text = tree_census(root);
	{
		unsigned n = 0;

		for (char *p = text; (p = strstr(p, ".bak ")); p++)
			n++;
		cr_expect_eq(n, 6);
	}
	free(text);
	free(first);
	tree_remove(root);
}

Test(merge_confset, expands_patterns_as_go_does)
{
	static const char *const names[] = {"/etc/b.toml", "/etc/a.toml", "/etc/.hidden.toml",
		"/etc/a.txt", "/etc/containerd/c.toml"};
	char *root = tree_new(), **found = NULL;

	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		tree_put(root, names[i], "", 0);
	cr_assert_eq(glob_expand(root, "/etc/*.toml", CONFSET_FILES_MAX, &found), 0);
	cr_assert_eq(strv_len(found), 3);
	cr_expect_str_eq(found[0], "/etc/.hidden.toml");
	cr_expect_str_eq(found[1], "/etc/a.toml");
	cr_expect_str_eq(found[2], "/etc/b.toml");
	found = strv_free(found);
	cr_assert_eq(glob_expand(root, "/e*/cont*/*.toml", CONFSET_FILES_MAX, &found), 0);
	cr_assert_eq(strv_len(found), 1);
	cr_expect_str_eq(found[0], "/etc/containerd/c.toml");
	found = strv_free(found);
	cr_assert_eq(glob_expand(root, "/nope/*", CONFSET_FILES_MAX, &found), 0);
	cr_expect_null(found);
	tree_remove(root);
}

/* The rows are those of Go's own path/filepath/match_test.go, as far as one component goes. */
Test(merge_confset, matches_as_go_does)
{
	static const struct {
		const char *pattern, *name;
		bool matches;
	} rows[] = {{"abc", "abc", true}, {"*", "abc", true}, {"*c", "abc", true},
		{"a*", "a", true}, {"a*", "abc", true}, {"a*b?c*x", "abxbbxdbxebxczzx", true},
		{"a*b?c*x", "abxbbxdbxebxczzy", false}, {"ab[c]", "abc", true},
		{"ab[b-d]", "abc", true}, {"ab[e-g]", "abc", false}, {"ab[^c]", "abc", false},
		{"ab[^b-d]", "abc", false}, {"ab[^e-g]", "abc", true}, {"a\\*b", "a*b", true},
		{"a\\*b", "ab", false}, {"a?b", "a\u263ab", true}, {"a[^a]b", "a\u263ab", true},
		{"a???b", "a\u263ab", false}, {"[a-\u03b6]*", "\u03b1", true},
		{"*[a-\u03b6]", "A", false}, {"[\\]a]", "]", true}, {"[\\-]", "-", true},
		{"[x\\-]", "x", true}, {"[x\\-]", "z", false}, {"[]a]", "]", false},
		{"[-]", "-", false}, {"[x-]", "x", false}, {"[-x]", "x", false},
		{"[a-b-c]", "a", false}, {"[", "a", false}, {"[^", "a", false},
		{"[^bc", "a", false}, {"a[", "a", false}, {"a[", "ab", false}, {"*x", "xxx", true},
		{"[!a]", "b", false}, {"*", ".hidden", true}, {"?x", ".x", true}, {"", "", true},
		{"", "a", false}, {"a", "", false}, {"*", "", true}, {"**", "ab", true}};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		cr_expect_eq(glob_match(rows[i].pattern, rows[i].name), rows[i].matches, "%s %s",
			rows[i].pattern, rows[i].name);
}

Test(merge_root, makes_and_removes_only_what_was_missing)
{
	char *root = tree_new(), *before = tree_census(root), *after;
	int made = root_mkdirs(root, "/etc/x/y", 0755, 0700);

	cr_expect_eq(made, 2);
	cr_expect_eq(root_mkdirs(root, "/etc/x/y", 0755, 0700), 0);
	root_rmdirs(root, "/etc/x/y", made);
	after = tree_census(root);
	cr_expect_null(strstr(after, "/etc/x"));
	cr_expect_not_null(strstr(after, "/etc/containerd"));
	free(before);
	free(after);
	tree_remove(root);
}
