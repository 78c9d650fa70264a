/* How errors look on the wire: one table between our kinds and gRPC's codes, as containerd's
 * errdefs translates them. */
#pragma once

#include <stddef.h>
#include <stdint.h>
#include "base/err.h"

/* The gRPC code of a kind (ERR_NOT_FOUND: 5). */
int32_t ttrpc_status_code(enum err_kind kind);

/* The kind of a received code; ERR_UNKNOWN for numbers without one. */
enum err_kind ttrpc_status_kind(int32_t code);
