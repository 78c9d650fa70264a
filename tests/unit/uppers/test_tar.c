/* The records of a tar: exact whatever the bytes are. */
#include "uppers/tar.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/cleanup.h"

/* A record's length counts its own digits: the lengths around 100 and 1000 are where it goes wrong.
 */
Test(uppers_tar, writes_records_whose_length_is_their_own)
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
