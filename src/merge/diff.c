#include "merge/diff.h"

#include <string.h>

enum { CONTEXT_LINES = 3 };

struct range {
	size_t begin, end; /* bytes, whole lines */
	size_t first;      /* number of the first line, from 1 */
	size_t lines;
};

static size_t count_lines(const char *text, size_t begin, size_t end)
{
	size_t n = 0;

	for (size_t i = begin; i < end; i++)
		n += text[i] == '\n';
	return n + (end > begin && text[end - 1] != '\n');
}

/* The whole lines that a byte range touches. A line that is only continued is touched. */
static struct range whole_lines(const char *text, size_t len, size_t at, size_t n)
{
	struct range r = {.begin = at, .end = at + n};

	while (r.begin > 0 && text[r.begin - 1] != '\n')
		r.begin--;
	while (r.end < len && r.end > r.begin && text[r.end - 1] != '\n')
		r.end++;
	r.first = count_lines(text, 0, r.begin) + 1;
	r.lines = count_lines(text, r.begin, r.end);
	return r;
}

static void print_lines(
	FILE *out, char sign, const char *text, size_t begin, size_t end, const char *colour)
{
	while (begin < end) {
		const char *nl = memchr(text + begin, '\n', end - begin);
		size_t stop = nl ? (size_t)(nl - text) : end;

		(void)fprintf(out, "%s%c%.*s%s\n", colour, sign, (int)(stop - begin), text + begin,
			*colour ? "\033[0m" : "");
		if (!nl)
			(void)fputs("\\ No newline at end of file\n", out);
		begin = stop + (nl != NULL);
	}
}

void diff_print(FILE *out, const char *path, bool created, const char *old, size_t old_len,
	const char *new, size_t new_len, size_t at, size_t cut, size_t add, bool colour)
{
	/* a text that begins or ends within a line drags that line into both sides */
	struct range a = whole_lines(old, old_len, at, cut);
	struct range b = whole_lines(new, new_len, a.begin, at - a.begin + add);
	size_t before = a.begin, after = a.end, n = 0, lines;

	while (before > 0 && n < CONTEXT_LINES) {
		before--;
		while (before > 0 && old[before - 1] != '\n')
			before--;
		n++;
	}
	for (lines = 0; after < old_len && lines < CONTEXT_LINES; lines++) {
		const char *nl = memchr(old + after, '\n', old_len - after);

		after = nl ? (size_t)(nl - old) + 1 : old_len;
	}
	(void)fprintf(out, "--- %s\n+++ %s\n@@ -%zu,%zu +%zu,%zu @@\n",
		created ? "/dev/null" : path, path, created ? 0 : a.first - n, n + a.lines + lines,
		a.first - n, n + b.lines + lines);
	print_lines(out, ' ', old, before, a.begin, "");
	print_lines(out, '-', old, a.begin, a.end, colour ? "\033[31m" : "");
	print_lines(out, '+', new, b.begin, b.end, colour ? "\033[32m" : "");
	print_lines(out, ' ', old, a.end, after, "");
}
