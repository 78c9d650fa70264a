/* When the hooks of a container run, and what their failure means. */
#pragma once

#include "shim/container.h"

/* From Create: which stages the spec has. ERR_UNIMPLEMENTED for hooks that would have to run in the
 * empty root of a sandbox. */
int container_hooks_init(struct container *c, const struct oci_spec *spec, struct err *err);

/* Whether a sandbox that is ready has hooks to run first: it does not ask for them itself. */
bool container_hooks_wanted(const struct container *c);

/*
 * The first process runs: whether its Start is answered here, when the poststart hooks have ended.
 * One that fails ends the container and Start (runtime-spec runtime.md#lifecycle, as runc).
 */
bool container_poststart(struct container *c);

/*
 * The last hooks, once in the life of a container whoever is first, the shim or `delete`: then
 * `then` goes on with `c`, at once if there are none. Their failure is logged.
 */
void container_poststop(struct container *c, void (*then)(struct container *c));
