/* A cgroup tree that is none: plain directories and files below a temporary directory. */
#pragma once

#include <criterion/criterion.h>
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
#include "cgroup/cgroup.h"

/* Empties and removes a tree of plain files: a unit test's own leftovers. */
static inline void fake_remove(const char *path)
{
	char *argv[] = {(char *)"rm", (char *)"-rf", (char *)path, NULL};
	pid_t pid = fork();

	if (pid == 0) {
		execvp(argv[0], argv);
		_exit(127);
	}
	(void)waitpid(pid, NULL, 0);
}

static inline void fake_file(const char *dir, const char *name, const char *text)
{
	_cleanup_free_ char *path = NULL;
	_cleanup_close_ int fd = -EBADF;

	cr_assert_eq(str_printf(&path, "%s/%s", dir, name), 0);
	fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	cr_assert_geq(fd, 0, "%s", path);
	cr_assert_eq(file_write_all(fd, text, strlen(text)), 0);
}

/* The content of DIR/NAME, which may be cut at the first newline. Freed by the caller. */
static inline char *fake_read(const char *dir, const char *name)
{
	_cleanup_free_ char *path = NULL;
	char *text = NULL;
	struct err err = ERR_INIT;

	cr_assert_eq(str_printf(&path, "%s/%s", dir, name), 0);
	cr_assert_eq(file_read_at(AT_FDCWD, path, 1 << 20, &text, NULL, &err), 0, "%s", err.text);
	text[strcspn(text, "\n")] = '\0';
	return text;
}

static inline void fake_expect(const char *dir, const char *name, const char *want)
{
	_cleanup_free_ char *got = fake_read(dir, name);

	cr_assert_str_eq(got, want, "%s is \"%s\", not \"%s\"", name, got, want);
}

/* A cgroup of one directory; `path` is kept by reference, the cgroup is not to be ended. */
static inline struct cgroup fake_cgroup(char *path, uint32_t controllers, bool v2)
{
	struct cgroup cg = CGROUP_INIT;

	cg.dirs[0] =
		(struct cgroup_dir) {.path = path, .keep = 1, .controllers = controllers, .v2 = v2};
	cg.n = 1;
	return cg;
}
