/*
 * The log: one line per message in the logfmt that containerd's own daemons and shims write, to one
 * descriptor (stderr, or containerd's log FIFO). Never blocks and never fails: a line that the
 * reader has no room for is dropped. Only shim/, runtime/, the rooms of reaperctl and bin/ log.
 */
#pragma once

#include <stdbool.h>
#include "base/macro.h"

enum log_level { LOG_LEVEL_ERROR, LOG_LEVEL_WARN, LOG_LEVEL_INFO, LOG_LEVEL_DEBUG };

/*
 * Where lines go from now on (borrowed, -EBADF = nowhere) and the last level that is written.
 * `runtime` stands in each line as runtime=… (NULL: left out).
 */
void log_open(int fd, enum log_level level, const char *runtime);

bool log_enabled(enum log_level level);

/* `fmt` is the message; values belong into it in words. At most 4 KiB, cut beyond. */
void log_msg(enum log_level level, const char *fmt, ...) PRINTF_LIKE(2, 3);

#define log_error(...) log_msg(LOG_LEVEL_ERROR, __VA_ARGS__)
#define log_warn(...)  log_msg(LOG_LEVEL_WARN, __VA_ARGS__)
#define log_info(...)  log_msg(LOG_LEVEL_INFO, __VA_ARGS__)
#define log_debug(...) log_msg(LOG_LEVEL_DEBUG, __VA_ARGS__)
