#include "cli/child.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>
#include "base/cleanup.h"

Test(cli_child, collects_both_streams_and_the_status)
{
	char *argv[] = {(char *)"sh", (char *)"-c",
		(char *)"cat; echo problem >&2; printf 'x%.0s' $(seq 200000); exit 7", NULL};
	struct child_spec spec = {
		.path = "/bin/sh", .argv = argv, .input = "in\n", .input_len = 3, .timeout_s = 60};
	_cleanup_(child_result_done) struct child_result r = CHILD_RESULT_INIT;
	struct err err = ERR_INIT;

	cr_assert_eq(child_run(&spec, &r, NULL), 0);
	cr_expect_eq(r.status, 7);
	cr_expect_eq(r.out.len, 200003);
	cr_expect_str_eq(child_last_line(&r.err), "problem");
	child_result_done(&r);
	cr_expect_lt(child_must(&spec, &r, &err), 0);
	cr_expect_not_null(strstr(err.text, "status 7: problem"), "%s", err.text);
}

Test(cli_child, ends_a_program_that_takes_too_long)
{
	char *argv[] = {(char *)"sh", (char *)"-c", (char *)"exec sleep 1000", NULL};
	struct child_spec spec = {.path = "/bin/sh", .argv = argv, .timeout_s = 1};
	_cleanup_(child_result_done) struct child_result r = CHILD_RESULT_INIT;

	cr_expect_eq(child_run(&spec, &r, NULL), -ETIMEDOUT);
	spec.path = "/nonexistent";
	cr_expect_eq(child_run(&spec, &r, NULL), -ENOENT);
}
