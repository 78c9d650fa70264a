/* What a workload's process has from its spec, and what it does not have from its caller. */
#include <criterion/criterion.h>
#include <fcntl.h>
#include <grp.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/personality.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>
#include "base/macro.h"
#include "base/str.h"
#include "unit/runtime/bundle.h"

/* Everything that a unit of containerd's may say. */
static void become_a_strange_caller(void)
{
	struct rlimit files = {77, 4000}, core = {1, 1000};
	const gid_t groups[] = {0, 6, 33};
	sigset_t block;
	cpu_set_t one;

	(void)umask(0077);
	cr_assert_eq(setenv("NOTIFY_SOCKET", "/run/secret", 1), 0);
	cr_assert_eq(setenv("TTRPC_ADDRESS", "/run/secret", 1), 0);
	cr_assert_eq(setenv("REAPER_EXIT_GRACE", "1s", 1), 0);
	cr_assert_eq(setgroups(ARRAY_LEN(groups), groups), 0);
	cr_assert_eq(setpriority(PRIO_PROCESS, 0, 7), 0);
	cr_assert_eq(syscall(SYS_ioprio_set, 1, 0, 3 << 13), 0);
	cr_assert_eq(setrlimit(RLIMIT_NOFILE, &files), 0);
	cr_assert_eq(setrlimit(RLIMIT_CORE, &core), 0);
	CPU_ZERO(&one);
	CPU_SET(0, &one);
	cr_assert_eq(sched_setaffinity(0, sizeof(one), &one), 0);
	cr_assert_eq(prctl(PR_SET_TIMERSLACK, 123456, 0, 0, 0), 0);
	cr_assert_neq(personality(ADDR_NO_RANDOMIZE), -1);
	cr_assert_neq(signal(SIGTERM, SIG_IGN), SIG_ERR);
	cr_assert_neq(signal(SIGUSR1, SIG_IGN), SIG_ERR);
	sigemptyset(&block);
	sigaddset(&block, SIGHUP);
	cr_assert_eq(sigprocmask(SIG_BLOCK, &block, NULL), 0);
	cr_assert_eq(chdir("/tmp"), 0);
}

Test(runtime_attributes, nothing_is_inherited_from_the_caller)
{
	struct run r;

	own_host();
	become_a_strange_caller();
	cr_expect_str_eq(shell(&r, (struct bundle) {0},
				 "env | sort; pwd; umask; nice; ionice; cat /proc/self/personality "
				 "/proc/self/timerslack_ns; ulimit -Sn; ulimit -Sc; grep -E "
				 "'^(SigBlk|SigIgn|Groups)' /proc/self/status | tr -d '\\\\t '"),
		"HOME=/root\nPATH=/usr/sbin:/usr/bin:/sbin:/bin\nPWD=/\n/\n0022\n0\n"
		"none: prio 0\n00000000\n50000\n1024\n0\nGroups:\nSigBlk:0000000000000000\n"
		"SigIgn:0000000000000000\n");
	/* more than the one CPU, if there are more */
	shell(&r, (struct bundle) {0}, "nproc");
	cr_expect(atol(r.text) > 1 || sysconf(_SC_NPROCESSORS_ONLN) == 1, "%s", r.text);
}

Test(runtime_attributes, limits_are_raised_back_as_far_as_this_process_may)
{
	struct run r;

	own_host();
	become_a_strange_caller();
	/* 524288 with CAP_SYS_RESOURCE, else what the caller's hard limit leaves */
	shell(&r, (struct bundle) {0}, "ulimit -Hn");
	cr_expect(str_eq(r.text, "524288\n") || str_eq(r.text, "4000\n"), "%s", r.text);
	shell(&r,
		(struct bundle) {.process = "\"rlimits\":[{\"type\":\"RLIMIT_NOFILE\",\"soft\":50,"
					    "\"hard\":60}],"},
		"ulimit -Sn; ulimit -Hn; ulimit -Sc");
	cr_expect_str_eq(r.text, "50\n60\n0\n");
}

Test(runtime_attributes, scheduling_is_the_specs)
{
	struct run r;

	own_host();
	shell(&r,
		(struct bundle) {
			.process = "\"scheduler\":{\"policy\":\"SCHED_BATCH\",\"nice\":5,\"flags\":"
				   "[\"SCHED_FLAG_RESET_ON_FORK\"]},"
				   "\"ioPriority\":{\"class\":\"IOPRIO_CLASS_IDLE\",\"priority\":0}"
				   ",",
			.linux_part = "\"personality\":{\"domain\":\"LINUX32\"},"},
		"chrt -p $$ | grep -o SCHED_.*; nice; ionice -p $$; cat /proc/self/personality");
	cr_expect_str_eq(r.text, "SCHED_BATCH|SCHED_RESET_ON_FORK\n5\nidle\n00000008\n");
}

