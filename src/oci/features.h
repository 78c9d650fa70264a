/*
 * What this runtime can do, in the OCI features format (runtime-spec features.md): for
 * `reaper-runtime features` and, packed by the shim, for `containerd-shim-reaper-v2 -info`.
 */
#pragma once

#include <stddef.h>
#include "base/err.h"
#include "base/json.h"

#define OCI_VERSION_MIN "1.0.0"
#define OCI_VERSION_MAX "1.2.1"

/* The document as text in *ret_text (the caller frees); ret_len may be NULL. id-mapped mounts and
 * user namespaces are not in it, so that CRI refuses such pods by itself. */
int oci_features_write(enum json_style style, char **ret_text, size_t *ret_len, struct err *err);
