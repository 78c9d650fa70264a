#include "cli/text.h"

#include <stdint.h>
#include "base/buf.h"
#include "base/utf8.h"

char *text_escape(const char *bytes)
{
	struct buf b = BUF_INIT(1 << 20);
	int r = buf_append_str(&b, "");

	for (const unsigned char *s = (const unsigned char *)bytes; *s && r == 0;) {
		size_t n = utf8_length((const char *)s, SIZE_MAX);
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
