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

#include <stdbool.h>
#include "base/err.h"

#define SHIM_SERVICE        "reaper.shim.v1.Shim"
#define SHIM_METHOD_RESERVE "Reserve"
#define SHIM_METHOD_HOLD    "Hold"
#define SHIM_METHOD_KEEP    "Keep"
#define SHIM_METHOD_RELEASE "Release"

enum { SOCKET_PATH_MAX = 107 }; /* sun_path less its NUL */

/*
 * The path for a group of containers: DIR/hex of SHA-256 of "ADDRESS/NAMESPACE/GROUP", as
 * containerd's own shims compute it (pkg/shim/util_unix.go), so that `ctr shim` finds it. `dir`
 * NULL = /run/containerd/s. Caller frees.
 */
int socket_path(const char *dir, const char *address, const char *ns, const char *group,
	char **ret_path, struct err *err);

/* Who gets the path. One of the two is open. */
struct socket_claim {
	int lock; /* nobody listens there, and nobody else will while this is held: socket_bind */
	int peer; /* the shim that listens there has reserved a place; say reserve_keep on it */
};

#define SOCKET_CLAIM_INIT                       \
	{                                       \
		.lock = -EBADF, .peer = -EBADF, \
	}

/* Claims `path` for `id`; a stale socket there is removed. */
int socket_claim(const char *path, const char *ns, const char *id, struct socket_claim *ret_claim,
	struct err *err);
void socket_claim_done(struct socket_claim *claim);

/*
 * Binds and listens at `path`, which is claimed: the listener or -errno. It is the shim itself that
 * does it, not its `start`: a socket without a shim is nobody's to remove. Async-signal-safe.
 */
int socket_bind(const char *path);

/*
 * Removes `path` if nobody listens there. For `delete`; silent. A shim that lives is told that
 * container `id` will not come, or is over: containerd has lost the connection, before Create or
 * after it. It answers when nothing of it is left. One that is just being killed lets go of its
 * connections before it lets go of this one, so that whoever takes the connection must answer, too;
 * one that does not for a second is left alone.
 */
enum socket_release {
	SOCKET_OF_NOBODY, /* there is no shim */
	SOCKET_OF_A_SHIM, /* one that lives, and has nothing of the container any more */
	SOCKET_SILENT,    /* somebody is there who does not answer */
};
enum socket_release socket_release(const char *path, const char *id);
