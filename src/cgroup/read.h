/* Reading what the kernel counts in a cgroup: its files, and the two forms they come in. */
#pragma once

#include <stddef.h>
#include <stdint.h>
#include "cgroup/cgroup.h"

/*
 * A file of the directory in which controller `c` works, as text that the caller frees. -ENOENT:
 * the host has no such controller, this kernel has no such file, or the cgroup is gone. -errno.
 */
int cgroup_read(
	const struct cgroup *cg, enum cgroup_controller c, const char *file, char **ret_text);

/* A file of the v2 directory that no controller owns (cpu.stat, cgroup.events, cpu.pressure …).
 * Errors as above. */
int cgroup_read_v2(const struct cgroup *cg, const char *file, char **ret_text);

/* A file that is one number; "max" is UINT64_MAX. Errors as cgroup_read, -EINVAL. */
int cgroup_read_u64(
	const struct cgroup *cg, enum cgroup_controller c, const char *file, uint64_t *ret_v);

/* The number behind `key` in lines of "key number" (memory.stat, memory.events). -ENOENT. */
int cgroup_text_value(const char *text, const char *key, uint64_t *ret_v);

/* The number behind "key=" within one line ("8:0 rbytes=1 wbytes=2"); "max" is UINT64_MAX.
 * -ENOENT. */
int cgroup_line_value(const char *line, const char *key, uint64_t *ret_v);

/*
 * Names for which the directory of `c` has a file PREFIX + name + SUFFIX: the page sizes of
 * "hugetlb." … ".current". A strv of the caller's in *ret_names, NULL when there is none. -errno.
 */
int cgroup_file_names(const struct cgroup *cg, enum cgroup_controller c, const char *prefix,
	const char *suffix, char ***ret_names);
