/*
 * The history's two files (recorder/file.h) while others write to them and rename them: read once,
 * from where another reading has ended, or on and on.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>
#include "base/buf.h"
#include "base/err.h"

/* A place in a file that is known again whatever its name is by then. */
struct history_place {
	uint64_t device, inode, born; /* nanoseconds since 1970; 0 where the file system has none */
	uint64_t offset;              /* behind the last whole line that was read */
};

struct history_tail {
	int fd; /* -EBADF: there is no such file */
	struct history_place at;
	struct buf rest; /* of a line that has no end */
};

struct history_reader {
	const char *path;
	struct history_tail old, now;
	void (*line)(void *arg, const char *line, size_t len); /* with its newline */
	void *arg;
};

/* `path` is borrowed. */
#define HISTORY_READER_INIT(path_, line_, arg_)                                                 \
	{                                                                                       \
		.path = (path_), .old = {.fd = -EBADF}, .now = {.fd = -EBADF}, .line = (line_), \
		.arg = (arg_)                                                                   \
	}

/*
 * Hands every whole line to `line` that has come since the last call, of the older file first, also
 * of one that was renamed meanwhile. `from`: at the first call, the two places to go on from; NULL:
 * from the beginning. 1: there is a file; 0: there is none.
 */
int history_read(struct history_reader *r, const struct history_place from[2], struct err *err);

/* Hands over what is left without a newline: a torn line. */
void history_read_rest(struct history_reader *r);

/*
 * Reads, and goes on with each line as it comes, until reading fails or the directory goes. The
 * kernel tells what is written (inotify); standard output is flushed before waiting. The directory
 * is made when it is missing, as the recorder does.
 */
int history_follow(struct history_reader *r, struct err *err);

void history_reader_done(struct history_reader *r);
