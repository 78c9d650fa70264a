/*
 * Seccomp: an OCI linux.seccomp object (JSON text) becomes a BPF program, which a child loads with
 * the raw system call (runtime-spec config-linux.md#seccomp). Compiling containerd's default
 * profile takes 15 ms, so the program is kept in a directory.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/err.h"

enum {
	CONFINE_SECCOMP_JSON_MAX = 1 << 20, /* bytes of profile */
	CONFINE_SECCOMP_RULES_MAX =
		16384, /* names times conditions that are handed to libseccomp */
};

struct confine_seccomp {
	void *filter;   /* array of struct sock_filter; NULL: no filter */
	size_t n;       /* instructions */
	uint32_t flags; /* SECCOMP_FILTER_FLAG_* for seccomp(2) */
};

#define CONFINE_SECCOMP_INIT \
	{                    \
		0            \
	}

void confine_seccomp_done(struct confine_seccomp *s);

/*
 * Compiles a profile. As runc does: syscall names that libseccomp does not know are left out, rules
 * with the default action too, several conditions on one argument are alternatives, without "flags"
 * SPEC_ALLOW is set, and syscalls newer than any that the profile names fail with ENOSYS where the
 * default action is an errno or kill (so that programs fall back). Refused by name with
 * ERR_INVALID: unknown actions, operators, architectures, flags, malformed values, an errno for an
 * action without one, SCMP_ACT_NOTIFY as the default, for write or without listenerPath. `json`
 * need not be NUL-terminated.
 */
int confine_seccomp_compile(
	const char *json, size_t len, struct confine_seccomp *ret_s, struct err *err);

/*
 * The same through a cache: DIR/<hash of profile, architecture, libseccomp>. DIR (made 0700 if it
 * is not there; its parent must exist) must belong to root and be closed to others, or it is not
 * used. The file holds the profile as well and counts only if that is equal. A cache that cannot be
 * read or written is no error. `dir` NULL: no cache. *ret_hit (may be NULL) says what happened.
 */
int confine_seccomp_get(const char *dir, const char *json, size_t len,
	struct confine_seccomp *ret_s, bool *ret_hit, struct err *err);

/*
 * Loads it for the calling thread: needs no_new_privs or CAP_SYS_ADMIN. Last before exec with
 * no_new_privs, before capabilities are dropped without. A kernel that does not know a flag
 * (SPEC_ALLOW, LOG, WAIT_KILLABLE_RECV) is asked again without. No filter: success.
 * Async-signal-safe. *ret_listener: the close-on-exec descriptor on which a profile with
 * SCMP_ACT_NOTIFY asks, else -EBADF. From then on only write is sure to return before somebody
 * answers there.
 */
int confine_seccomp_load(const struct confine_seccomp *s, int *ret_listener, struct err *err);
