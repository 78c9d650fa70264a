/* The poststop hooks of a container whose shim is dead. */
#pragma once

#include <stdint.h>
#include "base/err.h"
#include "shim/options.h"

/*
 * Runs them unless somebody has already (store_claim_poststop); blocks until they have ended or
 * CLOCK_BOOTTIME passes `deadline_usec`, when they are killed. `bundle_fd` is the bundle. Answers
 * 0, also when there are none, or what failed.
 */
int delete_run_poststop(
	const struct shim_options *opts, int bundle_fd, uint64_t deadline_usec, struct err *err);
