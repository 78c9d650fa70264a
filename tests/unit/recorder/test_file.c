#include "recorder/file.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include "base/cleanup.h"
#include "base/file.h"
#include "base/str.h"

static char top[] = "/tmp/reaper-history-XXXXXX";
static char *dir, *path, *old;

static void make(void)
{
	cr_assert_not_null(mkdtemp(top));
	cr_assert_eq(str_printf(&dir, "%s/a", top), 0);
	cr_assert_eq(str_printf(&path, "%s/history.jsonl", dir), 0);
	cr_assert_eq(str_printf(&old, "%s.1", path), 0);
}

static void drop(void)
{
	(void)unlink(path);
	(void)unlink(old);
	(void)rmdir(dir);
	cr_expect_eq(rmdir(top), 0, "something else was left in %s", top);
	free(path);
	free(old);
	free(dir);
}

TestSuite(history_file, .init = make, .fini = drop);

static size_t lines_of(const char *name, char **ret_text)
{
	size_t len = 0, n = 0;

	if (file_read_at(AT_FDCWD, name, 64 << 20, ret_text, &len, NULL) < 0)
		return 0;
	for (size_t i = 0; i < len; i++)
		n += (*ret_text)[i] == '\n';
	return n;
}

static int append(uint64_t max, const char *line)
{
	return recorder_append(path, max, line, strlen(line), NULL);
}

Test(history_file, is_made_for_root_alone)
{
	struct stat st;

	cr_assert_eq(append(1 << 20, "one\n"), 0);
	cr_assert_eq(stat(dir, &st), 0);
	cr_expect_eq(st.st_mode & 07777, 0700);
	cr_assert_eq(stat(path, &st), 0);
	cr_expect_eq(st.st_mode & 07777, 0600);
}

Test(history_file, a_full_one_is_kept_once)
{
	_cleanup_free_ char *now = NULL, *before = NULL;

	for (int i = 0; i < 5; i++)
		cr_assert_eq(append(8, "12345678\n"), 0);
	cr_expect_eq(lines_of(path, &now), 1);
	cr_expect_eq(lines_of(old, &before), 1);
}

Test(history_file, what_is_no_file_is_refused)
{
	struct err err = ERR_INIT;

	cr_assert_eq(mkdir(dir, 0700), 0);
	cr_assert_eq(mkfifo(path, 0600), 0);
	cr_expect_eq(recorder_append(path, 100, "x\n", 2, &err), -ENOTSUP);
	cr_expect_not_null(strstr(err.text, "is no regular file"), "%s", err.text);
	cr_assert_eq(unlink(path), 0);
	cr_assert_eq(symlink("/etc/passwd", path), 0);
	cr_expect_eq(append(100, "x\n"), -ENOTSUP);
}

/* Several processes write and rotate at once: in the end both files together hold whole lines only,
 * and nothing that was written after the last rotation but one is missing. */
Test(history_file, writers_rotate_at_once, .timeout = 60)
{
	enum { WRITERS = 4, LINES = 2000, LENGTH = 64 };
	_cleanup_free_ char *now = NULL, *before = NULL;
	const uint64_t max = (uint64_t)WRITERS * LINES * LENGTH * 6 / 10; /* one rotation */
	size_t n;

	for (int w = 0; w < WRITERS; w++) {
		if (fork() != 0)
			continue;
		for (int i = 0; i < LINES; i++) {
			char line[LENGTH + 1];

			(void)snprintf(line, sizeof(line), "%d %0*d\n", w, LENGTH - 3, i);
			if (append(max, line) < 0)
				_exit(1);
		}
		_exit(0);
	}
	for (int w = 0; w < WRITERS; w++) {
		int status;

		cr_assert_gt(wait(&status), 0);
		cr_assert_eq(status, 0);
	}
	n = lines_of(path, &now);
	cr_assert_gt(n, 0);
	n += lines_of(old, &before);
	cr_expect_eq(n, (size_t)WRITERS * LINES);
	for (char *p = now; p && *p; p += LENGTH)
		cr_assert_eq(strcspn(p, "\n"), LENGTH - 1);
	for (char *p = before; p && *p; p += LENGTH)
		cr_assert_eq(strcspn(p, "\n"), LENGTH - 1);
}

/* The same with a rotation at nearly every line: none is torn. */
Test(history_file, rotation_tears_no_line, .timeout = 60)
{
	_cleanup_free_ char *text = NULL;

	for (int w = 0; w < 4; w++) {
		if (fork() != 0)
			continue;
		for (int i = 0; i < 500; i++) {
			if (append(40, "0123456789 0123456789\n") < 0)
				_exit(1);
		}
		_exit(0);
	}
	for (int w = 0; w < 4; w++) {
		int status;

		cr_assert_gt(wait(&status), 0);
		cr_assert_eq(status, 0);
	}
	cr_assert_gt(lines_of(path, &text), 0);
	cr_expect_eq(strlen(text) % 22, 0);
}
