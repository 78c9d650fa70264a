#include "operate/running.h"

#include <criterion/criterion.h>
#include "base/macro.h"

Test(running, ages)
{
	static const struct {
		int64_t seconds;
		const char *expected;
	} cases[] = {{-5, "0s"}, {0, "0s"}, {119, "119s"}, {120, "2m"}, {7199, "119m"},
		{7200, "2h"}, {172799, "47h"}, {172800, "2d"}, {86400000, "1000d"}};
	char text[RUNNING_AGE_SIZE];

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		running_age(cases[i].seconds, text);
		cr_expect_str_eq(text, cases[i].expected);
	}
}

Test(running, bytes)
{
	static const struct {
		uint64_t bytes;
		const char *expected;
	} cases[] = {{0, "0K"}, {1023, "0K"}, {1024, "1K"}, {1048575, "1023K"}, {1048576, "1.0M"},
		{12897485, "12.3M"}, {1610612736, "1.5G"}, {2ULL << 40, "2.0T"},
		{4096ULL << 40, "4096.0T"}};
	char text[RUNNING_BYTES_SIZE];

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		running_bytes(cases[i].bytes, text);
		cr_expect_str_eq(text, cases[i].expected);
	}
}
