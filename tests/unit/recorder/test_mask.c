#include "recorder/mask.h"

#include <criterion/criterion.h>
#include <string.h>
#include "base/macro.h"

/* The arguments, masked and joined with '|'. */
static void check(const char *const *args, const char *expected)
{
	struct buf b = BUF_INIT(4096);
	bool next = false;

	for (size_t i = 0; args[i]; i++) {
		if (i)
			cr_assert_eq(buf_append_str(&b, "|"), 0);
		cr_assert_eq(mask_argument(args[i], &next, &b), 0);
	}
	cr_expect_str_eq(b.data ? b.data : "", expected);
	buf_done(&b);
}
#define CHECK(expected, ...) check((const char *const[]) {__VA_ARGS__, NULL}, expected)

Test(mask, secrets_are_not_written)
{
	CHECK("mysql|--password=***|db", "mysql", "--password=hunter2 with blanks", "db");
	CHECK("x|--token|***|go", "x", "--token", "abc def", "go");
	CHECK("x|--token|--verbose", "x", "--token", "--verbose");
	CHECK("env|DB_PASSWORD=***|prog", "env", "DB_PASSWORD=a", "prog");
	CHECK("curl|https://me:***@host/a@b", "curl", "https://me:pa:ss@host/a@b");
	CHECK("curl|https://me:***@host", "curl", "https://me:p@ss@host");
	CHECK("curl|-H|Authorization:***", "curl", "-H", "Authorization: Bearer abc");
	CHECK("aws|--secret-access-key|***", "aws", "--secret-access-key", "k");
	CHECK("x|-Dapi_key=***", "x", "-Dapi_key=1");
}

Test(mask, also_inside_a_script)
{
	CHECK("sh|-c|tool --password=*** --fast; export TOKEN=*** && run", "sh", "-c",
		"tool --password='a b' --fast; export TOKEN=zzz && run");
	CHECK("sh|-c|login --password *** host", "sh", "-c", "login --password s3 host");
	CHECK("sh|-c|curl -H \"Authorization:***", "sh", "-c",
		"curl -H \"Authorization: Basic abc\" http://x");
	/* the end of quotes is missing: the rest is the value */
	CHECK("sh|-c|SECRET=***", "sh", "-c", "SECRET='a b");
}

Test(mask, what_is_no_secret_stays)
{
	CHECK("x|--password-file=/etc/pw|--token-path|/run/t", "x", "--password-file=/etc/pw",
		"--token-path", "/run/t");
	CHECK("sleep|600|a=b|http://host:80/x@y|", "sleep", "600", "a=b", "http://host:80/x@y", "");
	CHECK("sh|-c|echo $((1+2)); for i in a b; do :; done", "sh", "-c",
		"echo $((1+2)); for i in a b; do :; done");
}

/* Every byte of an argument that is not masked arrives, whatever its form. */
Test(mask, nothing_else_is_changed)
{
	static const char letters[] = "a \"'=:/@-\\;";
	unsigned seed = 7;

	for (int round = 0; round < 20000; round++) {
		struct buf b = BUF_INIT(4096);
		bool next = false;
		char arg[24];
		size_t n = (size_t)round % (sizeof(arg) - 1);

		for (size_t i = 0; i < n; i++) {
			seed = seed * 1103515245 + 12345;
			arg[i] = letters[(seed >> 16) % (sizeof(letters) - 1)];
		}
		arg[n] = '\0';
		if (!strstr(arg, "://")) {
			cr_assert_eq(mask_argument(arg, &next, &b), 0);
			cr_assert_str_eq(b.data ? b.data : "", arg);
			cr_assert_not(next);
		}
		buf_done(&b);
	}
}
