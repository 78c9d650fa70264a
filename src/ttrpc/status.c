#include "ttrpc/status.h"

#include <stdbool.h>

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

/* Bytes of the well-formed character at `p` (Unicode 15, table 3-7), 0 if there is none. */
static size_t character(const unsigned char *p)
{
	unsigned char low = 0x80, high = 0xbf;
	size_t n, i;

	if (p[0] < 0x80)
		return 1;
	if (p[0] < 0xc2 || p[0] > 0xf4)
		return 0;
	n = p[0] < 0xe0 ? 2 : p[0] < 0xf0 ? 3 : 4;
	if (p[0] == 0xe0)
		low = 0xa0; /* shorter forms exist */
	else if (p[0] == 0xed)
		high = 0x9f; /* surrogates */
	else if (p[0] == 0xf0)
		low = 0x90;
	else if (p[0] == 0xf4)
		high = 0x8f; /* beyond U+10FFFF */
	for (i = 1; i < n; i++, low = 0x80, high = 0xbf)
		if (p[i] < low || p[i] > high)
			return 0;
	return n;
}

void ttrpc_status_clean(char *text)
{
	unsigned char *p = (unsigned char *)text;

	while (*p) {
		size_t n = character(p);

		if (n == 0) {
			*p = '?';
			n = 1;
		}
		p += n;
	}
}
