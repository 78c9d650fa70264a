/*
 * Units that need containerd's (docker.service in many releases, kubelet overrides, cri-dockerd):
 * a stop of containerd stops them too, and a failed start leaves them so.
 */
#pragma once

#include "node/daemon.h"
#include "cli/report.h"

/* Those that are active now, in a new vector (NULL: none, or no service manager answers). */
char **dependants_active(const struct daemon *d);

/* Starts each of them that is not active any more, and notes it in the report. */
void dependants_start(char *const *units, struct report *rep);
