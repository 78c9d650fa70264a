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

/* "kubernetes", "k8s" or "host". */
int value_parse_dns_mode(const char *text, enum dns_mode *ret_mode);

/* Whether the path is absolute, has at least `levels` parts, and none of them is empty, "." or
 * "..". */
bool value_is_path(const char *path, unsigned levels);

struct value_type {
	int (*parse)(struct settings *s, const char *text, const char **ret_why);
	int (*format)(const struct settings *s, struct buf *b); /* -ENOMEM, -EMSGSIZE */
};

/* The number of the word in a NULL-terminated list, or -EINVAL. */
int value_find_word(const char *const *words, const char *text);

/* What shows the host in the view: value_view.c. */
int value_parse_submounts(struct settings *s, const char *text, const char **ret_why);
int value_format_submounts(const struct settings *s, struct buf *b);
int value_parse_passthrough(struct settings *s, const char *text, const char **ret_why);
int value_format_passthrough(const struct settings *s, struct buf *b);
int value_parse_stale(struct settings *s, const char *text, const char **ret_why);
int value_format_stale(const struct settings *s, struct buf *b);

/* What the view does not show: value_filter.c. */
int value_parse_filter_enabled(struct settings *s, const char *text, const char **ret_why);
int value_format_filter_enabled(const struct settings *s, struct buf *b);
int value_parse_filter_mode(struct settings *s, const char *text, const char **ret_why);
int value_format_filter_mode(const struct settings *s, struct buf *b);
int value_parse_filter_paths(struct settings *s, const char *text, const char **ret_why);
int value_format_filter_paths(const struct settings *s, struct buf *b);
int value_parse_filter_allowlist(struct settings *s, const char *text, const char **ret_why);
int value_format_filter_allowlist(const struct settings *s, struct buf *b);

/* What is kept of the workloads: value_history.c. */
int value_parse_history(struct settings *s, const char *text, const char **ret_why);
int value_format_history(const struct settings *s, struct buf *b);
int value_parse_history_file(struct settings *s, const char *text, const char **ret_why);
int value_format_history_file(const struct settings *s, struct buf *b);
int value_parse_history_size(struct settings *s, const char *text, const char **ret_why);
int value_format_history_size(const struct settings *s, struct buf *b);

extern const struct value_type value_types[_SETTING_MAX];
