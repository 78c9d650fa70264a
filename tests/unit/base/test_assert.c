#include <assert.h>
#include <criterion/criterion.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include "base/log.h"

/* A process whose assertion fails, with its log in `text`; returns how it ended. */
static int fails(char *text, size_t size)
{
	int ends[2], status;
	ssize_t n, len = 0;
	pid_t pid;

	cr_assert_eq(pipe2(ends, O_CLOEXEC), 0);
	pid = fork();
	if (pid == 0) {
		int nothing = 0;

		log_open(ends[1], LOG_LEVEL_ERROR, "reaper");
		assert(nothing == 1);
		_exit(0);
	}
	close(ends[1]);
	while ((n = read(ends[0], text + len, size - 1 - (size_t)len)) > 0)
		len += n;
	text[len] = '\0';
	close(ends[0]);
	cr_assert_eq(waitpid(pid, &status, 0), pid);
	return status;
}

Test(base_assert, speaks_in_the_log)
{
	char text[4096];
	int status = fails(text, sizeof(text));

	cr_assert(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT, "ended with %d", status);
	cr_assert(strstr(text, "level=error msg=\""), "said: %s", text);
	cr_assert(strstr(text, "test_assert.c:"), "said: %s", text);
	cr_assert(strstr(text, "fails: assertion failed: nothing == 1"), "said: %s", text);
	cr_assert(strstr(text, "runtime=reaper\n"), "said: %s", text);
}
