#include <errno.h>
#include <json-c/json.h>
#include <stdlib.h>
#include <string.h>
#include "base/cleanup.h"
#include "base/json_text.h"
#include "base/str.h"
#include "yaml/impl.h"

static int append(struct yaml *y, struct buf *text, const void *data, size_t len)
{
	int r = buf_append(text, data, len);

	if (r == -EMSGSIZE)
		return yaml_refuse(y, "a text of more than %d bytes", JSON_STRING_MAX);
	return r < 0 ? yaml_no_memory(y) : 0;
}

int yaml_string(struct yaml *y, const struct buf *text, struct json_object **ret)
{
	*ret = json_object_new_string_len(text->data ? text->data : "", (int)text->len);
	return *ret ? 0 : yaml_no_memory(y);
}

/* ---- quoted ---- */

static int append_character(struct yaml *y, struct buf *text, uint32_t c)
{
	char s[3] = {(char)c};
	size_t n = 1;

	if (c == 0 || (c >= 0xD800 && c < 0xE000))
		return yaml_refuse(y, "an escape of what is no character");
	if (c >= 0x800) {
		s[0] = (char)(0xE0 | c >> 12);
		s[1] = (char)(0x80 | (c >> 6 & 0x3F));
		s[2] = (char)(0x80 | (c & 0x3F));
		n = 3;
	} else if (c >= 0x80) {
		s[0] = (char)(0xC0 | c >> 6);
		s[1] = (char)(0x80 | (c & 0x3F));
		n = 2;
	}
	return append(y, text, s, n);
}

/* Behind a backslash. */
static int escape(struct yaml *y, struct buf *text)
{
	static const char names[] = "\"\\/bfnrt", meant[] = "\"\\/\b\f\n\r\t";
	const char *name = yaml_at_line_end(y) ? NULL : strchr(names, *y->at);
	size_t digits = yaml_is(y, 0, 'x') ? 2 : yaml_is(y, 0, 'u') ? 4 : 0;
	uint32_t c = 0;

	if (name)
		c = (unsigned char)meant[name - names];
	else if (digits == 0)
		return yaml_refuse(y, "\\ in double quotes goes on with one of \"\\/bfnrt, x or u");
	for (y->at++; digits > 0; digits--, y->at++) {
		static const char hex[] = "0123456789abcdef";
		const char *digit = yaml_at_line_end(y)
					    ? NULL
					    : strchr(hex, *y->at | (*y->at > '9' ? 0x20 : 0));

		if (!digit)
			return yaml_refuse(y, "\\x needs two hexadecimal digits, \\u four");
		c = c << 4 | (uint32_t)(digit - hex);
	}
	return append_character(y, text, c);
}

int yaml_quoted(struct yaml *y, struct buf *text)
{
	const char quote = *y->at++;
	int r = 0;

	while (r == 0 && !yaml_at_line_end(y)) {
		char c = *y->at++;

		if (c == quote && (c == '"' || !yaml_is(y, 0, quote)))
			return 0;
		if (c == quote) /* '' */
			y->at++;
		if (c == '\\' && quote == '"')
			r = escape(y, text);
		else
			r = append(y, text, &c, 1);
	}
	return r < 0 ? r : yaml_refuse(y, "%c has no end in its line", quote);
}

/* ---- plain ---- */

static bool ends_flow(char c)
{
	return c == ',' || c == '[' || c == ']' || c == '{' || c == '}';
}

int yaml_plain(struct yaml *y, bool flow, struct buf *text)
{
	const char *from = y->at, *to = from;

	if (strchr(",[]{}#&*!|>'\"%@`", *from) ||
		(strchr("-?:", *from) && (yaml_is_blank(y, 1) || (flow && *from == ':'))))
		return yaml_refuse(y,
			"%c is not known in this place; a text that begins with it stands in "
			"quotes",
			*from);
	for (; !yaml_at_line_end(y); y->at++) {
		char c = *y->at;
		bool colon = c == ':' && y->at + 1 < y->end && ends_flow(y->at[1]);

		if ((c == ':' && yaml_is_blank(y, 1)) || (c == '#' && to < y->at) ||
			(flow && ends_flow(c)))
			break;
		if (c == '\t' || (flow && (colon || c == '?')))
			return yaml_refuse(y,
				c == '\t' ? "a tab: only blanks stand between words"
					  : "%c here: put the text in quotes",
				c);
		if (c != ' ')
			to = y->at + 1;
	}
	y->at = to;
	return append(y, text, from, (size_t)(to - from));
}

