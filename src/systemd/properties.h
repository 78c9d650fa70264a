/* Limits as properties of a unit. For the files of this room only. */
#pragma once

#include "base/err.h"
#include "cgroup/cgroup.h"
#include "cgroup/limits.h"
#include "systemd/message.h"

/*
 * Appends a struct (sv) for each limit that systemd knows as a property: what it would otherwise
 * take away at its next daemon-reload. Returns how many, or -errno.
 */
int systemd_put_limits(struct dbus_writer *w, const struct cgroup *cg,
	const struct cgroup_limits *limits, struct err *err);
