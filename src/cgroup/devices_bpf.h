/* Device rules as a BPF program, for cgroup v2. For the files of this room only. */
#pragma once

#include <linux/bpf.h>
#include <stddef.h>
#include "base/err.h"
#include "cgroup/devices.h"

enum { CGROUP_BPF_PER_RULE = 10, CGROUP_BPF_FRAME = 8 };

/*
 * Assembles the program into `prog` (room for n * CGROUP_BPF_PER_RULE + CGROUP_BPF_FRAME
 * instructions). Pure. Returns the number of instructions.
 */
size_t cgroup_bpf_assemble(const struct cgroup_device_rule *rules, size_t n, struct bpf_insn *prog);

/*
 * Loads the program and attaches it to a v2 directory in place of the one of ours that is there.
 * Programs of others (systemd's) stay: all have to agree. -errno.
 */
int cgroup_bpf_attach(int dir, const struct bpf_insn *prog, size_t n);
