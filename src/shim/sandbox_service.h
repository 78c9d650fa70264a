/*
 * containerd.runtime.sandbox.v1.Sandbox, for `sandboxer = "shim"` (contract §6.5): the pod's
 * sandbox is made by its own calls and not by a task with a pause image. It is the same process as
 * the sandbox task's (sandbox/child.h), a container whose audience is this service: no task event
 * is published for it, and the Task service knows it only where containerd asks with the sandbox's
 * id after a restart (Connect, Pids).
 *
 *            none       created    ready      stopped
 *   Create   ->created  6          6          6          9 for another id than the one that is here
 *   Start    5          ->ready    9          9
 *   Stop     5          ->stopped  ->stopped  ok
 *   Wait     5          parks      parks      ok
 *   Status   5          NOTREADY   READY      NOTREADY
 *   Ping     5          ok         ok         ok
 *   Metrics  5          ok         ok         ok
 *   Shutdown ok         ->none     ->none     ->none     then the shim leaves when no task is left
 *   Platform ok, whatever the id
 */
#pragma once

#include "ttrpc/server.h"

#define SANDBOX_SERVICE "containerd.runtime.sandbox.v1.Sandbox"

/* The methods; their context is the shim. */
extern const struct ttrpc_method sandbox_methods[];
extern const size_t n_sandbox_methods;
