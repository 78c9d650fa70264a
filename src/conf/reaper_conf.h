/*
 * The format of /etc/reaper/reaper.conf, without any meaning: lines of KEY=VALUE, blank lines and
 * comments ('#' first on the line, or after the value and a blank). A value may stand in single or
 * double quotes, as in the environment files of systemd; there are no escapes, no expansion and no
 * line continuation. What a key means stands in conf/settings.h.
 */
#pragma once

#include <stddef.h>
#include "base/err.h"

#define CONF_PATH "/etc/reaper/reaper.conf"

enum {
	CONF_FILE_MAX = 256 << 10, /* bytes */
	CONF_LINE_MAX = 8192,      /* bytes of one line */
	CONF_LINES_MAX = 4096,     /* assignments */
};

struct conf_entry {
	char *key, *value;
	unsigned line; /* from 1 */
};

struct reaper_conf {
	char *path; /* for messages */
	struct conf_entry *v;
	size_t n;
};

#define REAPER_CONF_INIT      \
	{                     \
		.path = NULL, \
	}

/*
 * Takes the lines apart. `path` names the text in errors ("/etc/reaper/reaper.conf:12: …",
 * ERR_INVALID). A key that is set twice is an error that names both lines: nobody should have to
 * know which one counts.
 */
int reaper_conf_parse(const char *text, size_t len, const char *path, struct reaper_conf *ret_conf,
	struct err *err);

/* The same for a part of a text, whose first line is that line of the file (from 1). */
int reaper_conf_parse_from(const char *text, size_t len, const char *path, unsigned first_line,
	struct reaper_conf *ret_conf, struct err *err);

/*
 * The same for a file. One that does not exist is empty; one that does not belong to root (or the
 * caller) or that everybody may write is refused with ERR_PRECONDITION: it decides what root does.
 */
int reaper_conf_load(const char *path, struct reaper_conf *ret_conf, struct err *err);

void reaper_conf_done(struct reaper_conf *conf);
