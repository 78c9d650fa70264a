/*
 * The one call that `start` itself makes to a running shim: keep a place for this container. A
 * complete small exchange on a blocking-free socket with a deadline, in ttrpc, so that the shim's
 * own server answers it.
 */
#pragma once

#include <stdbool.h>
#include "base/err.h"

enum { RESERVE_GRANTED = 1, RESERVE_LEAVING = 2 };

/*
 * The place is kept for as long as this connection is open, and beyond its end only once
 * reserve_keep was said on it: whoever asked may be killed before containerd has heard of it.
 */

/* RESERVE_GRANTED, RESERVE_LEAVING (the shim closed without an answer), or -errno (it does not
 * answer, or refuses). */
int reserve_ask(int sock, const char *ns, const char *id, struct err *err);

/* containerd has the address. Not answered; an older shim, which does not know it, kept the place
 * already. */
void reserve_keep(int sock, const char *id);

/*
 * The container will not come, or is over. 1: the shim has answered, nothing of it is left there
 * (or what is left is in its log, or it is an older one, which refuses: its place goes when its
 * time is over); 0: no shim answers there; -ETIMEDOUT: none has said anything for a second; -errno.
 */
int reserve_release(int sock, const char *id);
