/*
 * The state of a container as the specification writes it (runtime-spec runtime.md#state): what
 * hooks get on their standard input and a seccomp agent with its descriptor.
 */
#pragma once

#include <sys/types.h>
#include "oci/annotations.h"

struct oci_state {
	const char *id;
	const char *status; /* "creating", "created", "running", "stopped" */
	pid_t pid;          /* of the first process, as the reader numbers it; 0: left out */
	const char *bundle; /* as the reader finds it */
	const char *root;   /* ours: the view as the reader finds it; NULL: left out */
	const struct oci_annotations *annotations;
};

/* A new object of the caller's (json_put_consume, json_object_freep); NULL when memory ends. */
struct json_object *oci_state_object(const struct oci_state *state);
