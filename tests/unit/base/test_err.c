#include "base/err.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>

Test(base_err, says_kind_text_and_errno)
{
	struct err err = ERR_INIT;

	cr_assert_eq(
		err_setf(&err, ERR_INVALID, EINVAL, "process.cwd: %s", "not absolute"), -EINVAL);
	cr_assert_eq(err.kind, ERR_INVALID);
	cr_assert_str_eq(err.text, "process.cwd: not absolute");
}

Test(base_err, names_the_system_error_and_derives_the_kind)
{
	struct err err = ERR_INIT;

	cr_assert_eq(err_sysf(&err, ENOENT, "/nowhere"), -ENOENT);
	cr_assert_eq(err.kind, ERR_NOT_FOUND);
	cr_assert_str_eq(err.text, "/nowhere: No such file or directory");
}

Test(base_err, wraps_what_was_being_done_before_the_text)
{
	struct err err = ERR_INIT;

	(void)err_sysf(&err, EPERM, "setns");
	cr_assert_eq(err_wrapf(&err, "container %s", "c1"), -EPERM);
	cr_assert_str_eq(err.text, "container c1: setns: Operation not permitted");
}

Test(base_err, accepts_null_and_cuts_long_texts)
{
	struct err err = ERR_INIT;
	char big[3 * ERR_TEXT_MAX];

	memset(big, 'x', sizeof(big));
	big[sizeof(big) - 1] = '\0';
	cr_assert_eq(err_setf(NULL, ERR_INVALID, ERANGE, "%s", big), -ERANGE);
	(void)err_setf(&err, ERR_INVALID, ERANGE, "%s", big);
	cr_assert_eq(strlen(err.text), ERR_TEXT_MAX - 1);
}

Test(base_err, is_one_line_whatever_is_in_the_values)
{
	struct err err = ERR_INIT;

	(void)err_setf(&err, ERR_INVALID, EINVAL, "cwd: \"%s\"", "a\nb\tc\x7f\xc3\xa9");
	cr_assert_str_eq(err.text, "cwd: \"a?b?c?\xc3\xa9\"");
	(void)err_wrapf(&err, "x\r");
	cr_assert(strncmp(err.text, "x?: cwd", 7) == 0);
	(void)err_sysf(&err, ENOENT, "a\nb");
	cr_assert_str_eq(err.text, "a?b: No such file or directory");
}