enum plain { TEXT, NOTHING, YES, NO, NUMBER, OCTAL, UNCLEAR };

static const struct {
	const char *words; /* with blanks around each */
	enum plain is;
} special[] = {
	{" ~ null Null NULL ", NOTHING},
	{" true True TRUE ", YES},
	{" false False FALSE ", NO},
	/* YAML 1.1, which kubectl reads, and 1.2 differ */
	{" y Y yes Yes YES on On ON n N no No NO off Off OFF = << .inf .Inf .INF .nan .NaN .NAN "
	 "-.inf -.Inf -.INF +.inf +.Inf +.INF ",
		UNCLEAR},
};

static bool has_word(const char *words, const char *word)
{
	size_t len = strlen(word);
	const char *p = words;

	while ((p = strstr(p, word))) {
		if (p > words && p[-1] == ' ' && p[len] == ' ')
			return true;
		p++;
	}
	return false;
}

/* Whole, or with a fraction, as in JSON. */
static bool is_number(const char *text)
{
	static const char digits[] = "0123456789";
	const char *p = text + (*text == '-');
	size_t whole = strspn(p, digits), fraction = 0;

	if (whole == 0 || whole > 18 || (*p == '0' && whole > 1))
		return false;
	if (p[whole] == '.')
		fraction = strspn(p + whole + 1, digits);
	if (p[whole] != '\0' && (fraction == 0 || p[whole + 1 + fraction] != '\0'))
		return false;
	return fraction > 0 || !str_eq(text, "-0");
}

/* What any version of YAML, or any of its readers, could take for a number or a point in time. */
static bool could_be_number(const char *text)
{
	size_t len = strlen(text), digits = strspn(text, "0123456789");
	const char *dot = strchr(text, '.');

	if (digits == 4 && text[4] == '-')
		return true;
	if (strspn(text, "0123456789.") == len && dot && strchr(dot + 1, '.'))
		return false; /* an address */
	return (digits > 0 || strchr("+-.", *text)) && strpbrk(text, "0123456789") &&
	       strspn(text, "+-.:_0123456789abcdefABCDEFxXoO") == len;
}

static enum plain classify(const char *text)
{
	if (*text == '\0')
		return NOTHING;
	for (size_t i = 0; i < ARRAY_LEN(special); i++) {
		if (!strchr(text, ' ') && has_word(special[i].words, text))
			return special[i].is;
	}
	if (is_number(text))
		return NUMBER;
	/* 0400: the mode of a file, for kubectl as for libyaml */
	if (text[0] == '0' && strlen(text) <= 16 && strspn(text, "01234567") == strlen(text))
		return OCTAL;
	return could_be_number(text) ? UNCLEAR : TEXT;
}

static int unclear(struct yaml *y, const char *text)
{
	return yaml_refuse(y,
		"%.80s: a text for some readers and none for others: put it in quotes, or "
		"write true, false or a decimal number",
		text);
}

int yaml_plain_key(struct yaml *y, const char *text)
{
	return classify(text) == TEXT ? 0 : unclear(y, text);
}

int yaml_resolve(struct yaml *y, const char *text, struct json_object **ret)
{
	enum plain is = classify(text);

	*ret = NULL;
	if (is == UNCLEAR)
		return unclear(y, text);
	if (is == NOTHING)
		return 0;
	if (is == NUMBER)
		return json_read_text(text, strlen(text), y->what, ret, y->err);
	if (is == TEXT)
		*ret = json_object_new_string(text);
	else if (is == OCTAL)
		*ret = json_object_new_int64((int64_t)strtoull(text, NULL, 8));
	else
		*ret = json_object_new_boolean(is == YES);
	return *ret ? 0 : yaml_no_memory(y);
}

