/*
 * `reaperctl metrics`: what Reaper does on this node, in the text format of Prometheus, for the
 * textfile collector of the node exporter. docs/OPERATIONS.md has the names.
 */
#pragma once

#include "cli/cli.h"

#define METRICS_STATE_DIR "/var/lib/reaper"

/*
 * Gauges are read from records, /proc and the groups' file systems; counters are what the history
 * says, counted on from the last call: they are kept in STATE_DIRECTORY (of systemd, else
 * METRICS_STATE_DIR)/metrics.json, because the history forgets. Two calls wait for each other.
 * Without a history file there are only gauges. --output is replaced atomically, mode 0644, else
 * the text goes to standard output. Exit status 1, and nothing written, when something cannot be
 * read.
 */
int metrics_command(const struct cli_args *args);
