/*
 * Who the workload is: groups, gid, uid, umask; and three small attributes that are set beside
 * them. All of it is called in a fresh single-threaded child, in the order of docs/ARCHITECTURE.md.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>
#include "base/err.h"

struct confine_creds {
	uid_t uid;
	gid_t gid;
	const gid_t *groups; /* borrowed; the list is set even when it is empty */
	size_t n_groups;
	bool has_umask;
	mode_t umask;
};

#define CONFINE_CREDS_INIT \
	{                  \
		0          \
	}

/*
 * setgroups, setresgid, setresuid (with PR_SET_KEEPCAPS, which confine_caps_apply ends), umask
 * (0022 when not given, as runc). Needs CAP_SETGID and CAP_SETUID. The parent-death signal and
 * the dumpable flag are reset by the kernel on the way.
 */
int confine_creds_apply(const struct confine_creds *creds, struct err *err);

/*
 * Writes oom_score_adj of the calling process (-1000…1000). The kernel refuses lowering it without
 * CAP_SYS_RESOURCE: then what was inherited stays, *ret_refused is true, and this is no error.
 * `proc` is a directory descriptor of a procfs in which "self" is the caller.
 */
int confine_oom_score_adj(int proc, int value, bool *ret_refused, struct err *err);

/* prctl(PR_SET_NO_NEW_PRIVS). */
int confine_no_new_privs(struct err *err);

/*
 * A session keyring of its own, empty: the inherited one is the shim's, and who possesses it may
 * use the keys that containerd's service or an administrator's login keeps there (keyrings(7); runc
 * has the same). No error where the kernel has no keyrings or a filter around us forbids the call:
 * the workload cannot use any then either.
 */
int confine_new_keyring(struct err *err);

/* A descriptor of /proc, checked to be a procfs, close-on-exec; -errno with the reason. */
int confine_open_proc(struct err *err);
