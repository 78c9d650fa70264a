#include "base/utf8.h"

#include <stdint.h>

size_t utf8_length(const char *s, size_t len)
{
	const unsigned char *p = (const unsigned char *)s;
	unsigned char low = 0x80, high = 0xbf;
	size_t n;

	if (p[0] < 0x80)
		return 1;
	if (p[0] < 0xc2 || p[0] > 0xf4)
		return 0;
	n = p[0] < 0xe0 ? 2 : p[0] < 0xf0 ? 3 : 4;
	if (n > len)
		return 0;
	if (p[0] == 0xe0)
		low = 0xa0; /* shorter forms exist */
	else if (p[0] == 0xed)
		high = 0x9f; /* surrogates */
	else if (p[0] == 0xf0)
		low = 0x90;
	else if (p[0] == 0xf4)
		high = 0x8f; /* beyond U+10FFFF */
	for (size_t i = 1; i < n; i++, low = 0x80, high = 0xbf) {
		if (p[i] < low || p[i] > high)
			return 0;
	}
	return n;
}

void utf8_clean(char *text)
{
	for (size_t n; *text; text += n) {
		n = utf8_length(text, SIZE_MAX);
		if (n == 0) {
			*text = '?';
			n = 1;
		}
	}
}
