/* What of the container's view depends on what the host is at this moment; a step of init. */
#pragma once

#include "base/err.h"
#include "runtime/init_state.h"

/*
 * In the host's namespaces, before the sources of mounts are opened: brings the group's view up to
 * date and puts before the plan's mounts what the host has to be asked for: files that the view
 * would show in an old version (REAPER_STALE), sockets and FIFOs (REAPER_PASSTHROUGH).
 */
int host_view_prepare(struct init *in, struct err *err);
