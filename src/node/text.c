#include "node/text.h"

#include <stddef.h>
#include "base/buf.h"

/* How many bytes the valid UTF-8 sequence at `s` has; 0: none. No overlong forms, no surrogates. */
static size_t sequence(const unsigned char *s)
{
	static const struct {
		unsigned char mask, lead, low, high;
		size_t len;
	} forms[] = {{0xff, 0xe0, 0xa0, 0xbf, 3}, {0xff, 0xed, 0x80, 0x9f, 3},
		{0xff, 0xf0, 0x90, 0xbf, 4}, {0xff, 0xf4, 0x80, 0x8f, 4},
		{0xf0, 0xe0, 0x80, 0xbf, 3}, {0xf8, 0xf0, 0x80, 0xbf, 4},
		{0xe0, 0xc0, 0x80, 0xbf, 2}};

	if (*s < 0x80)
		return 1;
	if (*s < 0xc2 || *s > 0xf4)
		return 0;
	for (size_t i = 0; i < sizeof(forms) / sizeof(*forms); i++) {
		if ((*s & forms[i].mask) != forms[i].lead)
			continue;
		if (s[1] < forms[i].low || s[1] > forms[i].high)
			return 0;
		for (size_t k = 2; k < forms[i].len; k++) {
			if ((s[k] & 0xc0) != 0x80)
				return 0;
		}
		return forms[i].len;
	}
	return 0;
}

char *text_escape(const char *bytes)
{
	struct buf b = BUF_INIT(1 << 20);
	int r = buf_append_str(&b, "");

	for (const unsigned char *s = (const unsigned char *)bytes; *s && r == 0;) {
		size_t n = sequence(s);
		/* C1 control characters are no text either: terminals obey them */
		if (n == 0 || *s < ' ' || *s == 0x7f || (*s == 0xc2 && s[1] < 0xa0)) {
			r = buf_printf(&b, "\\x%02x", *s++);
		} else if (*s == '\\') {
			r = buf_append_str(&b, "\\\\");
			s++;
		} else {
			r = buf_append(&b, s, n);
			s += n;
		}
	}
	if (r == 0)
		return b.data;
	buf_done(&b);
	return NULL;
}
