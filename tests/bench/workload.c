/*
 * What the measured containers run.
 *
 *	workload stamp             prints CLOCK_MONOTONIC in ns as soon as it runs, and ends
 *	workload bye               waits for the end of its stdin, prints the time and ends
 *	workload lines RATE COUNT  writes COUNT lines of 100 bytes, each its own write, RATE a second
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { LINE = 100 };

static int stamp(void)
{
	char text[32];
	struct timespec t;
	int n;

	(void)clock_gettime(CLOCK_MONOTONIC, &t);
	n = snprintf(text, sizeof(text), "%lld\n", (long long)t.tv_sec * 1000000000LL + t.tv_nsec);
	return write(STDOUT_FILENO, text, (size_t)n) != n;
}

static int bye(void)
{
	char byte;

	while (read(STDIN_FILENO, &byte, 1) > 0)
		;
	return stamp();
}

static int lines(long rate, long count)
{
	char line[LINE];
	struct timespec next;

	if (rate < 1)
		return 2;
	memset(line, 'x', sizeof(line));
	line[sizeof(line) - 1] = '\n';
	(void)clock_gettime(CLOCK_MONOTONIC, &next);
	for (long i = 0; i < count; i++) {
		next.tv_nsec += 1000000000L / rate;
		if (next.tv_nsec >= 1000000000L) {
			next.tv_nsec -= 1000000000L;
			next.tv_sec++;
		}
		(void)clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &next, NULL);
		if (write(STDOUT_FILENO, line, sizeof(line)) != sizeof(line))
			return 1;
	}
	return 0;
}

int main(int argc, char **argv)
{
	if (argc == 2 && strcmp(argv[1], "stamp") == 0)
		return stamp();
	if (argc == 2 && strcmp(argv[1], "bye") == 0)
		return bye();
	if (argc == 4 && strcmp(argv[1], "lines") == 0)
		return lines(strtol(argv[2], NULL, 10), strtol(argv[3], NULL, 10));
	return 2;
}
