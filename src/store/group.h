/*
 * A group of containers that share one view of the host, as it is named on disk: who is in it
 * decides its key, and the key is the name of its pin and of its directory. What a group is at
 * work, view/group.h says.
 *
 *   ns/KEY                        its mount namespace
 *   groups/KEY/record.json        0600 what the key does not tell people: names as they were given
 *   groups/KEY/overlay            its tmpfs; the node's own group has REAPER_OVERLAY_BASE instead
 */
#pragma once

#include <stdbool.h>
#include "base/err.h"
#include "store/layout.h"

#define STORE_GROUP_NODE_KEY "node"
#define STORE_GROUP_RECORD   "record.json"

enum store_group_scope {
	STORE_GROUP_NODE,      /* every container of the node */
	STORE_GROUP_NAMESPACE, /* those of one Kubernetes namespace */
	STORE_GROUP_POD,       /* those of one pod, with which it goes */
	STORE_GROUP_SEPARATE,  /* those of one pod that have more rights; goes with it, too */
	_STORE_GROUP_SCOPE_MAX
};

/* "node", "namespace", "pod", "separate". */
const char *store_group_scope_name(enum store_group_scope scope);

struct store_group {
	enum store_group_scope scope;
	char *ns;   /* NAMESPACE: Kubernetes' namespace; POD, SEPARATE: containerd's */
	char *id;   /* POD, SEPARATE: of the sandbox, or of a container without one */
	char *name; /* of the annotation overlay-name; NULL: the scope's group without a name */
	char *pod;  /* POD, SEPARATE: "default/web-0", for people; NULL: not known */

	char *key;      /* store_group_place */
	char *dir;      /* groups/KEY */
	char *base_dir; /* mount point of its tmpfs */
};

#define STORE_GROUP_INIT     \
	{                    \
		.key = NULL, \
	}

void store_group_done(struct store_group *g);

/*
 * The key of scope, ns, id and name, in *ret_key (the caller frees): valid for store_ns_path, and
 * different for different groups whatever bytes the names are made of. Pure. -ENOMEM.
 *
 *   key    scope *("." part)       at most 200 bytes, else
 *          scope "._-" SHA-256     of that text
 *   part   [A-Za-z0-9-] as they are, every other byte as "_" and two hexadecimal digits
 */
int store_group_key(const struct store_group *g, char **ret_key);

/* Fills key, dir and base_dir from the rest. */
int store_group_place(const struct store_layout *layout, struct store_group *g, struct err *err);

/* Whether a group of this key goes with its pod, and whether its scope is SEPARATE. */
bool store_group_is_of_pod(const char *key);
bool store_group_is_separate(const char *key);

/*
 * Writes DIR/record.json below `groups_fd`, the open directory of the layout's groups, unless it is
 * there. The group's directory exists.
 */
int store_group_record(int groups_fd, const struct store_group *g, struct err *err);

/*
 * The group of this key: from its record, or, if that is missing or unreadable, what the key alone
 * tells. `key` is one that store_groups_list or a container's record has.
 */
int store_group_load(const struct store_layout *layout, const char *key,
	struct store_group *ret_group, struct err *err);

/*
 * The keys of all groups of which anything is on disk (pin, directory, the node's upper), sorted,
 * as a new vector (strv_free); NULL if there is none.
 */
int store_groups_list(const struct store_layout *layout, char ***ret_keys, struct err *err);
