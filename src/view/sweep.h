/*
 * What a container that may mount has left in its group: a bind of one of its volumes to another
 * place stays there as every mount does (share.h), and would keep a token readable and a device
 * attached when the pod is gone.
 */
#pragma once

#include "base/err.h"
#include "view/group.h"

/*
 * Unmounts, in the group's namespace and so in all that share its mounts, everything that is a
 * mount of one of `sources` (paths of the caller's namespace) or of what lies below it. A source
 * that is not there any more, or a group, is none. The caller's mount namespace and working
 * directory are the same before and after.
 */
int mount_group_sweep(const struct mount_group_spec *spec, char *const *sources, struct err *err);
