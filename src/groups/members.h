/* Who is in a group, as the records of the node's containers say. */
#pragma once

#include "base/err.h"
#include "groups/containers.h"

/*
 * The pods that have a container in the group of this key which has not ended: "default/web-0", and
 * for one that CRI has not made containerd's namespace and its id. Sorted, each once, as a new
 * vector (strv_free); NULL if there is none.
 */
int groups_pods(const struct containers *c, const char *key, char ***ret_pods, struct err *err);
