/*
 * The shim's socket: where it is, who binds it, and how a second container of a pod finds the shim
 * that is there.
 *
 * The race to win: a `start` that finds a shim which is on its way out. A `start` does not merely
 * connect, it reserves (SHIM_SERVICE / Reserve) and only a shim that answered will stay until that
 * container was created. A shim that leaves unlinks its socket first and closes what is still in
 * its backlog unanswered; the `start` then binds anew.
 */
#pragma once

#include "base/err.h"

#define SHIM_SERVICE        "reaper.shim.v1.Shim"
#define SHIM_METHOD_RESERVE "Reserve"

enum { SOCKET_PATH_MAX = 107 }; /* sun_path less its NUL */

/*
 * The path for a group of containers: DIR/hex of SHA-256 of "ADDRESS/NAMESPACE/GROUP", as
 * containerd's own shims compute it (pkg/shim/util_unix.go), so that `ctr shim` finds it. `dir`
 * NULL = /run/containerd/s. Caller frees.
 */
int socket_path(const char *dir, const char *address, const char *ns, const char *group,
	char **ret_path, struct err *err);

/*
 * Either *ret_listener is a bound listening socket at `path` (a stale one was removed), or it is
 * -EBADF and the shim that listens there has reserved a place for `id`. Concurrent callers are
 * serialised by a lock on the directory.
 */
int socket_claim(
	const char *path, const char *ns, const char *id, int *ret_listener, struct err *err);

/* Removes `path` if nobody listens there. For `delete`; silent. */
void socket_remove_stale(const char *path);
