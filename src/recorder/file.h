/* The file of the history: many processes append to it, none waits for another. */
#pragma once

#include <stddef.h>
#include <stdint.h>
#include "base/err.h"

/* The one older file: PATH.1. */
#define RECORDER_OLD_SUFFIX ".1"

/*
 * Appends one line, with its newline, in one write. The file (0600) and its directory (0700) are
 * made when they are missing. A file that has reached `max` bytes is renamed to PATH.1 first, by
 * whoever gets its lock; nobody waits for it, and a line whose file went meanwhile is written
 * again. -errno with the path in `err`; ERR_PRECONDITION when there is something else than a file.
 */
int recorder_append(const char *path, uint64_t max, const char *line, size_t len, struct err *err);
