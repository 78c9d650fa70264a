/* How a container's state is shown: as the OCI specification has it, and to people. */
#pragma once

#include "base/clock.h"
#include "base/err.h"
#include "base/json.h"
#include "groups/containers.h"

/* "created", "running", "stopped" as the OCI specification has them, and runc's "paused". */
const char *container_status_name(enum container_status status);

/* The OCI state, with the members of our own: namespace, group, sandbox, created, exit. */
int container_state_json(
	const struct container_info *info, struct json_object **ret_object, struct err *err);

/* The same for people, in *ret_text (the caller frees). */
int container_state_text(const struct container_info *info, char **ret_text, struct err *err);

/* 2026-11-23T10:00:00Z, in `buf`; "-" for a time that is not known. */
enum { CONTAINER_TIME_SIZE = CLOCK_TEXT_SIZE };
const char *container_time(const struct timespec *t, char buf[CONTAINER_TIME_SIZE]);
