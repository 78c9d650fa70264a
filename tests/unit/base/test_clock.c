#include "base/clock.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

static void same_as_libc(time_t t)
{
	char ours[CLOCK_TEXT_SIZE], theirs[CLOCK_TEXT_SIZE];
	struct tm tm;

	clock_text(t, ours);
	cr_assert(gmtime_r(&t, &tm));
	cr_assert(strftime(theirs, sizeof(theirs), "%Y-%m-%dT%H:%M:%SZ", &tm) > 0);
	cr_assert_str_eq(ours, theirs);
}

Test(clock, text_of_every_day_of_eight_centuries)
{
	enum { DAY = 24 * 60 * 60, DAYS = 800 * 365 };

	for (int day = -DAYS / 2; day < DAYS / 2; day++)
		same_as_libc((time_t)day * DAY + abs(day) * 7 % DAY);
}

Test(clock, text_around_the_epoch_and_leap_days)
{
	static const time_t times[] = {0, -1, 1, 951782399, 951782400, 951868799, 951868800,
		4107542399, 4107542400, 1764371820};

	for (size_t i = 0; i < sizeof(times) / sizeof(*times); i++)
		same_as_libc(times[i]);
}
