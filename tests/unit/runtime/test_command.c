#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/str.h"
#include "runtime/command.h"

static char dir_name[64], path_variable[256];
static int proc_fd;

static void make(const char *name, const char *text, mode_t mode)
{
	FILE *f = fopen(name, "w");

	cr_assert_not_null(f);
	(void)fputs(text, f);
	(void)fclose(f);
	cr_assert_eq(chmod(name, mode), 0);
}

static void setup(void)
{
	strcpy(dir_name, "/tmp/unit-command-XXXXXX");
	cr_assert_not_null(mkdtemp(dir_name));
	cr_assert_eq(chdir(dir_name), 0);
	cr_assert_eq(mkdir("first", 0755), 0);
	cr_assert_eq(mkdir("second", 0755), 0);
	make("first/tool", "#!/bin/sh\n", 0644);
	make("second/tool", "#!/bin/sh\n", 0755);
	make("second/lost", "#!/no/such/interpreter -x\n", 0755);
	make("second/dos", "#!/bin/sh\r\n", 0755);
	make("second/exe", "#!/proc/self/exe\n", 0755);
	(void)snprintf(path_variable, sizeof(path_variable), "PATH=%s/first:%s/second", dir_name,
		dir_name);
	proc_fd = open("/proc", O_PATH | O_DIRECTORY | O_CLOEXEC);
}

static void teardown(void)
{
	char command[128];

	(void)snprintf(command, sizeof(command), "rm -rf %s", dir_name);
	cr_assert_eq(system(command), 0);
	close(proc_fd);
}

TestSuite(runtime_command, .init = setup, .fini = teardown);

static int resolve(const char *name, char **ret_path, struct err *err)
{
	char *env[] = {path_variable, NULL};

	*err = (struct err)ERR_INIT;
	return command_resolve(name, env, proc_fd, ret_path, err);
}

Test(runtime_command, what_cannot_be_executed_is_passed_over_in_the_search)
{
	struct err err;
	char *path = NULL;

	cr_assert_eq(resolve("tool", &path, &err), 0, "%s", err.text);
	cr_expect(str_has_suffix(path, "/second/tool"), "%s", path);
	free(path);
}

Test(runtime_command, a_name_with_a_slash_is_relative_to_the_working_directory)
{
	struct err err;
	char *path = NULL;

	cr_assert_eq(resolve("second/tool", &path, &err), 0, "%s", err.text);
	cr_expect_str_eq(path, "second/tool");
	free(path);
	cr_expect_eq(resolve("./tool", &path, &err), -ENOENT);
	cr_expect_eq(command_exit_status(&err), 127);
}

Test(runtime_command, errors_say_what_is_wrong)
{
	static const struct {
		const char *name, *text;
		int status;
	} cases[] = {
		{"nothing", "nothing: not found; searched /tmp/unit-command-", 127},
		{"first/tool", "first/tool: is not executable for user 0", 126},
		{"lost", "its interpreter /no/such/interpreter: not found", 127},
		{"dos", "DOS line endings", 127},
		{"exe", "is a magic link of /proc", 126},
		{"/proc/self/exe", "magic link of /proc", 126},
		{"/dev/null", "is no regular file", 126},
		{"/tmp", "is a directory", 126},
	};
	struct err err;
	char *path = NULL;

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		cr_expect_lt(resolve(cases[i].name, &path, &err), 0, "%s", cases[i].name);
		cr_expect(strstr(err.text, cases[i].text), "%s", err.text);
		cr_expect_eq(command_exit_status(&err), cases[i].status, "%s", err.text);
	}
}

Test(runtime_command, the_runtimes_own_program_is_no_command)
{
	char own[4096];
	ssize_t n = readlink("/proc/self/exe", own, sizeof(own) - 1);
	struct err err;
	char *path = NULL;

	cr_assert_gt(n, 0);
	own[n] = '\0';
	cr_expect_eq(resolve(own, &path, &err), -EINVAL);
	cr_expect(strstr(err.text, "the runtime's own program"), "%s", err.text);
}
