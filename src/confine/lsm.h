/*
 * Labels of the Linux security modules: an AppArmor profile or a SELinux context that the
 * workload's program gets at exec. A label on a host whose kernel has no such module is refused, as
 * runc does;
 * "" and NULL mean none, AppArmor's "unconfined" needs no module either.
 */
#pragma once

#include <stdbool.h>
#include "base/err.h"

struct confine_lsm {
	bool apparmor, selinux; /* enabled in this kernel */
};

/* Looks in /sys and /proc of the host: called before the fork or before the view is entered. */
void confine_lsm_detect(struct confine_lsm *ret_lsm);

/* Checks labels before anything is started: ERR_PRECONDITION names module and label, ERR_INVALID
 * for one with a control character in it or longer than 4095 bytes. */
int confine_lsm_check(
	const struct confine_lsm *lsm, const char *apparmor, const char *selinux, struct err *err);

/*
 * In the child, after the uid change is planned but before seccomp is loaded: the next exec changes
 * to the label. `proc` as in confine/creds.h. A profile that is not loaded is ERR_NOT_FOUND.
 */
int confine_apparmor_on_exec(int proc, const char *profile, struct err *err);
int confine_selinux_on_exec(int proc, const char *label, struct err *err);
