#include "confine/seccomp.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static int compile(const char *json, struct confine_seccomp *s, struct err *err)
{
	return confine_seccomp_compile(json, strlen(json), s, err);
}

/* Loads the profile in a child and makes one call there, whose errno (0: success) is the exit
 * status; returns the child's wait status. */
static int status_under(const char *json, long nr, long arg)
{
	struct confine_seccomp s = CONFINE_SECCOMP_INIT;
	struct err err = ERR_INIT;
	int status;
	pid_t pid;

	cr_assert_eq(compile(json, &s, &err), 0, "%s", err.text);
	pid = fork();
	cr_assert_geq(pid, 0);
	if (pid == 0) {
		int listener;
		long r;

		if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 ||
			confine_seccomp_load(&s, &listener, NULL) < 0)
			_exit(255);
		r = syscall(nr, arg, 0, 0);
		/* not _exit(): LeakSanitizer looks for leaks there, with calls that the profile
		 * refuses, and never comes back */
		(void)syscall(SYS_exit_group, r < 0 ? errno : 0);
	}
	cr_assert_eq(waitpid(pid, &status, 0), pid);
	confine_seccomp_done(&s);
	return status;
}

static int errno_under(const char *json, long nr, long arg)
{
	int status = status_under(json, nr, arg);

	cr_assert(WIFEXITED(status));
	return WEXITSTATUS(status);
}

#define ALLOW_MOST                                                                          \
	"{\"names\":[\"exit_group\",\"exit\",\"getuid\",\"openat2\",\"write\",\"munmap\"]," \
	"\"action\":\"SCMP_ACT_ALLOW\"}"

Test(confine_seccomp, allows_what_the_profile_names_and_refuses_the_rest)
{
	static const char json[] = "{\"defaultAction\":\"SCMP_ACT_ERRNO\",\"defaultErrnoRet\":13,"
				   "\"syscalls\":[" ALLOW_MOST "]}";

	cr_assert_eq(errno_under(json, SYS_getuid, 0), 0);
	cr_assert_eq(errno_under(json, SYS_getppid, 0), EACCES);
}

Test(confine_seccomp, answers_enosys_to_calls_that_are_newer_than_the_profile)
{
	static const char json[] =
		"{\"defaultAction\":\"SCMP_ACT_ERRNO\",\"syscalls\":[" ALLOW_MOST "]}";

	cr_assert_eq(errno_under(json, SYS_getppid, 0), EPERM);
	cr_assert_eq(errno_under(json, 460, 0), ENOSYS, "openat2 is the newest that it names");
}

Test(confine_seccomp, compares_arguments_and_takes_two_of_one_argument_as_alternatives)
{
	static const char json[] =
		"{\"defaultAction\":\"SCMP_ACT_ALLOW\",\"syscalls\":[{\"names\":[\"getpgid\"],"
		"\"action\":\"SCMP_ACT_ERRNO\",\"errnoRet\":42,\"args\":["
		"{\"index\":0,\"value\":0,\"op\":\"SCMP_CMP_EQ\"},"
		"{\"index\":0,\"value\":1,\"op\":\"SCMP_CMP_EQ\"}]}]}";

	cr_assert_eq(errno_under(json, SYS_getpgid, 0), 42);
	cr_assert_eq(errno_under(json, SYS_getpgid, 1), 42);
	cr_assert_neq(errno_under(json, SYS_getpgid, 2000000), 42);
}

