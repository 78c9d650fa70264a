#include "recorder/mask.h"

#include <string.h>
#include <strings.h>
#include "base/macro.h"
#include "base/str.h"

static const char blanks[] = " \t\n;|&()";

static bool contains(const char *s, size_t len, const char *word)
{
	size_t n = strlen(word);

	for (size_t i = 0; i + n <= len; i++) {
		if (strncasecmp(s + i, word, n) == 0)
			return true;
	}
	return false;
}

static bool ends_in(const char *s, size_t len, const char *word)
{
	size_t n = strlen(word);

	return len >= n && strncasecmp(s + len - n, word, n) == 0;
}

/* Whether what goes by this name is a secret itself, not the place of one. */
static bool is_secret_name(const char *s, size_t len)
{
	static const char *const words[] = {"password", "passwd", "passphrase", "secret", "token",
		"apikey", "api-key", "api_key", "access-key", "access_key", "accesskey",
		"private-key", "private_key", "credential"};

	if (ends_in(s, len, "file") || ends_in(s, len, "path") || ends_in(s, len, "dir"))
		return false;
	for (size_t i = 0; i < ARRAY_LEN(words); i++) {
		if (contains(s, len, words[i]))
			return true;
	}
	return false;
}

/* Length of a value in a script: up to a blank, or to the end of its quotes. */
static size_t value_length(const char *s)
{
	size_t n = 0;

	while (s[n] && !strchr(blanks, s[n])) {
		if (s[n] == '"' || s[n] == '\'') {
			const char *end = strchr(s + n + 1, s[n]);

			if (!end)
				return strlen(s);
			n = (size_t)(end - s) + 1;
		} else {
			n += s[n] == '\\' && s[n + 1] ? 2 : 1;
		}
	}
	return n;
}

/* A word without a secret's name: the password of a URL in it is masked. */
static int append_word(const char *word, size_t len, struct buf *out)
{
	const char *authority = memmem(word, len, "://", 3), *end = word + len, *at, *colon;
	int r;

	if (!authority)
		return buf_append(out, word, len);
	authority += 3;
	/* the last '@' before the path: a password may have one in it */
	at = memchr(authority, '/', (size_t)(end - authority));
	at = memrchr(authority, '@', (size_t)((at ? at : end) - authority));
	colon = at ? memchr(authority, ':', (size_t)(at - authority)) : NULL;
	if (!colon)
		return buf_append(out, word, len);
	r = buf_append(out, word, (size_t)(colon + 1 - word));
	if (r == 0)
		r = buf_append_str(out, MASK_TEXT);
	return r < 0 ? r : buf_append(out, at, (size_t)(end - at));
}

/* What stands at `p` up to the next blank, and its value with it; *ret_len is how much that was. */
static int append_part(const char *arg, const char *p, bool *next, struct buf *out, size_t *ret_len)
{
	size_t len = value_length(p);
	/* the quote that a script's word may begin with is no part of its name */
	const char *name = p + strspn(p, "\"'"), *equals = memchr(p, '=', len);
	const char *colon = memchr(p, ':', len);
	int r;

	*ret_len = len;
	if (equals && equals > name && is_secret_name(name, (size_t)(equals - name))) {
		/* --password=a b as one argument: all of it is the value */
		if (p == arg && *p == '-')
			*ret_len = strlen(p);
		r = buf_append(out, p, (size_t)(equals + 1 - p));
		return r < 0 ? r : buf_append_str(out, MASK_TEXT);
	}
	if (colon && contains(name, (size_t)(colon - name), "authorization")) {
		*ret_len = strlen(p);
		r = buf_append(out, p, (size_t)(colon + 1 - p));
		return r < 0 ? r : buf_append_str(out, MASK_TEXT);
	}
	*next = !equals && *name == '-' && is_secret_name(name, len - (size_t)(name - p));
	return append_word(p, len, out);
}

int mask_argument(const char *arg, bool *next, struct buf *out)
{
	const char *p = arg;
	int r = 0;

	if (*next && *arg != '-') {
		*next = false;
		return buf_append_str(out, MASK_TEXT);
	}
	*next = false;
	while (r == 0 && *p) {
		size_t len = strspn(p, blanks);

		if (len > 0) {
			r = buf_append(out, p, len);
		} else if (*next && *p != '-') {
			*next = false;
			len = value_length(p);
			r = buf_append_str(out, MASK_TEXT);
		} else {
			r = append_part(arg, p, next, out, &len);
		}
		p += len;
	}
	return r;
}
