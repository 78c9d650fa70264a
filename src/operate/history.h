/* `reaperctl history`: what the flight recorder (recorder/recorder.h) has kept on this node. */
#pragma once

#include "cli/cli.h"

/*
 * Prints the records of the file and of the older one, oldest first: those of --pod, --namespace,
 * --uid, --since, --until and --failed (refusals, and ends with a status that is not 0). With
 * --json the lines as they are. With --follow it goes on with each record as it is written. Lines
 * that are no record (of a disk that was full) are counted on standard error. Exit status 1 when
 * the settings or a file cannot be read.
 */
int history_command(const struct cli_args *args);

enum { HISTORY_WHEN_SIZE = 32 };

/*
 * A time of --since and --until as records spell it: "15m", "2h", "3d", "90s" before `now`, or the
 * beginning of "2026-11-29T05:40:00Z" from the date on, which is UTC. -EINVAL.
 */
int history_when(const char *text, int64_t now, char ret[HISTORY_WHEN_SIZE]);
