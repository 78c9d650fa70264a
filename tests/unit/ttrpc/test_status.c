#include "ttrpc/status.h"

#include <criterion/criterion.h>

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
