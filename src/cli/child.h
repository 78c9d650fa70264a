/* Runs a program of the node (containerd, ctr, systemctl, journalctl) and collects what it says. */
#pragma once

#include <stddef.h>
#include <stdint.h>
#include "base/buf.h"
#include "base/err.h"

enum {
	CHILD_OUTPUT_MAX = 64 << 20, /* bytes of one stream; a program that says more is ended */
};

struct child_spec {
	const char *path;  /* the program */
	char *const *argv; /* argv[0] included */
	const void *input; /* its stdin, NULL: /dev/null */
	size_t input_len;
	uint64_t timeout_s; /* the program is killed behind it; 0 is 60 */
};

struct child_result {
	uint32_t status; /* exit code, or 128 + signal */
	struct buf out, err;
};

#define CHILD_RESULT_INIT                                                            \
	{                                                                            \
		.out = BUF_INIT(CHILD_OUTPUT_MAX), .err = BUF_INIT(CHILD_OUTPUT_MAX) \
	}

/*
 * Runs it to its end: 0 whatever its status, or an error when it could not be started, said too
 * much (ERR_EXHAUSTED) or took too long (ERR_DEADLINE); it is gone then. It gets this process's
 * environment with LC_ALL=C, so that its words can be read. `ret` must be CHILD_RESULT_INIT; the
 * caller ends it with child_result_done.
 */
int child_run(const struct child_spec *spec, struct child_result *ret, struct err *err);
void child_result_done(struct child_result *r);

/* As child_run; a status other than 0 is an error that quotes the last line of its stderr. */
int child_must(const struct child_spec *spec, struct child_result *ret, struct err *err);

/* The path of an executable called `name` on $PATH in *ret_path; ERR_NOT_FOUND. */
int child_find(const char *name, char **ret_path, struct err *err);

/* The last line with any text of a program's output, for messages; a static "" if there is none.
 * Cuts the line ending off in place. */
const char *child_last_line(struct buf *b);
