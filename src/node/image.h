/*
 * The image that pods of host programs name: Kubernetes wants one even for a process of the host,
 * and a node may have no registry. It is made here, byte for byte the same everywhere, from
 * nothing: no command, no files.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include "base/buf.h"
#include "base/err.h"
#include "cli/cli.h"
#include "node/daemon.h"

#define IMAGE_NAME "reaper.local/host:1"

/* Appends the OCI image layout as a tar. -ENOMEM, -EMSGSIZE. */
int image_tar(struct buf *out);

/*
 * Imports the image into a namespace of the daemon at `address`, labels it as the CRI plugin's own
 * and pins it, unless it is there with these bytes already. `program` is the daemon's program (its
 * `ctr` lies beside it), or NULL. *ret_changed tells whether anything was done.
 */
int image_ensure(const char *program, const char *address, const char *containerd_namespace,
	uint64_t timeout_s, bool *ret_changed, struct err *err);

/* Whether the image is there as image_ensure would leave it. */
int image_look(const char *program, const char *address, const char *containerd_namespace,
	uint64_t timeout_s, bool *ret_there, struct err *err);

/* The commands `reaperctl image tar` and `reaperctl image import`. */
int image_tar_command(const struct cli_args *args);
int image_import_command(const struct cli_args *args);
