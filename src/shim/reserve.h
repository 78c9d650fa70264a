/*
 * The one call that `start` itself makes to a running shim: keep a place for this container. A
 * complete small exchange on a blocking-free socket with a deadline, in ttrpc, so that the shim's
 * own server answers it.
 */
#pragma once

#include "base/err.h"

enum { RESERVE_GRANTED = 1, RESERVE_LEAVING = 2 };

/* RESERVE_GRANTED, RESERVE_LEAVING (the shim closed without an answer), or -errno (it does not
 * answer, or refuses). */
int reserve_ask(int sock, const char *ns, const char *id, struct err *err);
