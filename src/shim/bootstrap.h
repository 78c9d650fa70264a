/* What containerd says on the standard input of `start`, and how it wants to be answered (contract
 * §1.4, §1.5). */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/err.h"

enum { BOOTSTRAP_INPUT_MAX = 10 * 1024 * 1024 };

struct bootstrap {
	bool params; /* stdin was BootstrapParams (2.3 and later): answer in protobuf */
	bool debug;
	char *ttrpc_address; /* NULL: not said, the environment counts */
	char *socket_dir;    /* NULL: not said */
	char *shim_cgroup; /* NULL: not said. Runtime option ShimCgroup (containerd.runc.v1.Options)
			    */
};

/*
 * Reads it. Everything that is not BootstrapParams of this very id and namespace (nothing, an Any
 * of runtime options, garbage) is the older dialect, never an error. -ENOMEM.
 */
int bootstrap_parse(
	struct bootstrap *b, const uint8_t *data, size_t len, const char *ns, const char *id);
void bootstrap_done(struct bootstrap *b);

/* The answer for this dialect: "unix://PATH", bare or as a BootstrapResult of version 2. Caller
 * frees. */
int bootstrap_answer(
	const struct bootstrap *b, const char *socket_path, uint8_t **ret_data, size_t *ret_len);
