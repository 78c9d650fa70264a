#include "conf/reaper_conf.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/cleanup.h"
#include "base/macro.h"

static int parse(const char *text, struct reaper_conf *conf, struct err *err)
{
	return reaper_conf_parse(text, strlen(text), "f", conf, err);
}

Test(conf_reaper_conf, takes_keys_values_quotes_and_comments_apart)
{
	static const struct {
		const char *text, *key, *value;
	} table[] = {
		{"A=b", "A", "b"},
		{"A=b\n", "A", "b"},
		{"  A=b c  \n", "A", "b c"},
		{"A=b\r\n", "A", "b"},
		{"A=\n", "A", ""},
		{"A=   \n", "A", ""},
		{"A= # nothing\n", "A", ""},
		{"A=#x\n", "A", ""},
		{"A=b # comment\n", "A", "b"},
		{"A=b#c\n", "A", "b#c"},
		{"A=b=c\n", "A", "b=c"},
		{"A=\"b # c\" # d\n", "A", "b # c"},
		{"A=' \"b\" '\n", "A", " \"b\" "},
		{"A=\"\"\n", "A", ""},
		{"_a1=\"x\"\n", "_a1", "x"},
		{"A=\t\n", "A", ""},
		{"A=\xc3\xa9\n", "A", "é"},
	};

	for (size_t i = 0; i < ARRAY_LEN(table); i++) {
		_cleanup_(reaper_conf_done) struct reaper_conf conf = REAPER_CONF_INIT;
		struct err err = ERR_INIT;

		cr_expect_eq(
			parse(table[i].text, &conf, &err), 0, "%s: %s", table[i].text, err.text);
		cr_expect_eq(conf.n, 1);
		if (conf.n != 1)
			continue;
		cr_expect_str_eq(conf.v[0].key, table[i].key);
		cr_expect_str_eq(conf.v[0].value, table[i].value);
		cr_expect_eq(conf.v[0].line, 1);
	}
}

Test(conf_reaper_conf, skips_blank_lines_and_comments_and_counts_lines)
{
	_cleanup_(reaper_conf_done) struct reaper_conf conf = REAPER_CONF_INIT;

	cr_assert_eq(parse("# head\n\n \t\nA=1\n  # B=2\nC=3", &conf, NULL), 0);
	cr_assert_eq(conf.n, 2);
	cr_assert_eq(conf.v[0].line, 4);
	cr_assert_eq(conf.v[1].line, 6);
	cr_assert_str_eq(conf.path, "f");
}

Test(conf_reaper_conf, names_file_and_line_of_what_it_refuses)
{
	static const struct {
		const char *text, *error;
	} table[] = {
		{"\nA\n", "f:2: expected KEY=VALUE: there is no '='"},
		{"=b\n", "f:1: expected KEY=VALUE, or a comment that begins with #"},
		{"1A=b\n", "f:1: expected KEY=VALUE, or a comment that begins with #"},
		{"[section]\n", "f:1: expected KEY=VALUE, or a comment that begins with #"},
		{"\xef\xbb\xbf"
		 "A=b\n",
			"f:1: expected KEY=VALUE, or a comment that begins with #"},
		{"A =b\n", "f:1: expected KEY=VALUE without blanks around the '='"},
		{"A= b\n", "f:1: expected KEY=VALUE without blanks around the '='"},
		{"export A=b\n", "f:1: expected KEY=VALUE without blanks around the '='"},
		{"A-B=b\n", "f:1: expected KEY=VALUE: a key has only letters, digits and '_'"},
		{"A=\"b\n", "f:1: the value has an opening quote and no closing one"},
		{"A='b\"\n", "f:1: the value has an opening quote and no closing one"},
		{"A=\"\n", "f:1: the value has an opening quote and no closing one"},
		{"A=\"b\"c\n", "f:1: text behind the closing quote"},
		{"A=\"b\" c\n", "f:1: text behind the closing quote"},
		{"A=\"b\"#c\n", "f:1: text behind the closing quote"},
		{"A=b\"c\n",
			"f:1: a quote inside the value: put the whole value in quotes of the other "
			"kind"},
		{"A=1\nB=2\nA=3\n", "f:3: A: already set in line 1"},
		{"A=\x01\n", "f:1: a control character is in the line"},
		{"A=b\rc\n", "f:1: a control character is in the line"},
	};

	for (size_t i = 0; i < ARRAY_LEN(table); i++) {
		struct reaper_conf conf = REAPER_CONF_INIT;
		struct err err = ERR_INIT;

		cr_expect_eq(parse(table[i].text, &conf, &err), -EINVAL, "%s", table[i].text);
		cr_expect_str_eq(err.text, table[i].error);
		cr_expect_eq(err.kind, ERR_INVALID);
		cr_expect_null(conf.v);
	}
}

