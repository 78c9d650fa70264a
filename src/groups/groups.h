/*
 * Which group a container belongs to: the pod's annotations and the node's settings become a
 * store_group. The shim asks to record it, the runtime to enter it. And the end of a group, for all
 * three programs.
 */
#pragma once

#include "base/err.h"
#include "conf/settings.h"
#include "oci/spec.h"
#include "store/group.h"
#include "view/group.h"

/* The capabilities of a container that asks for nothing, up to a NULL. */
const char *const *groups_default_caps(void);

/*
 * Whether a container has more rights than most: more than containerd's default capabilities, or
 * the pid namespace of the host. For who is in the host's itself.
 */
bool groups_is_powerful(const struct oci_spec *spec, const struct settings *settings);

/*
 * Chooses by scope (REAPER_OVERLAY_ISOLATION), name (annotation overlay-name) and trust
 * (REAPER_OVERLAY_TRUST) and fills all of *ret_group. `ns`, `id`: containerd's namespace and the
 * container's id. A container that is in no Kubernetes namespace (ctr) has a group of its own in
 * the scope `namespace`. `powerful`: see above. Pure.
 */
int groups_choose(const struct oci_spec *spec, const struct settings *settings,
	const struct store_layout *layout, const char *ns, const char *id, bool powerful,
	struct store_group *ret_group, struct err *err);

/* Whether what the container mounts while it runs is to appear in the rest of its group. */
bool groups_share_mounts(const struct settings *settings, const struct store_group *group);

/*
 * The host's sources of the container's volumes that belong to its pod (kubelet's and containerd's,
 * no hostPath), if the container could mount them elsewhere and its group would have that mount:
 * for groups_sweep. A new vector (strv_free), NULL if there is none. -ENOMEM.
 */
int groups_swept_volumes(const struct oci_spec *spec, const struct settings *settings,
	const struct store_group *group, char ***ret_sources);

/* mount_group_sweep for the group of this key, when the container has ended. NULL: nothing to do.
 */
int groups_sweep(
	const struct store_layout *layout, const char *key, char *const *sources, struct err *err);

/*
 * Whether the group's writes are to lie in `snapshot`, the container's own (view/snapshot.h): it is
 * one pod's, the settings leave it to us, no annotation limits it to less than a disk, and the
 * snapshot can hold it. `home`: the snapshot of the pod's sandbox. NULL for either: no.
 */
bool groups_use_snapshot(const struct settings *settings, const struct store_group *group,
	const char *snapshot, const char *home);

/* snapshot_move for the groups of this layout. */
int groups_move_snapshot(
	const struct store_layout *layout, const char *from, const char *to, struct err *err);

/* What mount/ needs to know of it. Everything is borrowed; sizes are left 0. */
struct mount_group_spec groups_mount_spec(
	const struct store_layout *layout, const struct store_group *group);

/* What of the host does not exist in the group's view. Borrows the settings' strings. */
struct mask_rules groups_mask(const struct settings *settings);

/* mount_group_gc for the group of this key, in the places that its record names. */
int groups_remove(const struct store_layout *layout, const char *key, struct err *err);
