/*
 * Values of settings: text to data and back. For the files of this room. Each parser answers 0,
 * -EINVAL (the caller names what is allowed), -EOPNOTSUPP with a sentence in *ret_why, or -ENOMEM;
 * the settings are changed only on success.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include "base/buf.h"
#include "conf/settings.h"

/* "500ms", "2s", "2" (seconds), at most a minute. */
enum { VALUE_TIME_MAX_MS = 60 * 1000 };
int value_parse_time(const char *text, uint64_t *ret_ms);

/* Whether the path is absolute, has at least `levels` parts, and none of them is empty, "." or
 * "..". */
bool value_is_path(const char *path, unsigned levels);

/* The number of the word in a NULL-terminated list, or -EINVAL. */
int value_find_word(const char *const *words, const char *text);

/*
 * The two functions of each row of SETTINGS. format answers -ENOMEM or -EMSGSIZE. Those of what
 * shows the host in the view are in value_view.c, of what the view does not show in value_filter.c,
 * of the history in value_history.c, the others in value.c.
 */
#define X(KEY, FUNCTION, ...)                                                                   \
	int value_parse_##FUNCTION(struct settings *s, const char *text, const char **ret_why); \
	int value_format_##FUNCTION(const struct settings *s, struct buf *b);
SETTINGS(X)
#undef X
