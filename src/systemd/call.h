/*
 * One request to systemd's manager over its private socket (/run/systemd/private, root only): no
 * libsystemd, no bus daemon. Never blocks: the owner polls `fd` for systemd_call_events() and calls
 * systemd_call_step(), or has systemd_call_run() do so with a deadline.
 *
 * Reference: org.freedesktop.systemd1(5) and CONTROL_GROUP_INTERFACE of systemd. The manager sends
 * its signals on the private socket without being asked, JobRemoved among them.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/err.h"
#include "cgroup/cgroup.h"
#include "cgroup/limits.h"

enum {
	SYSTEMD_UNIT_MAX = 255,
	SYSTEMD_BODY_MAX = 4096,
	SYSTEMD_MESSAGE_MAX = SYSTEMD_BODY_MAX + 512,
	SYSTEMD_INPUT_MAX = 8192,
};

/* No allocation in it: usable between fork and exec. */
struct systemd_call {
	int fd; /* the owner watches it and never closes it */
	unsigned state;
	unsigned kind;
	uint32_t serial; /* of the message that was sent last */
	bool tried_again, job_over;
	char unit[SYSTEMD_UNIT_MAX + 1];
	char result[32]; /* of the job */
	const char *method;
	const char *signature;
	uint8_t body[SYSTEMD_BODY_MAX];
	size_t body_len;
	uint8_t out[SYSTEMD_MESSAGE_MAX];
	size_t out_len, out_at;
	uint8_t in[SYSTEMD_INPUT_MAX];
	size_t in_len, skip;
};

/* Whether the host runs systemd as its manager (sd_booted(3)). */
bool systemd_runs(void);

/* A non-blocking connection to the manager, or -errno. ERR_UNAVAILABLE. */
int systemd_connect(struct err *err);

struct systemd_scope {
	const char *unit, *slice; /* "cri-containerd-ID.scope", "kubepods-besteffort.slice" */
	const char *description;
};

/*
 * The three requests. Each takes `fd` (from systemd_connect; a socket pair in tests) whatever it
 * answers, copies what it needs, and is to be ended with systemd_call_end. -EINVAL for a name that
 * is too long.
 *
 * Start: a transient scope with the *sender* (the process that connected) in it, Delegate=yes, all
 * accounting, no limit of tasks, garbage-collected in every end; done when its job is. systemd
 * makes the slices. A dead unit of the same name is reset and the start tried once more.
 */
int systemd_start_scope(
	struct systemd_call *c, int fd, const struct systemd_scope *scope, struct err *err);

/*
 * Makes limits known to systemd, so that a daemon-reload does not take them away: those that are
 * properties of a unit, from what cgroup_limits_apply would write. 1: there are none, nothing is to
 * be done. ERR_NOT_FOUND from the step when there is no such unit.
 */
int systemd_set_limits(struct systemd_call *c, int fd, const char *unit, const struct cgroup *cg,
	const struct cgroup_limits *limits, struct err *err);

/* Stops a unit; done when its job is, however it ended, or when there is no such unit. */
int systemd_stop_unit(struct systemd_call *c, int fd, const char *unit, struct err *err);

/* POLLIN, and POLLOUT while something is still to be sent. */
short systemd_call_events(const struct systemd_call *c);

/* Does what can be done now: 1 when the request is done, 0 to be called again when the descriptor
 * is ready, or -errno with systemd's own words. */
int systemd_call_step(struct systemd_call *c, struct err *err);

/* Steps until the request is done. Blocks in poll(); ERR_DEADLINE at `deadline_usec`
 * (base/clock.h). Never in the shim's loop. */
int systemd_call_run(struct systemd_call *c, uint64_t deadline_usec, struct err *err);

/* "systemd has not answered …": the error for an owner with a timer of its own. */
int systemd_call_late(const struct systemd_call *c, struct err *err);

/* Closes the connection; twice is allowed. */
void systemd_call_end(struct systemd_call *c);
