#include "base/clock.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>

struct timespec clock_wall(void)
{
	struct timespec ts;
	int r = clock_gettime(CLOCK_REALTIME, &ts);

	assert(r == 0);
	return ts;
}

struct date {
	int64_t year;
	unsigned month, day;
};

/*
 * The civil date of a day since 1970-01-01. Years are counted from March, so that the leap day is
 * the last of its year; 146097 days are the 400 years after which the calendar repeats itself
 * (Hinnant, "chrono-compatible low-level date algorithms").
 */
static struct date date_of(int64_t days)
{
	enum { DAYS_OF_ERA = 146097, FROM_MARCH_OF_YEAR_0 = 719468 };
	int64_t shifted = days + FROM_MARCH_OF_YEAR_0;
	int64_t era = (shifted >= 0 ? shifted : shifted - (DAYS_OF_ERA - 1)) / DAYS_OF_ERA;
	unsigned day = (unsigned)(shifted - era * DAYS_OF_ERA);
	unsigned year = (day - day / 1460 + day / 36524 - day / 146096) / 365;
	unsigned of_year = day - (365 * year + year / 4 - year / 100);
	unsigned month = (5 * of_year + 2) / 153;

	return (struct date) {
		.year = era * 400 + year + (month >= 10),
		.month = month < 10 ? month + 3 : month - 9,
		.day = of_year - (153 * month + 2) / 5 + 1,
	};
}

void clock_text(time_t t, char ret[CLOCK_TEXT_SIZE])
{
	enum { DAY = 24 * 60 * 60 };
	int64_t seconds = t % DAY, days = t / DAY;
	struct date date;

	if (seconds < 0) {
		seconds += DAY;
		days--;
	}
	date = date_of(days);
	(void)snprintf(ret, CLOCK_TEXT_SIZE, "%04" PRId64 "-%02u-%02uT%02u:%02u:%02uZ", date.year,
		date.month, date.day, (unsigned)(seconds / 3600), (unsigned)(seconds / 60 % 60),
		(unsigned)(seconds % 60));
}

uint64_t clock_boot_usec(void)
{
	struct timespec ts;
	int r = clock_gettime(CLOCK_BOOTTIME, &ts);

	assert(r == 0);
	return (uint64_t)ts.tv_sec * USEC_PER_SEC + (uint64_t)ts.tv_nsec / 1000U;
}
