#include <errno.h>
#include <string.h>
#include "base/cleanup.h"
#include "base/macro.h"
#include "base/str.h"
#include "conf/value.h"

enum { WORDS_MAX = 256 };

static const char *const action_words[] = {"layer", "bind", "omit", NULL};
static const char *const stale_words[] = {
	[STALE_BIND] = "bind", [STALE_WARN] = "warn", [STALE_REFUSE] = "refuse", NULL};

/* Whether every container has its own of it, whatever the host has there. */
static bool is_private(const char *path)
{
	static const char *const trees[] = {"/dev", "/proc", "/run", "/sys"};

	for (size_t i = 0; i < ARRAY_LEN(trees); i++) {
		size_t len = strlen(trees[i]);

		if (strncmp(path, trees[i], len) == 0 && (path[len] == '/' || path[len] == '\0'))
			return true;
	}
	return false;
}

static bool is_fstype(const char *word, size_t len)
{
	size_t letters = strspn(word, "abcdefghijklmnopqrstuvwxyz0123456789_.-");

	return len > 0 && (letters == len || (letters == len - 1 && word[letters] == '*'));
}

/* PATH=ACTION or FSTYPE=ACTION. */
static int check_rule(const char *word)
{
	const char *equals = strrchr(word, '=');
	_cleanup_free_ char *what = NULL;

	if (!equals || value_find_word(action_words, equals + 1) < 0)
		return -EINVAL;
	what = strndup(word, (size_t)(equals - word));
	if (!what)
		return -ENOMEM;
	if (what[0] != '/')
		return is_fstype(what, strlen(what)) ? 0 : -EINVAL;
	return value_is_path(what, 1) && !is_private(what) ? 0 : -EINVAL;
}

static int check_pattern(const char *word)
{
	return value_is_path(word, 2) && !is_private(word) ? 0 : -EINVAL;
}

/* The words of a list in *ret_words; with "+" in front they follow those of `def`. */
static int parse_list(
	const char *text, const char *def, int (*check)(const char *word), char ***ret_words)
{
	_cleanup_strv_ char **words = NULL, **more = NULL;
	bool add = def && text[0] == '+';
	int r;

	if (str_eq(text, "none")) {
		*ret_words = NULL;
		return 0;
	}
	r = strv_split(&more, text + add, " \t,");
	if (r == 0 && add)
		r = strv_split(&words, def, " ");
	for (char **w = more; r == 0 && w && *w; w++)
		r = strv_append(&words, *w);
	if (r == 0 && (strv_len(more) == 0 || strv_len(words) > WORDS_MAX))
		r = -EINVAL;
	for (char **w = words; r == 0 && w && *w; w++)
		r = check(*w);
	if (r < 0)
		return r;
	*ret_words = TAKE_PTR(words);
	return 0;
}

static int format_list(char *const *words, struct buf *b)
{
	int r = words ? 0 : buf_append_str(b, "none");

	for (size_t i = 0; r == 0 && words && words[i]; i++)
		r = buf_printf(b, "%s%s", i ? " " : "", words[i]);
	return r;
}

int value_parse_submounts(struct settings *s, const char *text, const char **ret_why UNUSED)
{
	char **words;
	int r = parse_list(text, NULL, check_rule, &words);

	if (r < 0)
		return r;
	(void)strv_free(s->submounts);
	s->submounts = words;
	return 0;
}

int value_format_submounts(const struct settings *s, struct buf *b)
{
	return format_list(s->submounts, b);
}

int value_parse_passthrough(struct settings *s, const char *text, const char **ret_why UNUSED)
{
	char **words;
	int r = parse_list(text, setting_info(SETTING_PASSTHROUGH)->def, check_pattern, &words);

	if (r < 0)
		return r;
	(void)strv_free(s->passthrough);
	s->passthrough = words;
	return 0;
}

int value_format_passthrough(const struct settings *s, struct buf *b)
{
	return format_list(s->passthrough, b);
}

int value_parse_stale(struct settings *s, const char *text, const char **ret_why UNUSED)
{
	int word = value_find_word(stale_words, text);

	if (word >= 0)
		s->stale = (enum stale_policy)word;
	return word < 0 ? word : 0;
}

int value_format_stale(const struct settings *s, struct buf *b)
{
	return buf_append_str(b, stale_words[s->stale]);
}
