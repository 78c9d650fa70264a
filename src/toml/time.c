#include <ctype.h>
#include <errno.h>
#include <string.h>
#include "toml/impl.h"

/* `n` digits at s[*at], within `len`; -1 if they are not there. */
static int digits(const char *s, size_t len, size_t *at, size_t n)
{
	int v = 0;

	if (len - *at < n)
		return -1;
	for (size_t i = 0; i < n; i++, (*at)++) {
		if (!isdigit((unsigned char)s[*at]))
			return -1;
		v = v * 10 + (s[*at] - '0');
	}
	return v;
}

static bool take(const char *s, size_t len, size_t *at, const char *any)
{
	if (*at >= len || !strchr(any, s[*at]))
		return false;
	(*at)++;
	return true;
}

static int days_in(int year, int month)
{
	static const int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
	bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;

	return month == 2 && leap ? 29 : days[month - 1];
}

static bool scan_date(const char *s, size_t len, size_t *at)
{
	int year = digits(s, len, at, 4), month, day;

	if (year < 0 || !take(s, len, at, "-"))
		return false;
	month = digits(s, len, at, 2);
	if (month < 1 || month > 12 || !take(s, len, at, "-"))
		return false;
	day = digits(s, len, at, 2);
	return day >= 1 && day <= days_in(year, month);
}

static bool scan_clock(const char *s, size_t len, size_t *at)
{
	int hour = digits(s, len, at, 2), minute, second;

	if (hour < 0 || hour > 23 || !take(s, len, at, ":"))
		return false;
	minute = digits(s, len, at, 2);
	if (minute < 0 || minute > 59 || !take(s, len, at, ":"))
		return false;
	second = digits(s, len, at, 2);
	if (second < 0 || second > 60)
		return false;
	if (take(s, len, at, ".")) {
		if (*at >= len || !isdigit((unsigned char)s[*at]))
			return false;
		while (*at < len && isdigit((unsigned char)s[*at]))
			(*at)++;
	}
	return true;
}

static bool scan_offset(const char *s, size_t len, size_t *at)
{
	int hour, minute;

	if (take(s, len, at, "Zz"))
		return true;
	if (!take(s, len, at, "+-"))
		return false;
	hour = digits(s, len, at, 2);
	if (hour < 0 || hour > 23 || !take(s, len, at, ":"))
		return false;
	minute = digits(s, len, at, 2);
	return minute >= 0 && minute <= 59;
}

static bool looks_like_time(const char *s, size_t len)
{
	size_t n = 0;

	while (n < len && isdigit((unsigned char)s[n]))
		n++;
	return (n == 4 && n < len && s[n] == '-') || (n == 2 && n < len && s[n] == ':');
}

int toml_scan_time(struct toml_parser *p, const char *s, size_t len, struct toml_node *node)
{
	size_t at = 0;
	char *text;
	bool ok;

	if (!looks_like_time(s, len))
		return 0;
	if (s[2] == ':') {
		node->type = TOML_TIME_LOCAL;
		ok = scan_clock(s, len, &at);
	} else {
		node->type = TOML_DATE_LOCAL;
		ok = scan_date(s, len, &at);
		if (ok && at < len) {
			node->type = TOML_DATETIME_LOCAL;
			ok = take(s, len, &at, "Tt ") && scan_clock(s, len, &at);
		}
		if (ok && at < len) {
			node->type = TOML_DATETIME;
			ok = scan_offset(s, len, &at);
		}
	}
	if (!ok || at != len)
		return toml_fail(
			p, "\"%.*s\" is no valid date or time", (int)(len > 60 ? 60 : len), s);
	text = toml_alloc_text(p->doc, len);
	if (!text)
		return err_sysf(p->err, ENOMEM, "%s", p->what);
	for (size_t i = 0; i < len; i++)
		text[i] = s[i] == ' ' ? 'T' : (char)toupper((unsigned char)s[i]);
	text[len] = '\0';
	node->text = text;
	node->text_len = (uint32_t)len;
	return 1;
}
