/*
 * EKS' nodeadm renders containerd's configuration from NodeConfig documents at every boot, so that
 * an edit of the file is gone with the next one. The runtime goes into a NodeConfig of our own
 * beside the edit: /etc/eks/nodeadm.d/50-reaper.yaml. Source: awslabs/amazon-eks-ami, nodeadm/doc
 * (drop-in directory; spec.containerd.config is merged into the template).
 */
#pragma once

#include "merge/plan.h"

/* Writes the NodeConfig where the directory exists and the file has other bytes; what was done, or
 * why not, is a note of the report. */
void nodeadm_write(const struct plan *p, struct report *rep);

/* Removes it, unless somebody edited it, which is noted. */
void nodeadm_remove(const char *root, const char *handler, struct report *rep);
