#include "store/record.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/cleanup.h"
#include "base/file.h"
#include "base/macro.h"
#include "base/str.h"

static char dir[] = "/tmp/reaper-record-XXXXXX";
static int dirfd_ = -1;

static void make_dir(void)
{
	cr_assert_not_null(mkdtemp(dir));
	dirfd_ = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	cr_assert_geq(dirfd_, 0);
}

static void remove_dir(void)
{
	(void)unlinkat(dirfd_, STORE_RECORD_NAME, 0);
	cr_assert_eq(rmdir(dir), 0, "a temporary file was left in %s", dir);
	(void)close(dirfd_);
}

TestSuite(store_record, .init = make_dir, .fini = remove_dir);

static void put(const char *text)
{
	cr_assert_eq(file_replace_at(dirfd_, STORE_RECORD_NAME, text, strlen(text), 0600, NULL), 0);
}

static void boot_id(char *text, size_t size)
{
	_cleanup_free_ char *id = NULL;

	cr_assert_eq(
		file_read_at(AT_FDCWD, "/proc/sys/kernel/random/boot_id", 100, &id, NULL, NULL), 0);
	id[strcspn(id, "\n")] = '\0';
	(void)snprintf(text, size, "%s", id);
}

Test(store_record, comes_back_as_it_was_written)
{
	char *cgroups[] = {(char *)"/sys/fs/cgroup/a/b", (char *)"/sys/fs/cgroup/cpu/a/b", NULL};
	const struct store_record in = {
		.id = (char *)"c1",
		.ns = (char *)"k8s.io",
		.group = (char *)"pod",
		.runtime_version = (char *)"0.1.0",
		.sandbox = true,
		.own_pidns = true,
		.init_pid = 4711,
		.init_start_ticks = UINT64_MAX,
		.loggers = (struct store_process[]) {{4712, 5}, {4713, UINT64_MAX}},
		.n_loggers = 2,
		.cgroups = cgroups,
		.created = {1700000000, 999999999},
		.exited = true,
		.exit_status = 137,
		.exited_at = {1700000001, 0},
	};
	_cleanup_(store_record_done) struct store_record out = STORE_RECORD_INIT;
	struct err err = ERR_INIT;
	struct stat st;

	cr_assert_eq(store_record_write(dirfd_, &in, &err), 0, "%s", err.text);
	cr_assert_eq(fstatat(dirfd_, STORE_RECORD_NAME, &st, 0), 0);
	cr_assert_eq(st.st_mode & 07777, 0600);
	cr_assert_eq(store_record_read(dirfd_, &out, &err), 0, "%s", err.text);
	cr_assert_str_eq(out.id, "c1");
	cr_assert_str_eq(out.ns, "k8s.io");
	cr_assert_str_eq(out.group, "pod");
	cr_assert_str_eq(out.runtime_version, "0.1.0");
	cr_assert(out.sandbox && out.own_pidns && out.exited);
	cr_assert_eq(out.init_pid, 4711);
	cr_assert_eq(out.init_start_ticks, UINT64_MAX);
	cr_assert_eq(out.n_loggers, 2);
	cr_assert(out.loggers[0].pid == 4712 && out.loggers[0].start_ticks == 5);
	cr_assert(out.loggers[1].pid == 4713 && out.loggers[1].start_ticks == UINT64_MAX);
	cr_assert_eq(strv_len(out.cgroups), 2);
	cr_assert_str_eq(out.cgroups[1], "/sys/fs/cgroup/cpu/a/b");
	cr_assert_eq(out.created.tv_sec, 1700000000);
	cr_assert_eq(out.created.tv_nsec, 999999999);
	cr_assert_eq(out.exit_status, 137);
	cr_assert_eq(out.exited_at.tv_sec, 1700000001);
	store_record_done(&out);
	store_record_done(NULL);
}

