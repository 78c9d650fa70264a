/* What the history says last of one container: for who comes when its shim is gone. */
#pragma once

#include "recorder/recorder.h"

enum recorder_last {
	RECORDER_LAST_NONE,    /* it was never started */
	RECORDER_LAST_UNKNOWN, /* no record of that time is left, or none is kept in a file */
	RECORDER_LAST_STARTED, /* its start, and no end */
	RECORDER_LAST_ENDED,   /* its end or its refusal */
};

enum { LAST_BYTES_MAX = 16 << 20 };

/*
 * Looks through the end of both files of the recorder (LAST_BYTES_MAX each) and, for a start, takes
 * over what its group held then. `created`: when the container was, to know whether its start would
 * be there. A file that cannot be read says nothing.
 */
enum recorder_last recorder_find_last(struct recorder *r, time_t created);
