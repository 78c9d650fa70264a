/* Where a process's output goes, as Create and Exec say it: a path, or a URI (contract §5.5). */
#pragma once

#include "base/err.h"

enum stream_scheme {
	STREAM_FIFO,      /* PATH or fifo:///PATH */
	STREAM_FILE,      /* file:///PATH: appended to */
	STREAM_BINARY,    /* binary:///PATH?KEY=VALUE…: a logger that reads the pipes itself */
	STREAM_BINARY_V2, /* the same, and it must say that it is ready */
};

struct stream_uri {
	enum stream_scheme scheme;
	char *path;
	char **argv; /* of a logger: PATH KEY VALUE … */
};

#define STREAM_URI_INIT       \
	{                     \
		.path = NULL, \
	}

/*
 * Takes `text` apart and decodes what is escaped in it (%20, and + in the query). ERR_INVALID for a
 * scheme that is unknown and for a URI without an absolute path, naming it; -ENOMEM.
 */
int stream_uri_parse(const char *text, struct stream_uri *ret_uri, struct err *err);

/* stdin and stderr have no scheme of their own: the path, with or without fifo:// before it. Points
 * into `text`. */
const char *stream_fifo_path(const char *text);

/* Frees what it holds. NULL and twice are allowed. */
void stream_uri_done(struct stream_uri *uri);
