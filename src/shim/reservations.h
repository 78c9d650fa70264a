/*
 * The places that a shim keeps for containers which `start` has promised to containerd and nobody
 * has created yet. One is kept for two minutes, or until the `start` that asked for it has come to
 * an end before containerd had its address: then nobody will ever use it.
 */
#pragma once

#include "shim/shim.h"

/* The place of `id` is kept by whoever holds the other end of `fd_take` (a socket; owned from here
 * on), who writes a byte when containerd has the address. Without a reservation of `id` it is
 * closed. */
void reservations_watch(struct shim *shim, const char *id, int fd_take);

/* The same by a connection: `call` is answered when the place is used up, or kept. */
void reservations_hold(struct shim *shim, const char *id, struct ttrpc_call *call);

/* containerd has the address. */
void reservations_keep(struct shim *shim, const char *id);

/* At the end of the shim. */
void reservations_clear(struct shim *shim);
