#include "base/clock.h"

#include <assert.h>

struct timespec clock_wall(void)
{
	struct timespec ts;
	int r = clock_gettime(CLOCK_REALTIME, &ts);

	assert(r == 0);
	return ts;
}

uint64_t clock_boot_usec(void)
{
	struct timespec ts;
	int r = clock_gettime(CLOCK_BOOTTIME, &ts);

	assert(r == 0);
	return (uint64_t)ts.tv_sec * USEC_PER_SEC + (uint64_t)ts.tv_nsec / 1000U;
}