static void refused(struct bundle b, const char *text)
{
	struct run r;

	b.dir = BUNDLE;
	b.args = "\"/bin/true\"";
	(void)run_all(&b, &r);
	cr_expect_not(r.ready);
	cr_expect(strstr(r.err.text, text), "%s", r.err.text);
}

Test(runtime_attributes, words_that_linux_does_not_have_are_refused_by_name)
{
	own_host();
	refused((struct bundle) {.process = "\"scheduler\":{\"policy\":\"SCHED_ISO\"},"},
		"process.scheduler: scheduling policy SCHED_ISO: unknown");
	refused((struct bundle) {.process = "\"scheduler\":{\"policy\":\"SCHED_OTHER\",\"flags\":["
					    "\"SCHED_FLAG_X\"]},"},
		"process.scheduler: scheduling flag SCHED_FLAG_X: unknown");
	refused((struct bundle) {.process = "\"ioPriority\":{\"class\":\"IOPRIO_CLASS_X\"},"},
		"process.ioPriority: I/O class IOPRIO_CLASS_X: unknown");
	refused((struct bundle) {.process = "\"execCPUAffinity\":{\"final\":\"1-0\"},"},
		"process.execCPUAffinity: \"1-0\": not a list of CPUs");
	refused((struct bundle) {.linux_part = "\"personality\":{\"domain\":\"BSD\"},"},
		"linux.personality: execution domain BSD: unknown");
}

/* An exec with a process object of these members; what it wrote in r->text. */
static void exec_in(
	const struct run *target, const char *members, const char *script, struct run *r)
{
	const struct bundle b = {.dir = BUNDLE};
	char *process;

	cr_assert_eq(str_printf(&process,
			     "{%s\"args\":[\"/bin/sh\",\"-c\",\"%s\"],\"env\":[\"PATH=/usr/bin:/"
			     "bin\"],\"cwd\":\"/\"}",
			     members, script),
		0);
	run_exec(&b, target, process, r);
	free(process);
	cr_expect(r->ready, "%s", r->err.text);
	run_start(r);
	run_finish(r);
}

Test(runtime_attributes, what_an_exec_does_not_say_is_its_containers)
{
	const struct bundle b = {.dir = BUNDLE,
		.args = "\"/bin/sleep\",\"1000\"",
		.process = "\"user\":{\"uid\":1000,\"gid\":1000,\"umask\":63},"
			   "\"scheduler\":{\"policy\":\"SCHED_BATCH\"},"
			   "\"ioPriority\":{\"class\":\"IOPRIO_CLASS_BE\",\"priority\":6},"
			   "\"execCPUAffinity\":{\"initial\":\"0\",\"final\":\"0\"},"
			   "\"rlimits\":[{\"type\":\"RLIMIT_NOFILE\",\"soft\":50,\"hard\":60}],"};
	static const char script[] =
		"id -u; id -G; umask; chrt -p $$ | grep -o SCHED_.*; ionice; ulimit -Sn; nproc; "
		"grep -E '^(CapEff|CapBnd|NoNewPrivs)' /proc/self/status | tr -d '\\\\t '";
	struct run r, e;

	own_host();
	become_a_strange_caller();
	bundle_write(&b);
	run_create(&b, &r);
	cr_assert(r.ready, "%s", r.err.text);
	run_start(&r);
	/* the user is the exec's alone: containerd copies the container's into it */
	exec_in(&r, "\"user\":{\"uid\":1000,\"gid\":1000},", script, &e);
	cr_expect_str_eq(e.text,
		"1000\n1000\n0077\nSCHED_BATCH\nbest-effort: prio 6\n50\n1\n"
		"CapEff:0000000000000000\nCapBnd:00000000080000e3\nNoNewPrivs:1\n");
	exec_in(&r,
		"\"user\":{\"uid\":7,\"gid\":8,\"additionalGids\":[9]},\"capabilities\":{"
		"\"bounding\":[\"CAP_CHOWN\"]},\"execCPUAffinity\":{\"final\":\"0-63\"},"
		"\"rlimits\":[{\"type\":\"RLIMIT_NOFILE\",\"soft\":40,\"hard\":60}],",
		"id -u; id -G; ulimit -Sn; grep CapBnd /proc/self/status | tr -d '\\\\t '", &e);
	cr_expect_str_eq(e.text, "7\n8 9\n40\nCapBnd:0000000000000001\n");
	(void)proc_signal(&r.proc, SIGKILL);
	run_finish(&r);
}
