/*
 * Sockets and FIFOs of the host inside the view. Through an overlay a socket answers ECONNREFUSED
 * and a FIFO ENXIO: the overlay's inode is not the one that the server listens on. So the host's
 * own are bound over them.
 */
#pragma once

#include "base/err.h"
#include "mount/op.h"

/*
 * Appends a bind for each socket, each FIFO and each directory of the host that one of the patterns
 * (REAPER_PASSTHROUGH: absolute, * ? [], NULL: none) matches: read-only, which connect() and FIFOs
 * do not mind; a directory follows what the host puts there later. Other files are left as they
 * are.
 */
int passthrough_add(char *const *patterns, struct mount_ops *ops, struct err *err);
