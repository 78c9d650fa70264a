/* What the shim tells the flight recorder (recorder/recorder.h), one call for each moment. Nothing
 * here fails: what cannot be recorded is a line in the log. */
#pragma once

#include "base/err.h"
#include "conf/settings.h"
#include "oci/spec.h"

struct container;
struct process;

/* What a container is, as soon as it is known. `base_dir`: where its group writes; NULL: a sandbox.
 */
void history_begin(struct container *c, const struct oci_spec *spec,
	const struct settings *settings, const char *base_dir);

/* Its Create has failed, for whatever reason and however early. */
void history_refused(struct container *c, const struct err *why);

/* The program of a process runs. */
void history_runs(const struct process *p);

/* A process is over: its end, or why its program never ran. */
void history_over(const struct process *p);
