#include "mask/shadow.h"

#include <stdbool.h>
#include <string.h>
#include "base/str.h"

/* Locked already, and said in one of the words that tools know. */
static bool is_locked_word(const char *field, size_t len)
{
	static const char *const words[] = {"!", "!!", "*", "!*"};

	for (size_t i = 0; i < ARRAY_LEN(words); i++) {
		if (len == strlen(words[i]) && memcmp(field, words[i], len) == 0)
			return true;
	}
	return false;
}

static int lock_line(const char *line, size_t len, struct buf *out)
{
	const char *colon = memchr(line, ':', len);
	const char *field, *rest;
	size_t field_len;
	int r;

	if (!colon || colon == line) {
		if (len == 0 || (line[0] != '+' && line[0] != '-') || colon)
			return 0;
		r = buf_append(out, line, len);
		return r < 0 ? r : buf_append_str(out, "\n");
	}
	field = colon + 1;
	rest = memchr(field, ':', len - (size_t)(field - line));
	field_len = (rest ? (size_t)(rest - line) : len) - (size_t)(field - line);
	r = buf_append(out, line, (size_t)(field - line));
	if (r == 0 && is_locked_word(field, field_len))
		r = buf_append(out, field, field_len);
	else if (r == 0)
		r = buf_append_str(out, "!");
	if (r == 0 && rest)
		r = buf_append(out, rest, len - (size_t)(rest - line));
	return r < 0 ? r : buf_append_str(out, "\n");
}

int mask_lock_shadow(const char *text, size_t len, struct buf *out)
{
	const char *end = text + len;
	int r = 0;

	while (text < end && r == 0) {
		const char *newline = memchr(text, '\n', (size_t)(end - text));
		size_t n = (size_t)((newline ? newline : end) - text);

		r = lock_line(text, n, out);
		text += n + 1;
	}
	return r;
}
