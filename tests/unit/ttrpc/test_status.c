#include "ttrpc/status.h"

#include <criterion/criterion.h>
#include <stdio.h>

Test(ttrpc_status, maps_every_kind_to_grpcs_code_and_back)
{
	static const struct {
		enum err_kind kind;
		int32_t code;
	} expected[] = {{ERR_NONE, 0}, {ERR_CANCELED, 1}, {ERR_UNKNOWN, 2}, {ERR_INVALID, 3},
		{ERR_DEADLINE, 4}, {ERR_NOT_FOUND, 5}, {ERR_EXISTS, 6}, {ERR_PERMISSION, 7},
		{ERR_EXHAUSTED, 8}, {ERR_PRECONDITION, 9}, {ERR_UNIMPLEMENTED, 12},
		{ERR_INTERNAL, 13}, {ERR_UNAVAILABLE, 14}};
	size_t i;

	cr_assert_eq(ARRAY_LEN(expected), _ERR_KIND_MAX);
	for (i = 0; i < ARRAY_LEN(expected); i++) {
		cr_assert_eq(ttrpc_status_code(expected[i].kind), expected[i].code);
		cr_assert_eq(ttrpc_status_kind(expected[i].code), expected[i].kind);
	}
	cr_assert_eq(ttrpc_status_code((enum err_kind)4711), 2);
	cr_assert_eq(ttrpc_status_kind(99), ERR_UNKNOWN);
	cr_assert_eq(ttrpc_status_kind(-1), ERR_UNKNOWN);
	cr_assert_eq(ttrpc_status_kind(16), ERR_PERMISSION);
}

Test(ttrpc_status, leaves_utf8_alone_and_replaces_what_is_not)
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
		ttrpc_status_clean(text);
		cr_assert_str_eq(text, table[i][1]);
	}
}
