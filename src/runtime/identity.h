/*
 * Who a container's user is by name: the annotation reaper.runtime/user, looked up in the node's
 * databases (files, LDAP, SSSD …, whatever its nsswitch.conf says) by the node's own getent, for
 * these programs are static and load no NSS module. It is asked on the node, outside of the view:
 * what pods have written decides neither who somebody is nor which program is run as root here.
 *
 * What was found is kept in the bundle, so that every exec is the same user as the container's
 * first process, also when the directory service is away or has changed its mind.
 */
#pragma once

#include <stddef.h>
#include <sys/types.h>
#include "base/err.h"
#include "oci/spec.h"

#define IDENTITY_FILE "reaper-user.json" /* in the bundle, 0600 */

enum {
	IDENTITY_GROUPS_MAX = 65536, /* the kernel's NGROUPS_MAX */
	IDENTITY_LOOKUP_S = 20,      /* how long the node's databases have for one answer */
};

struct identity {
	char *name; /* as its database spells it */
	uid_t uid;
	gid_t gid;
	gid_t *groups; /* supplementary ones; its own may be among them */
	size_t n_groups;
	char *home, *shell; /* "" where the database has none */
};

#define IDENTITY_INIT         \
	{                     \
		.name = NULL, \
	}

void identity_done(struct identity *who);

/*
 * Asks the node. Blocking, for init before its gate: at most IDENTITY_LOOKUP_S for each of two
 * questions, and no longer than watch_fd is open (-EBADF: nobody watches). ERR_NOT_FOUND names the
 * unknown user; ERR_DEADLINE when the databases do not answer; ERR_CANCELED when watch_fd ended.
 */
int identity_lookup(const char *name, int watch_fd, struct identity *ret_who, struct err *err);

/* Lines of `getent passwd NAME` and `getent initgroups NAME`. ERR_INVALID with what is wrong. */
int identity_parse(
	const char *passwd, const char *initgroups, struct identity *ret_who, struct err *err);

/* To and from the bundle. Reading answers -ENOENT when there is none. */
int identity_write(int bundle_fd, const struct identity *who, struct err *err);
int identity_read(int bundle_fd, struct identity *ret_who, struct err *err);

/* The ids of one process. */
struct identity_ids {
	uid_t uid;
	gid_t gid;
	gid_t *groups; /* the caller frees it */
	size_t n_groups;
};

/*
 * What the annotation makes of the ids in the spec. It narrows and never widens:
 *  - a spec that says root (runAsUser is not set, or 0) becomes this user, with its groups and the
 *    spec's additional ones but 0; a primary group that the spec gives (runAsGroup) stays;
 *  - a spec that says somebody else keeps its numbers, and is refused with ERR_PERMISSION unless
 *    that is the user: no group of the directory is added to what the pod's admission has seen.
 */
int identity_decide(const struct identity *who, const struct oci_process *p,
	struct identity_ids *ret_ids, struct err *err);
