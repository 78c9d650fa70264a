/*
 * Syscalls that are newer than a profile: without this they fail with the profile's default errno
 * (EPERM), and programs that would fall back on ENOSYS break on every new libc. runc prepends the
 * same test (libcontainer/seccomp/patchbpf). Private to confine/.
 */
#pragma once

#include <linux/filter.h>
#include <stddef.h>
#include <stdint.h>

/* The highest syscall number that a profile names, for one architecture. */
struct enosys_arch {
	uint32_t audit_arch;
	uint32_t highest;
};

enum { ENOSYS_ARCHS_MAX = 8, ENOSYS_INSNS_PER_ARCH = 6 };

/* Writes the test for `n` architectures to `out` (room for ENOSYS_INSNS_PER_ARCH each); returns the
 * number of instructions. */
size_t seccomp_enosys_stub(const struct enosys_arch *archs, size_t n, struct sock_filter *out);