Test(conf_reaper_conf, refuses_a_nul_byte_and_bounds_lines_file_and_assignments)
{
	static char big[CONF_FILE_MAX + 2];
	struct reaper_conf conf = REAPER_CONF_INIT;
	struct err err = ERR_INIT;
	size_t n = 0;

	cr_assert_lt(reaper_conf_parse("A=\0\n", 4, "f", &conf, &err), 0);
	cr_assert_str_eq(err.text, "f:1: a control character is in the line");

	memset(big, 'x', sizeof(big));
	cr_assert_lt(reaper_conf_parse(big, CONF_LINE_MAX + 1, "f", &conf, &err), 0);
	cr_assert_str_eq(err.text, "f:1: the line is too long");
	cr_assert_eq(reaper_conf_parse(big, CONF_FILE_MAX + 1, "f", &conf, &err), -EFBIG);
	cr_assert_str_eq(err.text, "f: larger than 262144 bytes");

	for (int i = 0; i <= CONF_LINES_MAX; i++)
		n += (size_t)snprintf(big + n, sizeof(big) - n, "K%d=1\n", i);
	cr_assert_lt(reaper_conf_parse(big, n, "f", &conf, &err), 0);
	cr_assert_str_eq(err.text, "f:4097: too many assignments");
}

Test(conf_reaper_conf, takes_a_missing_file_for_an_empty_one_and_a_directory_for_an_error)
{
	_cleanup_(reaper_conf_done) struct reaper_conf conf = REAPER_CONF_INIT;
	struct err err = ERR_INIT;

	cr_assert_eq(reaper_conf_load("/nowhere/reaper.conf", &conf, &err), 0);
	cr_assert_eq(conf.n, 0);
	cr_assert_str_eq(conf.path, "/nowhere/reaper.conf");
	reaper_conf_done(&conf);
	reaper_conf_done(&conf);
	cr_assert_lt(reaper_conf_load("/", &conf, &err), 0);
	reaper_conf_done(NULL);
}

Test(conf_reaper_conf, refuses_a_file_that_others_may_change)
{
	_cleanup_(reaper_conf_done) struct reaper_conf conf = REAPER_CONF_INIT;
	char path[] = "/tmp/reaper-conf-XXXXXX";
	struct err err = ERR_INIT;
	int fd = mkstemp(path);

	cr_assert_eq(write(fd, "A=1\n", 4), 4);
	cr_assert_eq(reaper_conf_load(path, &conf, &err), 0, "%s", err.text);
	cr_assert_eq(conf.n, 1);
	reaper_conf_done(&conf);
	cr_assert_eq(fchmod(fd, 0664), 0);
	cr_assert_eq(reaper_conf_load(path, &conf, &err), 0);
	reaper_conf_done(&conf);
	cr_assert_eq(fchmod(fd, 0666), 0);
	cr_assert_lt(reaper_conf_load(path, &conf, &err), 0);
	cr_assert(strstr(err.text, ": everybody may write it: chmod o-w it"), "%s", err.text);
	cr_assert_eq(err.kind, ERR_PRECONDITION);
	cr_assert_eq(fchmod(fd, 0600), 0);
	if (geteuid() == 0) {
		cr_assert_eq(fchown(fd, 12345, -1), 0);
		cr_assert_lt(reaper_conf_load(path, &conf, &err), 0);
		cr_assert(
			strstr(err.text, ": belongs to uid 12345: chown root it"), "%s", err.text);
	}
	(void)unlink(path);
	(void)close(fd);
}
