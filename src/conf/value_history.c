/* What is kept of the workloads' starts and ends. */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include "base/num.h"
#include "base/str.h"
#include "conf/value.h"

static const char *const history_words[] = {
	[HISTORY_NONE] = "none", [HISTORY_PROGRAM] = "program", [HISTORY_FULL] = "full", NULL};

int value_parse_history(struct settings *s, const char *text, const char **ret_why)
{
	int word = value_find_word(history_words, text);

	(void)ret_why;
	if (word >= 0)
		s->history = (enum history_mode)word;
	return word < 0 ? word : 0;
}

int value_format_history(const struct settings *s, struct buf *b)
{
	return buf_append_str(b, history_words[s->history]);
}

int value_parse_history_file(struct settings *s, const char *text, const char **ret_why)
{
	char *copy = NULL;

	(void)ret_why;
	if (!str_eq(text, "none")) {
		if (!value_is_path(text, 3) || strlen(text) > 200)
			return -EINVAL;
		copy = strdup(text);
		if (!copy)
			return -ENOMEM;
	}
	free(s->history_file);
	s->history_file = copy;
	return 0;
}

int value_format_history_file(const struct settings *s, struct buf *b)
{
	return buf_append_str(b, s->history_file ? s->history_file : "none");
}

int value_parse_history_size(struct settings *s, const char *text, const char **ret_why)
{
	uint64_t v;

	(void)ret_why;
	if (num_parse_size(text, &v) < 0 || v < SETTING_HISTORY_MIN || v > SETTING_HISTORY_MAX)
		return -EINVAL;
	s->history_bytes = v;
	return 0;
}

int value_format_history_size(const struct settings *s, struct buf *b)
{
	if (s->history_bytes % (1 << 20) == 0)
		return buf_printf(b, "%" PRIu64 "M", s->history_bytes >> 20);
	return buf_printf(b, "%" PRIu64, s->history_bytes);
}
