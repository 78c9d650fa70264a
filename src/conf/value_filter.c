#include <errno.h>
#include "base/cleanup.h"
#include "base/macro.h"
#include "base/num.h"
#include "base/str.h"
#include "conf/value.h"

enum { PATTERNS_MAX = 1024 };

static const char *const mode_words[] = {
	[FILTER_APPEND] = "append", [FILTER_REPLACE] = "replace", NULL};

/* Patterns of paths, separated as the version in Rust has it (':') or as our other lists. */
static int parse_patterns(const char *text, char ***target)
{
	_cleanup_strv_ char **words = NULL;
	int r = str_eq(text, "none") ? 0 : strv_split(&words, text, ": \t,");

	if (r < 0)
		return r;
	if (strv_len(words) > PATTERNS_MAX)
		return -EINVAL;
	for (char **w = words; w && *w; w++) {
		size_t len = strlen(*w);

		if (len > 1 && (*w)[len - 1] == '/')
			(*w)[len - 1] = '\0';
		if (!value_is_path(*w, 1))
			return -EINVAL;
	}
	(void)strv_free(*target);
	*target = TAKE_PTR(words);
	return 0;
}

static int format_patterns(char *const *words, struct buf *b)
{
	int r = strv_len(words) > 0 ? 0 : buf_append_str(b, "none");

	for (size_t i = 0; r == 0 && words && words[i]; i++)
		r = buf_printf(b, "%s%s", i ? ":" : "", words[i]);
	return r;
}

int value_parse_filter_enabled(struct settings *s, const char *text, const char **ret_why UNUSED)
{
	return num_parse_bool(text, &s->filter_enabled);
}

int value_format_filter_enabled(const struct settings *s, struct buf *b)
{
	return buf_append_str(b, s->filter_enabled ? "true" : "false");
}

int value_parse_filter_mode(struct settings *s, const char *text, const char **ret_why UNUSED)
{
	int word = value_find_word(mode_words, text);

	if (word >= 0)
		s->filter_mode = (enum filter_mode)word;
	return word < 0 ? word : 0;
}

int value_format_filter_mode(const struct settings *s, struct buf *b)
{
	return buf_append_str(b, mode_words[s->filter_mode]);
}

int value_parse_filter_paths(struct settings *s, const char *text, const char **ret_why UNUSED)
{
	return parse_patterns(text, &s->filter_paths);
}

int value_format_filter_paths(const struct settings *s, struct buf *b)
{
	return format_patterns(s->filter_paths, b);
}

int value_parse_filter_allowlist(struct settings *s, const char *text, const char **ret_why UNUSED)
{
	return parse_patterns(text, &s->filter_allowlist);
}

int value_format_filter_allowlist(const struct settings *s, struct buf *b)
{
	return format_patterns(s->filter_allowlist, b);
}
