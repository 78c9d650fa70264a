#include "stream/uri.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "base/cleanup.h"
#include "base/macro.h"
#include "base/str.h"

static const struct {
	const char *name;
	enum stream_scheme scheme;
} schemes[] = {
	{"fifo", STREAM_FIFO},
	{"file", STREAM_FILE},
	{"binary", STREAM_BINARY},
	{"binary-v2", STREAM_BINARY_V2},
};

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c = (char)(c | 0x20);
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* A decoded copy of the first `len` bytes. A % that escapes nothing stands for itself. */
static char *unescape(const char *text, size_t len, bool plus_is_blank)
{
	char *copy = malloc(len + 1), *to = copy;

	if (!copy)
		return NULL;
	for (size_t i = 0; i < len; i++) {
		int high = text[i] == '%' && i + 2 < len ? hex_digit(text[i + 1]) : -1;
		int low = high >= 0 ? hex_digit(text[i + 2]) : -1;

		if (low >= 0 && (high | low) != 0) {
			*to++ = (char)(high << 4 | low);
			i += 2;
		} else {
			*to++ = plus_is_blank && text[i] == '+' ? ' ' : text[i];
		}
	}
	*to = '\0';
	return copy;
}

static int append_unescaped(char ***v, const char *text, size_t len)
{
	_cleanup_free_ char *word = unescape(text, len, true);

	return word ? strv_append(v, word) : -ENOMEM;
}

/* KEY=VALUE&… as words, of which a logger gets each key and then its value. */
static int parse_query(const char *query, size_t len, char ***argv)
{
	const char *end = query + len;

	while (query < end) {
		const char *stop = memchr(query, '&', (size_t)(end - query));
		const char *equals;
		int r;

		if (!stop)
			stop = end;
		equals = memchr(query, '=', (size_t)(stop - query));
		if (stop > query) {
			r = append_unescaped(
				argv, query, (size_t)((equals ? equals : stop) - query));
			if (r == 0)
				r = append_unescaped(argv, equals ? equals + 1 : stop,
					equals ? (size_t)(stop - equals - 1) : 0);
			if (r < 0)
				return r;
		}
		query = stop + 1;
	}
	return 0;
}

static int find_scheme(const char *text, size_t len, enum stream_scheme *ret, struct err *err)
{
	for (size_t i = 0; i < ARRAY_LEN(schemes); i++) {
		if (strlen(schemes[i].name) == len && strncmp(schemes[i].name, text, len) == 0) {
			*ret = schemes[i].scheme;
			return 0;
		}
	}
	return err_setf(err, ERR_INVALID, EINVAL,
		"stdio %.*s://: unknown scheme; there are fifo, file, binary and binary-v2",
		(int)(len < 100 ? len : 100), text);
}

static const char *scheme_name(enum stream_scheme scheme)
{
	return schemes[scheme].name; /* they stand in the order of their numbers */
}

static int take_apart(const char *text, const char *sep, struct stream_uri *uri, struct err *err)
{
	size_t len;
	int r = find_scheme(text, (size_t)(sep - text), &uri->scheme, err);

	if (r < 0)
		return r;
	text = sep + strlen("://");
	if (text[0] != '/')
		return err_setf(err, ERR_INVALID, EINVAL,
			"stdio %s://%.200s: not an absolute path, which begins with a /",
			scheme_name(uri->scheme), text);
	len = strcspn(text, "?#");
	uri->path = unescape(text, len, false);
	r = uri->path ? 0 : -ENOMEM;
	if (r == 0 && uri->scheme >= STREAM_BINARY)
		r = strv_append(&uri->argv, uri->path);
	if (r == 0 && uri->scheme >= STREAM_BINARY && text[len] == '?')
		r = parse_query(text + len + 1, strcspn(text + len + 1, "#"), &uri->argv);
	return r < 0 ? err_sysf(err, -r, "stdio") : 0;
}

int stream_uri_parse(const char *text, struct stream_uri *ret_uri, struct err *err)
{
	const char *sep = text[0] == '/' ? NULL : strstr(text, "://");
	int r;

	*ret_uri = (struct stream_uri)STREAM_URI_INIT;
	if (sep)
		r = take_apart(text, sep, ret_uri, err);
	else if ((r = str_dup(&ret_uri->path, text)) < 0)
		r = err_sysf(err, -r, "stdio");
	if (r < 0)
		stream_uri_done(ret_uri);
	return r;
}

const char *stream_fifo_path(const char *text)
{
	static const char fifo[] = "fifo://";

	return str_has_prefix(text, fifo) ? text + strlen(fifo) : text;
}

void stream_uri_done(struct stream_uri *uri)
{
	if (!uri)
		return;
	free(uri->path);
	uri->path = NULL;
	uri->argv = strv_free(uri->argv);
}