/* ---- blocks ---- */

/* How far the first line that has something in it is indented. */
static int find_indent(struct yaml *y, size_t parent, size_t *ret)
{
	size_t n = 0, most = 0;

	for (const char *p = y->at;; p += n + 1) {
		n = 0;
		while (p + n < y->end && p[n] == ' ')
			n++;
		if (p + n == y->end || (n <= parent && p[n] != '\n'))
			return yaml_refuse(y, "no text is indented below | or >");
		if (p[n] == '\t')
			return yaml_refuse(y, "a tab: lines are indented with blanks");
		if (p[n] != '\n')
			break;
		most = n > most ? n : most;
	}
	*ret = n;
	return most > n ? yaml_refuse(y, "a line of blanks is longer than the text is indented")
			: 0;
}

static int append_breaks(struct yaml *y, struct buf *text, size_t n)
{
	int r = 0;

	while (r == 0 && n-- > 0)
		r = append(y, text, "\n", 1);
	return r;
}

/* The line's content, and what the breaks before it have become. */
struct block {
	size_t indent;
	bool literal;
	size_t before, breaks; /* the last line's own, and those of the empty lines behind it */
	bool indented;         /* the last line was more than the block is */
};

static int add_line(struct yaml *y, struct block *b, struct buf *text)
{
	bool indented = *y->at == ' ' || *y->at == '\t';
	const char *newline = memchr(y->at, '\n', (size_t)(y->end - y->at));
	const char *end = newline ? newline : y->end;
	int r;

	if (!b->literal && b->before > 0 && !b->indented && !indented)
		r = b->breaks == 0 ? append(y, text, " ", 1) : 0;
	else
		r = append_breaks(y, text, b->before);
	if (r == 0)
		r = append_breaks(y, text, b->breaks);
	if (r == 0)
		r = append(y, text, y->at, (size_t)(end - y->at));
	b->indented = indented;
	b->before = newline ? 1 : 0;
	b->breaks = 0;
	y->at = end;
	return r;
}

static int add_lines(struct yaml *y, struct block *b, struct buf *text)
{
	int r = 0;

	while (r == 0 && y->at < y->end) {
		size_t n = 0;

		while (n < b->indent && yaml_is(y, n, ' '))
			n++;
		if (y->at + n == y->end)
			break;
		if (n < b->indent && y->at[n] != '\n') {
			if (y->at[n] == '\t')
				return yaml_refuse(y, "a tab: lines are indented with blanks");
			break;
		}
		y->at += n;
		if (*y->at == '\n')
			b->breaks++;
		else
			r = add_line(y, b, text);
		if (r == 0 && y->at < y->end)
			yaml_next_line(y);
	}
	return r;
}

int yaml_block_text(struct yaml *y, size_t indent, struct json_object **ret)
{
	_cleanup_(buf_done) struct buf text = BUF_INIT(JSON_STRING_MAX);
	struct block b = {.literal = *y->at++ == '|'};
	char keep = '\0';
	int r;

	if (yaml_is(y, 0, '-') || yaml_is(y, 0, '+'))
		keep = *y->at++;
	if (yaml_is_blank(y, 0))
		yaml_skip_blanks(y);
	if (!yaml_at_line_end(y))
		return yaml_refuse(y, "behind | and > only - or + is known here");
	if (y->at < y->end)
		yaml_next_line(y);
	r = find_indent(y, indent, &b.indent);
	if (r == 0)
		r = add_lines(y, &b, &text);
	if (r == 0 && keep != '-')
		r = append_breaks(y, &text, b.before);
	if (r == 0 && keep == '+')
		r = append_breaks(y, &text, b.breaks);
	return r < 0 ? r : yaml_string(y, &text, ret);
}
