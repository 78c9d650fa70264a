/* What the history says, as numbers that only grow: the counters of `reaperctl metrics`. */
#pragma once

#include <stddef.h>
#include <stdint.h>
#include "base/buf.h"
#include "base/err.h"

enum { COUNTERS_BOUNDS = 10 };

/* The numbers in one row, so that they are kept and read by a loop. */
enum counter {
	COUNTER_STARTS,
	COUNTER_EXECS,
	COUNTER_EXITS_OK,
	COUNTER_EXITS_FAILED,
	COUNTER_EXITS_OOM,
	COUNTER_BAD_LINES,
	COUNTER_START_MS,
	COUNTER_BUCKETS, /* one for each bound, and one for what took longer */
	COUNTER_REFUSED = COUNTER_BUCKETS + COUNTERS_BOUNDS + 1, /* one for each kind of error */
	_COUNTER_MAX = COUNTER_REFUSED + _ERR_KIND_MAX
};

/* Counts what `history_file` has had since `dir`/metrics.json was written, and writes that anew. */
int counters_update(
	const char *dir, const char *history_file, uint64_t ret_v[_COUNTER_MAX], struct err *err);

/* As Prometheus' families. */
int counters_print(const uint64_t v[_COUNTER_MAX], struct buf *out);