Test(store_record, is_whole_for_whoever_reads_while_it_is_written)
{
	struct store_record record = {.id = (char *)"a-container-of-a-long-name"};
	_cleanup_close_ int before = -EBADF;
	char text[1024];
	ssize_t n;

	cr_assert_eq(store_record_write(dirfd_, &record, NULL), 0);
	before = openat(dirfd_, STORE_RECORD_NAME, O_RDONLY | O_CLOEXEC);
	cr_assert_geq(before, 0);
	record.id = (char *)"b";
	cr_assert_eq(store_record_write(dirfd_, &record, NULL), 0);
	/* a reader has the old one or the new one, never some of both */
	n = read(before, text, sizeof(text) - 1);
	cr_assert_gt(n, 0);
	text[n] = '\0';
	cr_assert_not_null(strstr(text, "a-container-of-a-long-name"));
	cr_assert_eq(store_record_parse(text, (size_t)n, &record, NULL), 0);
	store_record_done(&record);
}

Test(store_record, may_be_nearly_empty)
{
	const struct store_record in = STORE_RECORD_INIT;
	_cleanup_(store_record_done) struct store_record out = STORE_RECORD_INIT;

	cr_assert_eq(store_record_write(dirfd_, &in, NULL), 0);
	cr_assert_eq(store_record_read(dirfd_, &out, NULL), 0);
	cr_assert_null(out.id);
	cr_assert_null(out.cgroups);
	cr_assert_eq(out.init_pid, 0);
	cr_assert(!out.exited);
	put("{}");
	cr_assert_eq(store_record_read(dirfd_, &out, NULL), 0);
	put("{\"version\":1,\"id\":\"x\",\"later\":{\"a\":[1]}}");
	cr_assert_eq(store_record_read(dirfd_, &out, NULL), 0);
	cr_assert_str_eq(out.id, "x");
}

Test(store_record, refuses_what_is_no_record_or_is_too_new)
{
	static const struct {
		const char *text;
		enum err_kind kind;
		const char *error;
	} table[] = {
		{"", ERR_INVALID, "reaper.json: the text ends in the middle, after 0 bytes"},
		{"{\"id\":\"c", ERR_INVALID,
			"reaper.json: the text ends in the middle, after 8 bytes"},
		{"[]", ERR_INVALID, "reaper.json: expected an object at the top"},
		{"{\"version\":2}", ERR_UNIMPLEMENTED,
			"reaper.json: version 2, this program knows up to 1: it was written by a "
			"newer Reaper"},
		{"{\"version\":\"1\"}", ERR_INVALID,
			"reaper.json: version: expected a whole number, got a string"},
	};
	struct store_record out = STORE_RECORD_INIT;
	struct err err = ERR_INIT;

	cr_assert_eq(store_record_read(dirfd_, &out, &err), -ENOENT);
	cr_assert_eq(err.kind, ERR_NOT_FOUND);
	for (size_t i = 0; i < ARRAY_LEN(table); i++) {
		err = (struct err)ERR_INIT;
		put(table[i].text);
		cr_expect_lt(store_record_read(dirfd_, &out, &err), 0, "%s", table[i].text);
		cr_expect_str_eq(err.text, table[i].error);
		cr_expect_eq(err.kind, table[i].kind);
		cr_expect_null(out.id);
	}
}

