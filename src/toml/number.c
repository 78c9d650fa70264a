#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "base/cleanup.h"
#include "base/str.h"
#include "toml/impl.h"

enum { NUMBER_MAX = 1024 }; /* digits of one number; more have no meaning in 64 bits */

static bool is_digit_of(int c, int base)
{
	if (base <= 10)
		return c >= '0' && c < '0' + base;
	return isxdigit(c) != 0;
}

/*
 * Copies a token's digits without underscores, each of which must stand between two digits of that
 * base. `out` has NUMBER_MAX bytes.
 */
static int strip_underscores(struct toml_parser *p, const char *s, size_t len, int base, char *out)
{
	size_t n = 0;

	if (len >= NUMBER_MAX)
		return toml_fail(p, "number of %zu characters", len);
	for (size_t i = 0; i < len; i++) {
		if (s[i] != '_') {
			out[n++] = s[i];
			continue;
		}
		if (i == 0 || i + 1 == len || !is_digit_of((unsigned char)s[i - 1], base) ||
			!is_digit_of((unsigned char)s[i + 1], base))
			return toml_fail(p, "an underscore must stand between two digits");
	}
	out[n] = '\0';
	return 0;
}

/* 0x…, 0o… and 0b…; `s` is behind the prefix. */
static int read_prefixed(
	struct toml_parser *p, const char *s, size_t len, int base, struct toml_node *node)
{
	char digits[NUMBER_MAX] = "";
	char *end;
	int r = strip_underscores(p, s, len, base, digits);

	if (r < 0)
		return r;
	for (const char *d = digits; *d; d++) {
		if (!is_digit_of((unsigned char)*d, base))
			return toml_fail(p, "digit '%c' in a number of base %d", *d, base);
	}
	if (digits[0] == '\0')
		return toml_fail(p, "number of base %d without digits", base);
	errno = 0;
	node->integer = strtoll(digits, &end, base);
	if (errno == ERANGE)
		return toml_fail(p, "integer is larger than 64 bits");
	node->type = TOML_INTEGER;
	return 0;
}

/* Leading zeros are forbidden: "0", "0.5" and "0e1" are fine, "00" and "01" are not. */
static bool has_leading_zero(const char *digits)
{
	return digits[0] == '0' && isdigit((unsigned char)digits[1]);
}

static bool skip_digits(const char **s)
{
	const char *start = *s;

	while (isdigit((unsigned char)**s))
		(*s)++;
	return *s > start;
}

/* digits [ "." digits ] [ e [sign] digits ], at least one of the two */
static bool is_float(const char *s)
{
	bool some = false;

	if (!skip_digits(&s))
		return false;
	if (*s == '.') {
		s++;
		if (!skip_digits(&s))
			return false;
		some = true;
	}
	if (*s == 'e' || *s == 'E') {
		s++;
		if (*s == '+' || *s == '-')
			s++;
		if (!skip_digits(&s))
			return false;
		some = true;
	}
	return some && *s == '\0';
}

/* A float stays text: nobody counts with one, and strtod alone is 40 kB of a program. */
static int keep_float(struct toml_parser *p, const char *digits, struct toml_node *node)
{
	size_t len = strlen(digits);
	char *text = toml_alloc_text(p->doc, len);

	if (!text)
		return err_sysf(p->err, ENOMEM, "%s", p->what);
	memcpy(text, digits, len + 1);
	node->text = text;
	node->text_len = (uint32_t)len;
	node->type = TOML_FLOAT;
	return 0;
}

static int read_decimal(struct toml_parser *p, const char *s, size_t len, struct toml_node *node)
{
	char buf[NUMBER_MAX] = "";
	const char *digits, *rest;
	int r = strip_underscores(p, s, len, 10, buf);

	if (r < 0)
		return r;
	digits = buf + (buf[0] == '+' || buf[0] == '-');
	if (str_eq(digits, "inf") || str_eq(digits, "nan"))
		return keep_float(p, buf, node);
	if (has_leading_zero(digits))
		return toml_fail(p, "number \"%s\" begins with a zero", buf);
	rest = digits;
	if (skip_digits(&rest) && *rest == '\0') {
		errno = 0;
		node->integer = strtoll(buf, NULL, 10);
		if (errno == ERANGE)
			return toml_fail(p, "integer %s is larger than 64 bits", buf);
		node->type = TOML_INTEGER;
		return 0;
	}
	if (!is_float(digits))
		return toml_fail(p, "\"%.*s\" is no value (strings need quotes)",
			(int)(len > 60 ? 60 : len), s);
	return keep_float(p, buf, node);
}

static bool in_token(int c)
{
	return c == '+' || c == '-' || c == '_' || c == '.' || c == ':' || isalnum(c);
}

/* A date and its time may be separated by one blank; the token is both then. */
static size_t token_length(const struct toml_parser *p)
{
	size_t n = 0;

	while (toml_peek(p, n) >= 0 && in_token(toml_peek(p, n)))
		n++;
	if (n == 10 && p->text[p->pos + 4] == '-' && toml_peek(p, 10) == ' ' &&
		toml_peek(p, 11) >= 0 && isdigit(toml_peek(p, 11))) {
		n++;
		while (toml_peek(p, n) >= 0 && in_token(toml_peek(p, n)))
			n++;
	}
	return n;
}

/* The position stays at the token's begin, for the errors. */
static int read_token(struct toml_parser *p, const char *s, size_t len, struct toml_node *node)
{
	int r;

	if ((len == 4 && memcmp(s, "true", 4) == 0) || (len == 5 && memcmp(s, "false", 5) == 0)) {
		node->type = TOML_BOOL;
		node->boolean = s[0] == 't';
		return 0;
	}
	r = toml_scan_time(p, s, len, node);
	if (r != 0)
		return r < 0 ? r : 0;
	if (len > 2 && s[0] == '0' && (s[1] == 'x' || s[1] == 'o' || s[1] == 'b'))
		return read_prefixed(p, s + 2, len - 2,
			s[1] == 'x'   ? 16
			: s[1] == 'o' ? 8
				      : 2,
			node);
	return read_decimal(p, s, len, node);
}

int toml_read_scalar(struct toml_parser *p, struct toml_node *node)
{
	size_t len = token_length(p);
	int r;

	if (len == 0 && toml_peek(p, 0) > ' ' && toml_peek(p, 0) < 0x7f)
		return toml_fail(p, "'%c' where a value should be", toml_peek(p, 0));
	if (len == 0)
		return toml_fail(p, "value is missing");
	r = read_token(p, p->text + p->pos, len, node);
	if (r == 0)
		p->pos += len;
	return r;
}
