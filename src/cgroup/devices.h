/*
 * The device controller: which device nodes a workload may open or make. It is a security boundary
 * (MKNOD is a default capability), so "cannot be enforced here" is an answer of its own.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/err.h"
#include "cgroup/cgroup.h"

enum { CGROUP_DEVICE_ANY = -1 };

/* What may be done; the bits are those of the kernel's BPF interface (BPF_DEVCG_ACC_*). */
enum { CGROUP_DEVICE_MKNOD = 1, CGROUP_DEVICE_READ = 2, CGROUP_DEVICE_WRITE = 4 };

/* One entry of linux.resources.devices. */
struct cgroup_device_rule {
	bool allow;
	char type;            /* 'a' all, 'b' block, 'c' character */
	int64_t major, minor; /* CGROUP_DEVICE_ANY: every one */
	uint32_t access;      /* CGROUP_DEVICE_*, not 0 */
};

enum { CGROUP_DEVICE_RULES_MAX = 1024 };

/*
 * What every workload may use on top of its spec's rules, as with runc (libcontainer/specconv
 * AllowedDevices): making nodes, null, zero, full, random, urandom, tty, ptmx, pts; not the
 * console, which is the host's. Nodes may be made, which is no use without the right to open them.
 * The caller puts them behind the spec's own rules.
 */
extern const struct cgroup_device_rule cgroup_device_defaults[];
extern const size_t cgroup_device_defaults_n;

/* "rwm" in any order as bits. -EINVAL for anything else and for "". */
int cgroup_device_access_parse(const char *access, uint32_t *ret_access);

/*
 * Applies the rules in their order; for each of mknod, read, write the last rule that matches
 * wins; nothing matches: denied (the first rule of containerd's specs denies everything anyway). No
 * rules: nothing is restricted and nothing is done. v1: devices.deny and devices.allow, and
 * ERR_PRECONDITION for a rule that takes back a part of what an earlier one allows, which v1 would
 * pass over; v2: a BPF program on the directory, which replaces the one we put there before.
 *
 * -EOPNOTSUPP with ERR_UNIMPLEMENTED: this host cannot enforce them (no devices hierarchy, and no
 * cgroup2 or BPF refused); the caller falls back to a view without usable device nodes. Other
 * errors are refusals of one rule, named.
 */
int cgroup_devices_apply(
	const struct cgroup *cg, const struct cgroup_device_rule *rules, size_t n, struct err *err);
