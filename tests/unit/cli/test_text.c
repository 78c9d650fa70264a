/* Names as text: exact whatever the bytes are. */
#include "cli/text.h"

#include <criterion/criterion.h>
#include "base/cleanup.h"
#include "base/macro.h"

Test(cli_text, writes_what_is_no_printable_text_as_bytes)
{
	static const struct {
		const char *bytes, *text;
	} table[] = {
		{"/a/b", "/a/b"},
		{"a\nb\t\x7f", "a\\x0ab\\x09\\x7f"},
		{"a\\x0a", "a\\\\x0a"},
		{"\xc3\xb6\xe2\x82\xac\xf0\x9f\x98\x80", "\xc3\xb6\xe2\x82\xac\xf0\x9f\x98\x80"},
		{"\xc2\x9b", "\\xc2\\x9b"},          /* CSI, which a terminal obeys */
		{"\xc0\xaf", "\\xc0\\xaf"},          /* overlong */
		{"\xed\xa0\x80", "\\xed\\xa0\\x80"}, /* a surrogate */
		{"\xf4\x90\x80\x80", "\\xf4\\x90\\x80\\x80"},
		{"\xe2\x82", "\\xe2\\x82"}, /* cut off */
		{"\xff", "\\xff"},
	};

	for (size_t i = 0; i < ARRAY_LEN(table); i++) {
		_cleanup_free_ char *text = text_escape(table[i].bytes);

		cr_expect_str_eq(text, table[i].text);
	}
}
