/*
 * Whether the running daemon is well and has our runtime. "active" proves nothing: with a CRI
 * configuration it does not like containerd stays active and answers, only its CRI plugin is not
 * there. So the CRI plugin itself is asked (runtime.v1 Status, verbose): it answers only when it is
 * loaded, and its configuration names the handlers it really has.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include "base/err.h"
#include "node/daemon.h"

struct health_want {
	const char *address;         /* the daemon's socket */
	const char *default_runtime; /* must be among the handlers; NULL: whatever */
	const char *name;            /* of our handler */
	int handler;                 /* it: 1 must be there, 0 must not, -1 whatever */
};

/*
 * Asks once. 0, or the reason: ERR_UNAVAILABLE: the CRI plugin does not answer;
 * ERR_NOT_FOUND: it does, but the handlers are not what is wanted.
 */
int health_check(const struct health_want *want, uint64_t deadline, struct err *err);

/*
 * Asks until it is well or `timeout_s` have passed. `d` must be fresh: its main process is watched
 * meanwhile, so that a daemon that dies ends the waiting at once (ERR_PRECONDITION).
 */
int health_wait(const struct daemon *d, const struct health_want *want, uint64_t timeout_s,
	struct err *err);
