/* Names as text, and the records of a tar: both must be exact whatever the bytes are. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/cleanup.h"
#include "base/macro.h"
#include "node/tar.h"
#include "node/text.h"

Test(node_text, writes_what_is_no_printable_text_as_bytes)
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

/* A record's length counts its own digits: the lengths around 100 and 1000 are where it goes wrong.
 */
Test(node_tar, writes_records_whose_length_is_their_own)
{
	for (size_t len = 90; len < 1100; len++) {
		_cleanup_free_ char *name = malloc(len + 1), *archive = NULL;
		struct tar_entry e = {.type = '0', .st = {.st_mode = S_IFREG | 0644}};
		size_t size = 0, total;
		FILE *out = open_memstream(&archive, &size);
		char *record, *end;

		memset(name, 'n', len);
		name[len] = '\0';
		e.name = name;
		cr_assert_eq(tar_put_header(out, &e), 0);
		(void)fclose(out);
		if (len <= 100) {
			cr_assert_eq(size, 512U);
			continue;
		}
		cr_assert_eq(archive[156], 'x');
		record = archive + 512;
		total = strtoul(record, &end, 10);
		cr_assert_eq(strncmp(end, " path=", 6), 0);
		cr_assert_eq(record[total - 1], '\n');
		cr_assert_eq((size_t)(record + total - 1 - (end + 6)), len);
		cr_assert_eq(strtoul(archive + 124, NULL, 8), total);
		cr_assert_eq(size, 1024 + (total + 511) / 512 * 512);
	}
}
