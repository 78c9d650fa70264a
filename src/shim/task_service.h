/*
 * The services on the shim's socket: containerd.task.v2.Task and containerd.task.v3.Task (identical
 * messages), the Sandbox service (sandbox_service.h), and the one call that `start` makes to a shim
 * that is there (shim/socket.h). Decode, ask container.c, encode; nothing is decided here.
 */
#pragma once

#include "ttrpc/server.h"

struct shim;

/* Fills shim->services and returns them; valid as long as the shim. */
const struct ttrpc_service *task_services(struct shim *shim, size_t *ret_n);