Test(confine_seccomp, knows_every_operator)
{
	static const struct {
		const char *op;
		unsigned value, second;
		long yes, no;
	} table[] = {
		{"SCMP_CMP_NE", 5, 0, 4, 5},
		{"SCMP_CMP_LT", 5, 0, 4, 5},
		{"SCMP_CMP_LE", 5, 0, 5, 6},
		{"SCMP_CMP_EQ", 5, 0, 5, 6},
		{"SCMP_CMP_GE", 5, 0, 5, 4},
		{"SCMP_CMP_GT", 5, 0, 6, 5},
		{"SCMP_CMP_MASKED_EQ", 6, 4, 5, 6},
	};

	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		char json[512];

		(void)snprintf(json, sizeof(json),
			"{\"defaultAction\":\"SCMP_ACT_ALLOW\",\"syscalls\":[{\"names\":["
			"\"getppid\"],\"action\":\"SCMP_ACT_ERRNO\",\"errnoRet\":99,\"args\":[{"
			"\"index\":0,\"value\":%u,\"valueTwo\":%u,\"op\":\"%s\"}]}]}",
			table[i].value, table[i].second, table[i].op);
		cr_expect_eq(errno_under(json, SYS_getppid, table[i].yes), 99, "%s", table[i].op);
		cr_expect_eq(errno_under(json, SYS_getppid, table[i].no), 0, "%s", table[i].op);
	}
}

Test(confine_seccomp, knows_every_action)
{
	static const struct {
		const char *action;
		int signal, errnum;
	} table[] = {
		{"\"SCMP_ACT_ALLOW\"", 0, 0},
		{"\"SCMP_ACT_LOG\"", 0, 0},
		{"\"SCMP_ACT_ERRNO\"", 0, EPERM},
		{"\"SCMP_ACT_ERRNO\",\"errnoRet\":38", 0, ENOSYS},
		{"\"SCMP_ACT_TRACE\",\"errnoRet\":7", 0, ENOSYS}, /* no tracer is there */
		{"\"SCMP_ACT_TRAP\"", SIGSYS, 0},
		{"\"SCMP_ACT_KILL\"", SIGSYS, 0},
		{"\"SCMP_ACT_KILL_THREAD\"", SIGSYS, 0},
		{"\"SCMP_ACT_KILL_PROCESS\"", SIGSYS, 0},
	};

	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		char json[256];
		int status;

		/* ALLOW is what happens anyway, in the first row */
		(void)snprintf(json, sizeof(json),
			"{\"defaultAction\":\"SCMP_ACT_ALLOW\",\"syscalls\":[{\"names\":["
			"\"getppid\"],\"action\":%s}]}",
			table[i].action);
		status = status_under(json, SYS_getppid, 0);
		if (table[i].signal)
			cr_expect(WIFSIGNALED(status) && WTERMSIG(status) == table[i].signal, "%s",
				table[i].action);
		else
			cr_expect(WIFEXITED(status) && WEXITSTATUS(status) == table[i].errnum, "%s",
				table[i].action);
	}
}

Test(confine_seccomp, leaves_out_names_it_does_not_know)
{
	static const char json[] =
		"{\"defaultAction\":\"SCMP_ACT_ALLOW\",\"architectures\":[\"SCMP_ARCH_X86_64\","
		"\"SCMP_ARCH_X86\","
		"\"SCMP_ARCH_X32\"],\"syscalls\":[{\"names\":[\"no_such_call\",\"getppid\"],"
		"\"action\":\"SCMP_ACT_ERRNO\",\"errnoRet\":7}]}";

	cr_assert_eq(errno_under(json, SYS_getppid, 0), 7);
}

