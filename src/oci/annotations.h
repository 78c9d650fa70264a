/*
 * What the annotations of a spec say about the container: its kind and its group. They come from
 * containerd's CRI plugin, and in part from the pod's author: nothing here may widen a right.
 */
#pragma once

#include "oci/spec.h"

#define OCI_ANNOTATION_CONTAINER_TYPE    "io.kubernetes.cri.container-type"
#define OCI_ANNOTATION_SANDBOX_ID        "io.kubernetes.cri.sandbox-id"
#define OCI_ANNOTATION_SANDBOX_NAMESPACE "io.kubernetes.cri.sandbox-namespace"
#define OCI_ANNOTATION_SANDBOX_NAME      "io.kubernetes.cri.sandbox-name"
#define OCI_ANNOTATION_SANDBOX_UID       "io.kubernetes.cri.sandbox-uid"
#define OCI_ANNOTATION_CONTAINER_NAME    "io.kubernetes.cri.container-name"
#define OCI_ANNOTATION_IMAGE_NAME        "io.kubernetes.cri.image-name"

enum oci_container_type {
	OCI_TYPE_PLAIN,     /* not made by CRI: ctr, nerdctl */
	OCI_TYPE_SANDBOX,   /* the pod's sandbox: a built-in sleeper, its args are never run */
	OCI_TYPE_CONTAINER, /* a container of a pod */
};

/*
 * Reads only the annotations of BUNDLE/config.json: all that `start` needs. ERR_NOT_FOUND (-ENOENT)
 * when the bundle has no config.json, which is normal for a sandbox of the Sandbox API: the group
 * is the id then.
 */
int oci_annotations_load(
	const char *bundle, struct oci_annotations *ret_annotations, struct err *err);
void oci_annotations_done(struct oci_annotations *annotations);

/* The value, or NULL. Borrowed. */
const char *oci_annotation_get(const struct oci_annotations *annotations, const char *key);

/* Whose container it is, as CRI says it; each NULL where it does not. */
struct oci_pod_names {
	char *ns, *pod, *uid, *container;
};

/* Copies of them; -ENOMEM, and nothing is held then. */
int oci_pod_names_copy(const struct oci_annotations *annotations, struct oci_pod_names *ret_names);
void oci_pod_names_done(struct oci_pod_names *names);

/* An unknown container-type is OCI_TYPE_PLAIN, as in containerd's own shims. */
enum oci_container_type oci_container_type(const struct oci_annotations *annotations);

/*
 * The id of the group (pod) that one shim serves: io.containerd.reaper.v2.group, else
 * io.containerd.runc.v2.group, else io.kubernetes.cri.sandbox-id, else the container's own id.
 * Borrowed from the annotations or `id`. A label that is empty, is longer than 1024 bytes or holds
 * control characters is refused with ERR_INVALID: it becomes part of a log line and of a hash.
 */
int oci_group_key(const struct oci_annotations *annotations, const char *id, const char **ret_key,
	struct err *err);