Test(store_record, gives_what_can_be_read_of_a_damaged_one)
{
	static const struct {
		const char *member, *error;
	} table[] = {
		{"\"namespace\":7", "reaper.json: namespace: expected a string, got a number"},
		{"\"sandbox\":\"yes\"",
			"reaper.json: sandbox: expected true or false, got a string"},
		{"\"init\":[]", "reaper.json: init: expected an object, got an array"},
		{"\"init\":{\"pid\":-1}",
			"reaper.json: init.pid: -1 is not between 1 and 2147483647"},
		{"\"init\":{\"pid\":0}",
			"reaper.json: init.pid: 0 is not between 1 and 2147483647"},
		{"\"init\":{\"pid\":5,\"startTicks\":\"x\"}",
			"reaper.json: init.startTicks: expected a whole number, got a string"},
		{"\"cgroups\":[\"/a\",\"b\"]",
			"reaper.json: cgroups[1]: \"b\": not a plain absolute path"},
		{"\"cgroups\":[\"/a\",\"/b/../c\"]",
			"reaper.json: cgroups[1]: \"/b/../c\": not a plain absolute path"},
		{"\"cgroups\":[\"/\",\"/a\"]",
			"reaper.json: cgroups[0]: \"/\": not a plain absolute path"},
		{"\"created\":{\"sec\":1,\"nsec\":1000000000}",
			"reaper.json: created.nsec: 1000000000 is not between 0 and 999999999"},
		{"\"exit\":{\"status\":-1}",
			"reaper.json: exit.status: -1 is not between 0 and 4294967295"},
	};

	for (size_t i = 0; i < ARRAY_LEN(table); i++) {
		_cleanup_(store_record_done) struct store_record out = STORE_RECORD_INIT;
		struct err err = ERR_INIT;
		char text[256];

		(void)snprintf(
			text, sizeof(text), "{\"id\":\"c1\",%s,\"group\":\"g\"}", table[i].member);
		put(text);
		cr_expect_eq(store_record_read(dirfd_, &out, &err), STORE_RECORD_PARTIAL);
		cr_expect_str_eq(err.text, table[i].error);
		cr_expect_str_eq(out.id, "c1");
		cr_expect_str_eq(out.group, "g");
		cr_expect_eq(out.init_pid, 0);
		cr_expect(!out.exited);
		if (strstr(table[i].member, "cgroups")) {
			cr_expect_eq(strv_len(out.cgroups), 1);
			cr_expect_str_eq(out.cgroups[0], "/a");
		}
		store_record_done(&out);
		cr_expect_eq(store_record_read(dirfd_, &out, NULL), STORE_RECORD_PARTIAL);
	}
}

Test(store_record, believes_a_pid_only_of_this_boot_and_with_its_start_time)
{
	_cleanup_(store_record_done) struct store_record out = STORE_RECORD_INIT;
	char boot[64], text[256];

	boot_id(boot, sizeof(boot));
	(void)snprintf(text, sizeof(text),
		"{\"init\":{\"pid\":5,\"startTicks\":6,\"bootId\":\"%s\"}}", boot);
	put(text);
	cr_assert_eq(store_record_read(dirfd_, &out, NULL), 0);
	cr_assert_eq(out.init_pid, 5);
	cr_assert_eq(out.init_start_ticks, 6);
	put("{\"init\":{\"pid\":5,\"startTicks\":6,\"bootId\":\"another\"}}");
	cr_assert_eq(store_record_read(dirfd_, &out, NULL), 0);
	cr_assert_eq(out.init_pid, 0);
	(void)snprintf(text, sizeof(text), "{\"init\":{\"pid\":5,\"bootId\":\"%s\"}}", boot);
	put(text);
	cr_assert_eq(store_record_read(dirfd_, &out, NULL), 0);
	cr_assert_eq(out.init_pid, 0);
}

Test(store_record, bounds_cgroups_and_size)
{
	_cleanup_strv_ char **cgroups = NULL;
	static char big[STORE_RECORD_MAX + 2];
	struct store_record in = STORE_RECORD_INIT;
	struct err err = ERR_INIT;

	for (int i = 0; i <= STORE_CGROUPS_MAX; i++)
		cr_assert_eq(strv_append(&cgroups, "/x"), 0);
	in.cgroups = cgroups;
	cr_assert_lt(store_record_write(dirfd_, &in, &err), 0);
	cr_assert_str_eq(err.text, "record: more than 16 cgroups");
	memset(big, ' ', sizeof(big) - 1);
	put(big);
	cr_assert_lt(store_record_read(dirfd_, &in, &err), 0);
	cr_assert(strstr(err.text, "larger than the limit of 262144 bytes"), "%s", err.text);
}
