/*
 * Capabilities: names to sets before the fork, sets to the kernel in the child.
 * (runtime-spec config.md#linux-process, capabilities(7))
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include "base/err.h"

/* Bit n is capability n, as in /proc/PID/status. */
struct confine_caps {
	uint64_t effective, permitted, inheritable, bounding, ambient;
};

#define CONFINE_CAPS_INIT \
	{                 \
		0         \
	}

/* Adds "CAP_NET_RAW" (any case) to *set. ERR_INVALID for a name that this build does not know. */
int confine_caps_add(uint64_t *set, const char *name, struct err *err);

/* "CAP_A, CAP_B" of a set, in a new string of the caller's; "none" for the empty set. -ENOMEM. */
int confine_caps_format(uint64_t set, char **ret_text);

/* What this process could hand to a child: its bounding set and permitted set in one. */
int confine_caps_available(uint64_t *ret_set, struct err *err);

/*
 * Cuts every set to `available` and returns in *ret_missing what was asked for and cannot be had.
 * The caller's policy: a spec that asks for everything there is (confine_caps_is_all) is a
 * privileged one and goes on with a note; any other is refused by name, because runc fails there
 * with EPERM as well.
 */
void confine_caps_fit(struct confine_caps *caps, uint64_t available, uint64_t *ret_missing);

/* Whether the bounding set asks for all of `available`: what CRI gives to privileged pods. */
bool confine_caps_is_all(const struct confine_caps *caps, uint64_t available);

/*
 * In the child, in this order: confine_caps_bound while it is still root, confine_creds_apply
 * (keeps the permitted set over the uid change), confine_caps_apply. Raw system calls only.
 */
int confine_caps_bound(const struct confine_caps *caps, struct err *err);

/* Sets permitted, effective, inheritable and ambient; ends keep-caps. The ambient set must lie
 * within permitted and inheritable: ERR_INVALID otherwise. */
int confine_caps_apply(const struct confine_caps *caps, struct err *err);
