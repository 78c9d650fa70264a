#include <errno.h>
#include <string.h>
#include "base/utf8.h"
#include "toml/impl.h"

static size_t utf8_put(char *out, uint32_t code)
{
	if (code < 0x80) {
		out[0] = (char)code;
		return 1;
	}
	if (code < 0x800) {
		out[0] = (char)(0xc0 | code >> 6);
		out[1] = (char)(0x80 | (code & 0x3f));
		return 2;
	}
	if (code < 0x10000) {
		out[0] = (char)(0xe0 | code >> 12);
		out[1] = (char)(0x80 | (code >> 6 & 0x3f));
		out[2] = (char)(0x80 | (code & 0x3f));
		return 3;
	}
	out[0] = (char)(0xf0 | code >> 18);
	out[1] = (char)(0x80 | (code >> 12 & 0x3f));
	out[2] = (char)(0x80 | (code >> 6 & 0x3f));
	out[3] = (char)(0x80 | (code & 0x3f));
	return 4;
}

static int hex_digit(int c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

/* \uXXXX and \UXXXXXXXX; the position is behind the letter. */
static int read_code_point(struct toml_parser *p, size_t digits, char *out, size_t *out_len)
{
	uint32_t code = 0;

	for (size_t i = 0; i < digits; i++) {
		int d = hex_digit(toml_peek(p, 0));

		if (d < 0)
			return toml_fail(p, "an escape needs %zu hexadecimal digits", digits);
		code = code << 4 | (uint32_t)d;
		p->pos++;
	}
	if (code > 0x10ffff || (code >= 0xd800 && code <= 0xdfff))
		return toml_fail(p, "escape \\%c%0*x is no Unicode scalar value",
			digits == 4 ? 'u' : 'U', (int)digits, code);
	*out_len += utf8_put(out + *out_len, code);
	return 0;
}

/* A backslash at the end of a line swallows all white space up to the next character. */
static int trim_lines(struct toml_parser *p)
{
	bool seen = false;

	for (;;) {
		int c = toml_peek(p, 0);

		if (c == '\r' && toml_peek(p, 1) == '\n')
			c = toml_peek(p, 1), p->pos++;
		if (c == '\n') {
			seen = true;
			p->line++;
		} else if (c != ' ' && c != '\t') {
			break;
		}
		p->pos++;
	}
	return seen ? 0 : toml_fail(p, "a backslash followed by blanks needs the end of the line");
}

static int read_escape(struct toml_parser *p, bool multi, char *out, size_t *out_len)
{
	static const char plain[][2] = {{'b', '\b'}, {'t', '\t'}, {'n', '\n'}, {'f', '\f'},
		{'r', '\r'}, {'"', '"'}, {'\\', '\\'}};
	int c = toml_peek(p, 0);

	for (size_t i = 0; i < ARRAY_LEN(plain); i++) {
		if (c == plain[i][0]) {
			out[(*out_len)++] = plain[i][1];
			p->pos++;
			return 0;
		}
	}
	if (c == 'u' || c == 'U') {
		p->pos++;
		return read_code_point(p, c == 'u' ? 4 : 8, out, out_len);
	}
	if (multi && (c == ' ' || c == '\t' || c == '\r' || c == '\n'))
		return trim_lines(p);
	return toml_fail(p, "unknown escape sequence in a string");
}

/* How many quote characters stand at the position, at most `max`. */
static size_t quote_run(const struct toml_parser *p, int quote, size_t max)
{
	size_t n = 0;

	while (n < max && toml_peek(p, n) == quote)
		n++;
	return n;
}

/* One character that is neither escape nor the end. */
static int read_char(struct toml_parser *p, bool multi, char *out, size_t *out_len)
{
	int c = toml_peek(p, 0);
	size_t n = 1;

	if (c == '\r' && multi && toml_peek(p, 1) == '\n') {
		n = 2;
		p->line++;
	} else if (c == '\n' && multi) {
		p->line++;
	} else if (c == '\n') {
		return toml_fail(p, "string is not closed on its line");
	} else if ((c < 0x20 && c != '\t') || c == 0x7f) {
		return toml_fail(p, "control character 0x%02x in a string", (unsigned)c);
	} else {
		n = utf8_length(p->text + p->pos, p->len - p->pos);
		if (n == 0)
			return toml_fail(p, "byte 0x%02x in a string is not UTF-8", (unsigned)c);
	}
	memcpy(out + *out_len, p->text + p->pos, n);
	*out_len += n;
	p->pos += n;
	return 0;
}

/* Whether the string ends with the quotes at `i`. */
static bool closes(const struct toml_parser *p, size_t i, int quote, bool multi)
{
	size_t n = multi ? 3 : 1;

	for (size_t k = 0; k < n; k++) {
		if (i + k >= p->len || p->text[i + k] != quote)
			return false;
	}
	return true;
}

/*
 * A bound for the decoded bytes: the distance to the closing quotes. Found by looking, because the
 * rest of the line or text would make many strings on one long line cost its square in memory.
 */
static size_t string_bound(const struct toml_parser *p, int quote, bool multi)
{
	size_t i = p->pos;

	for (; i < p->len; i++) {
		if (p->text[i] == '\\' && quote == '"') {
			i++;
			continue;
		}
		if ((p->text[i] == '\n' && !multi) || closes(p, i, quote, multi))
			break;
	}
	return i - p->pos + 5;
}

/* Nearly every string: printable ASCII without escapes, closed by its quote. 1, 0 or an error. */
static int read_plain(struct toml_parser *p, int quote, struct toml_part *ret)
{
	const char *s = p->text + p->pos + 1;
	size_t max = p->len - p->pos - 1, n = 0;
	char *out;

	while (n < max && s[n] != quote && s[n] != '\\' && s[n] >= 0x20 && s[n] < 0x7f)
		n++;
	if (n == max || s[n] != quote)
		return 0;
	out = toml_alloc_text(p->doc, n);
	if (!out)
		return err_sysf(p->err, ENOMEM, "%s", p->what);
	memcpy(out, s, n);
	out[n] = '\0';
	p->pos += n + 2;
	*ret = (struct toml_part) {.text = out, .len = n};
	return 1;
}

int toml_read_string(struct toml_parser *p, bool multi, struct toml_part *ret)
{
	int quote = toml_peek(p, 0);
	size_t begin = p->pos;
	bool escaped = false;
	size_t len = 0;
	char *out;

	multi = multi && quote_run(p, quote, 3) == 3;
	if (!multi) {
		int r = read_plain(p, quote, ret);

		if (r != 0)
			return r < 0 ? r : 0;
	}
	p->pos += multi ? 3 : 1;
	if (multi && toml_peek(p, 0) == '\r' && toml_peek(p, 1) == '\n')
		p->pos++;
	if (multi &&
		toml_peek(p, 0) == '\n') { /* a newline right behind the quotes is no content */
		p->pos++;
		p->line++;
	}
	out = toml_alloc_text(p->doc, string_bound(p, quote, multi));
	if (!out)
		return err_sysf(p->err, ENOMEM, "%s", p->what);
	for (;;) {
		int c = toml_peek(p, 0), r;

		if (c < 0) {
			return toml_fail_at(p, begin, "string is never closed");
		}
		if (c == quote && multi) {
			size_t run = quote_run(p, quote, 5);

			if (run < 3) {
				memset(out + len, quote, run);
				len += run;
				p->pos += run;
				continue;
			}
			memset(out + len, quote, run - 3);
			len += run - 3;
			p->pos += run;
			break;
		}
		if (c == quote) {
			p->pos++;
			break;
		}
		if (c == '\\' && quote == '"') {
			escaped = true;
			p->pos++;
			r = read_escape(p, multi, out, &len);
		} else {
			r = read_char(p, multi, out, &len);
		}
		if (r < 0)
			return r;
	}
	out[len] = '\0';
	*ret = (struct toml_part) {.text = out, .len = len, .escaped = escaped};
	return 0;
}
