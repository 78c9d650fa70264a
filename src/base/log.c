#include "base/log.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include "base/clock.h"

/* The sink is the one piece of mutable state of its kind: passing it through every call would say
 * nothing. */
static struct {
	int fd;
	enum log_level level;
	char runtime[64];
} sink = {.fd = STDERR_FILENO, .level = LOG_LEVEL_INFO};

void log_open(int fd, enum log_level level, const char *runtime)
{
	sink.fd = fd;
	sink.level = level;
	(void)snprintf(sink.runtime, sizeof(sink.runtime), "%s", runtime ? runtime : "");
}

bool log_enabled(enum log_level level)
{
	return sink.fd >= 0 && level <= sink.level;
}

/* Quotes `in` as a logfmt value: one line whatever is in it. Leaves room for the closing quote. */
static size_t quote(char *out, size_t size, const char *in)
{
	size_t n = 0;

	out[n++] = '"';
	for (; *in && n + 5 < size; in++) {
		unsigned char c = (unsigned char)*in;

		if (c == '"' || c == '\\') {
			out[n++] = '\\';
			out[n++] = (char)c;
		} else if (c == '\n') {
			out[n++] = '\\';
			out[n++] = 'n';
		} else if (c < ' ') {
			n += (size_t)snprintf(out + n, 5, "\\x%02x", c);
		} else {
			out[n++] = (char)c;
		}
	}
	out[n++] = '"';
	return n;
}

void log_msg(enum log_level level, const char *fmt, ...)
{
	static const char *const names[] = {"error", "warning", "info", "debug"};
	char text[4096], line[4096 + 256];
	char time[CLOCK_TEXT_SIZE];
	struct timespec now;
	int saved = errno;
	size_t n;
	va_list ap;

	if (!log_enabled(level))
		return;
	va_start(ap, fmt);
	(void)vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	now = clock_wall();
	clock_text(now.tv_sec, time);
	n = (size_t)snprintf(line, sizeof(line),
		"time=\"%.*s.%09ldZ\" level=%s msg=", (int)strcspn(time, "Z"), time, now.tv_nsec,
		names[level]);
	n += quote(line + n, sizeof(line) - n - sizeof(sink.runtime) - 16, text);
	if (*sink.runtime)
		n += (size_t)snprintf(line + n, sizeof(line) - n, " runtime=%s", sink.runtime);
	line[n++] = '\n';
	/* one write, no retry: the FIFO is non-blocking and shared, a part of a line is worse than
	 * none */
	if (write(sink.fd, line, n) < 0) {
		/* nobody reads: there is no place left to say so */
	}
	errno = saved;
}
