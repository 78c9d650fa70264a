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

extern const struct value_type value_types[_SETTING_MAX];
