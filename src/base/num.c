#include "base/num.h"

#include <errno.h>
#include <stddef.h>
#include <strings.h>
#include <string.h>
#include "base/macro.h"

/* Reads the digits at *s and moves behind them; at least one is needed. */
static int digits(const char **s, uint64_t *ret_v)
{
	uint64_t v = 0;
	const char *p = *s;

	if (*p < '0' || *p > '9')
		return -EINVAL;
	for (; *p >= '0' && *p <= '9'; p++) {
		if (__builtin_mul_overflow(v, (uint64_t)10, &v) ||
			__builtin_add_overflow(v, (uint64_t)(*p - '0'), &v))
			return -ERANGE;
	}
	*s = p;
	*ret_v = v;
	return 0;
}

int num_parse_u64(const char *s, uint64_t max, uint64_t *ret_v)
{
	uint64_t v;
	int r = digits(&s, &v);

	if (r < 0)
		return r;
	if (*s)
		return -EINVAL;
	if (v > max)
		return -ERANGE;
	*ret_v = v;
	return 0;
}

int num_parse_i64(const char *s, int64_t min, int64_t max, int64_t *ret_v)
{
	uint64_t magnitude, limit = INT64_MAX;
	int64_t v;
	int r;

	if (*s == '-')
		limit++;
	r = num_parse_u64(*s == '-' ? s + 1 : s, limit, &magnitude);
	if (r < 0)
		return r;
	v = *s == '-' ? (int64_t)(0 - magnitude) : (int64_t)magnitude;
	if (v < min || v > max)
		return -ERANGE;
	*ret_v = v;
	return 0;
}

int num_parse_size(const char *s, uint64_t *ret_bytes)
{
	static const char units[] = "KMGT";
	const char *unit;
	uint64_t v;
	int r = digits(&s, &v);

	if (r < 0)
		return r;
	unit = *s ? strchr(units, *s & ~0x20) : NULL; /* either case */
	if (unit) {
		unsigned shift = 10U * (unsigned)(unit - units + 1);

		if (v > UINT64_MAX >> shift)
			return -ERANGE;
		v <<= shift;
		s++;
		if (*s == 'i')
			s++;
	}
	if (*s == 'B' || *s == 'b')
		s++;
	if (*s)
		return -EINVAL;
	*ret_bytes = v;
	return 0;
}

int num_parse_bool(const char *s, bool *ret_v)
{
	static const struct {
		const char *word;
		bool value;
	} words[] = {
		{"true", true},
		{"yes", true},
		{"on", true},
		{"1", true},
		{"false", false},
		{"no", false},
		{"off", false},
		{"0", false},
	};

	for (size_t i = 0; i < ARRAY_LEN(words); i++) {
		if (strcasecmp(s, words[i].word) == 0) {
			*ret_v = words[i].value;
			return 0;
		}
	}
	return -EINVAL;
}
