#include "ttrpc/status.h"

#include "base/macro.h"

/* In both directions the first line that fits counts. */
static const struct {
	int32_t code;
	enum err_kind kind;
} table[] = {
	{0, ERR_NONE},
	{1, ERR_CANCELED},
	{2, ERR_UNKNOWN},
	{3, ERR_INVALID},
	{4, ERR_DEADLINE},
	{5, ERR_NOT_FOUND},
	{6, ERR_EXISTS},
	{7, ERR_PERMISSION},
	{8, ERR_EXHAUSTED},
	{9, ERR_PRECONDITION},
	{12, ERR_UNIMPLEMENTED},
	{13, ERR_INTERNAL},
	{14, ERR_UNAVAILABLE},
	/* received only: aborted, out of range, data loss, unauthenticated */
	{10, ERR_UNAVAILABLE},
	{11, ERR_INVALID},
	{15, ERR_INTERNAL},
	{16, ERR_PERMISSION},
};

int32_t ttrpc_status_code(enum err_kind kind)
{
	size_t i;

	for (i = 0; i < ARRAY_LEN(table); i++)
		if (table[i].kind == kind)
			return table[i].code;
	return 2;
}

enum err_kind ttrpc_status_kind(int32_t code)
{
	size_t i;

	for (i = 0; i < ARRAY_LEN(table); i++)
		if (table[i].code == code)
			return table[i].kind;
	return ERR_UNKNOWN;
}