Test(confine_seccomp, refuses_by_name)
{
	static const struct {
		const char *json, *text;
		enum err_kind kind;
	} cases[] = {
		{"{}", "defaultAction", ERR_INVALID},
		{"{\"defaultAction\":\"SCMP_ACT_FOO\"}", "SCMP_ACT_FOO", ERR_INVALID},
		{"{\"defaultAction\":\"SCMP_ACT_NOTIFY\",\"listenerPath\":\"/x\"}",
			"defaultAction: SCMP_ACT_NOTIFY", ERR_INVALID},
		{"{\"defaultAction\":\"SCMP_ACT_ALLOW\",\"listenerPath\":\"/x\",\"syscalls\":[{"
		 "\"names\":[\"read\",\"write\"],\"action\":\"SCMP_ACT_NOTIFY\"}]}",
			"syscalls[0]: SCMP_ACT_NOTIFY: not for write", ERR_INVALID},
		{"{\"defaultAction\":\"SCMP_ACT_ALLOW\",\"syscalls\":[{\"names\":[\"mkdir\"],"
		 "\"action\":\"SCMP_ACT_NOTIFY\"}]}",
			"SCMP_ACT_NOTIFY: needs listenerPath", ERR_INVALID},
		{"{\"defaultAction\":\"SCMP_ACT_ALLOW\",\"listenerMetadata\":\"x\"}",
			"listenerMetadata: needs listenerPath", ERR_INVALID},
		{"{\"defaultAction\":\"SCMP_ACT_ALLOW\",\"defaultErrnoRet\":1}",
			"defaultErrnoRet: SCMP_ACT_ALLOW has no number", ERR_INVALID},
		{"{\"defaultAction\":\"SCMP_ACT_ALLOW\",\"architectures\":[\"SCMP_ARCH_VAX\"]}",
			"SCMP_ARCH_VAX", ERR_INVALID},
		{"{\"defaultAction\":\"SCMP_ACT_ALLOW\",\"flags\":[\"FAST\"]}", "FAST",
			ERR_INVALID},
		{"{\"defaultAction\":\"SCMP_ACT_ALLOW\",\"syscalls\":[{\"names\":[\"read\"]}]}",
			"action", ERR_INVALID},
		{"{\"defaultAction\":\"SCMP_ACT_ALLOW\",\"syscalls\":[{\"names\":[\"read\"],"
		 "\"action\":"
		 "\"SCMP_ACT_ERRNO\",\"args\":[{\"index\":9,\"op\":\"SCMP_CMP_EQ\"}]}]}",
			"index", ERR_INVALID},
		{"[]", "seccomp", ERR_INVALID},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct confine_seccomp s = CONFINE_SECCOMP_INIT;
		struct err err = ERR_INIT;

		cr_assert_lt(compile(cases[i].json, &s, &err), 0, "case %zu", i);
		cr_assert_eq(err.kind, cases[i].kind, "case %zu: %s", i, err.text);
		cr_assert(strstr(err.text, cases[i].text), "case %zu: %s", i, err.text);
		cr_assert_null(s.filter);
	}
}

Test(confine_seccomp, finds_a_compiled_profile_again_and_no_damaged_one)
{
	static const char json[] =
		"{\"defaultAction\":\"SCMP_ACT_ERRNO\",\"syscalls\":[" ALLOW_MOST "]}";
	char base[] = "/tmp/reaper-seccomp-XXXXXX", dir[64];
	struct confine_seccomp a = CONFINE_SECCOMP_INIT, b = CONFINE_SECCOMP_INIT;
	bool hit = true;

	if (getuid() != 0)
		cr_skip("the cache must belong to root");
	cr_assert_not_null(mkdtemp(base));
	(void)snprintf(dir, sizeof(dir), "%s/cache", base);
	cr_assert_eq(confine_seccomp_get(dir, json, strlen(json), &a, &hit, NULL), 0);
	cr_assert(!hit);
	cr_assert_eq(confine_seccomp_get(dir, json, strlen(json), &b, &hit, NULL), 0);
	cr_assert(hit);
	cr_assert_eq(a.n, b.n);
	cr_assert_eq(memcmp(a.filter, b.filter, a.n * 8), 0);
	cr_assert_eq(a.flags, b.flags);
	confine_seccomp_done(&b);
	/* open to others: not trusted */
	cr_assert_eq(chmod(dir, 0755), 0);
	cr_assert_eq(confine_seccomp_get(dir, json, strlen(json), &b, &hit, NULL), 0);
	cr_assert(!hit);
	confine_seccomp_done(&a);
	confine_seccomp_done(&b);
	{
		pid_t pid = fork();

		if (pid == 0)
			_exit(execl("/bin/rm", "rm", "-rf", base, (char *)NULL));
		(void)waitpid(pid, NULL, 0);
	}
}
