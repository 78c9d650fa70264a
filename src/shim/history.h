/* What the shim tells the flight recorder (recorder/recorder.h), one call for each moment. Nothing
 * here fails: what cannot be recorded is a line in the log. */
#pragma once

#include "base/err.h"
#include "conf/settings.h"
#include "oci/spec.h"

struct container;
struct process;
struct store_record;

/* What a container is, as soon as it is known. `base_dir`: where its group writes; NULL: a sandbox.
 */
void history_begin(struct container *c, const struct oci_spec *spec,
	const struct settings *settings, const char *base_dir);

/* It is made and its program is about to be let go. */
void history_ready(struct container *c);

/* Its Create has failed, for whatever reason and however early. */
void history_refused(struct container *c, const struct err *why);

/* The program of a process runs. */
void history_runs(const struct process *p);

/* A process is over: its end, or why its program never ran. */
void history_over(const struct process *p);

/*
 * For `delete`: the end of a container whose shim is gone, unless the history has it. `ran`: it was
 * seen running, which counts where the history does not reach back to its start. Before the group
 * is removed.
 */
int history_after_shim(
	const char *bundle, const struct store_record *record, bool ran, struct err *err);
