/*
 * What assert() calls when one of our own rules does not hold, in place of libc's: the line goes to
 * the log, where somebody reads it (a shim's stderr is nowhere), and libc's version does not come
 * along. It prints to wide streams, too, and brings all of wide printf into a static program: 30 kB
 * with glibc 2.41.
 *
 * The name and the arguments are those of the Linux Standard Base, which glibc and musl follow.
 */
#include <assert.h>
#include <stdbool.h>
#include <stdlib.h>
#include "base/log.h"

void __assert_fail(const char *assertion, const char *file, unsigned int line, const char *function)
{
	static bool failing; /* the log asserts, too */

	if (!failing) {
		failing = true;
		log_error("%s:%u: %s: assertion failed: %s", file, line, function, assertion);
	}
	abort();
}
