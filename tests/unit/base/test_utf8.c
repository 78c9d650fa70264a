#include "base/utf8.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include "base/macro.h"

Test(base_utf8, leaves_utf8_alone_and_replaces_what_is_not)
{
	static const char *const table[][2] = {
		{"", ""},
		{"plain", "plain"},
		{"\xc3\xa9 \xe2\x82\xac \xf0\x9f\x98\x80",
			"\xc3\xa9 \xe2\x82\xac \xf0\x9f\x98\x80"},
		{"\xf4\x8f\xbf\xbf", "\xf4\x8f\xbf\xbf"},
		{"latin \xe9", "latin ?"},
		{"\xff\xfe", "??"},
		{"cut \xe2\x82", "cut ??"},
		{"short form \xc0\xaf", "short form ??"},
		{"\xe0\x9f\xbf", "???"},
		{"surrogate \xed\xa0\x80", "surrogate ???"},
		{"\xf4\x90\x80\x80", "????"},
		{"\xf0\x8f\xbf\xbf", "????"},
		{"\x80z", "?z"},
		{"\xc3(", "?("},
	};
	size_t i;

	for (i = 0; i < ARRAY_LEN(table); i++) {
		char text[64];

		(void)snprintf(text, sizeof(text), "%s", table[i][0]);
		utf8_clean(text);
		cr_assert_str_eq(text, table[i][1]);
	}
}

Test(base_utf8, looks_at_no_more_than_it_may)
{
	cr_expect_eq(utf8_length("\xe2\x82\xac", 3), 3);
	cr_expect_eq(utf8_length("\xe2\x82\xac", 2), 0);
	cr_expect_eq(utf8_length("\xe2", 1), 0);
	cr_expect_eq(utf8_length("", 1), 1, "NUL is a character");
}
