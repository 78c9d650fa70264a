/*
 * What the shim and `reaper-runtime init` agree on. The shim clones a child (base/proc.h), which
 * execs the runtime; the runtime prepares everything, reports, waits at the gate and becomes the
 * workload by exec. One process all along.
 *
 *   reaper-runtime init --bundle DIR --id ID --namespace NS            the first process
 *   reaper-runtime init --bundle DIR --id ID --namespace NS --exec ID  a further one in it
 *
 * and --born-in-cgroup when the child was born in the container's cgroup v2 directory, which it
 * need not join then.
 *
 * The child starts in the shim's mount, network … namespaces (so that volume sources and
 * /proc/PID/ns/… paths are the host's), but already in its pid namespace, with CLOEXEC on
 * everything but the descriptors below, every signal at its default and none blocked.
 */
#pragma once

#include <stdint.h>
#include "base/err.h"

#define INIT_BORN_IN_CGROUP "--born-in-cgroup"

/* The child's descriptors. */
enum {
	/* 0, 1, 2: the workload's streams (pipes or /dev/null). With a terminal all three are
	   /dev/null and init replaces them. */
	INIT_FD_CONTROL = 3, /* SOCK_SEQPACKET socket pair, the messages below; close-on-exec from
				init's first step */
	INIT_FD_TARGET = 4, /* --exec only: pidfd of the container's first process, whose namespaces
			       are joined */
	INIT_FD_PROCESS = 5, /* --exec only: memfd with the OCI process object as JSON */
};

enum { INIT_CONTRACT_VERSION = 2 };

/* From init to the shim. EOF after INIT_READY and the gate means: the workload's program was
 * exec'd. */
enum init_message_type {
	INIT_CONSOLE = 1, /* carries the master of the workload's terminal as a descriptor; before
			     INIT_READY */
	INIT_READY = 2,   /* everything is set up, the command is resolved; waiting at the gate */
	INIT_FAILED = 3, /* `err` says what; the child exits next. Before the gate: error of Create;
			    behind it: of Start */
	INIT_NOTE = 4, /* `err.text` says what is not as the spec has it although the start goes on:
			  for the log; any number of them before INIT_READY */
	INIT_PREPARED = 5, /* namespaces and view are there: the hooks of the runtime's namespaces
			      run now; waiting for INIT_GO_ON. Only when the spec has such hooks */
	INIT_LISTENER = 6, /* `err.errnum` is the number of its descriptor on which a seccomp filter
			      asks: for the agent at linux.seccomp.listenerPath. Waiting for
			      INIT_GO_ON. Written with write(2), the only call that no filter of
			      such a profile can hold up */
};

struct init_message {
	uint32_t version; /* INIT_CONTRACT_VERSION */
	uint32_t type;    /* enum init_message_type */
	struct err err;
};

/* Sends one, with `err` if it is not NULL and with a copy of the descriptor `fd` if it is one.
 * -errno as fd_send. Only makes one system call: a child between fork and exec may call it. */
int init_message_send(int control, enum init_message_type type, const struct err *err, int fd);

/* From the shim to init: this byte opens the gate. EOF instead means the shim is gone: init exits
 * without running anything. */
enum { INIT_GATE_OPEN = 'G', INIT_GO_ON = 'H' };

/*
 * reaper-runtime hooks --bundle DIR --id ID --namespace NS --stage STAGE [--pid PID]
 *
 * runs the hooks of the runtime's namespaces (config.md#posix-platform-hooks) in the shim's or
 * `delete`'s: descriptor INIT_FD_CONTROL takes INIT_NOTE, then INIT_READY or INIT_FAILED. When its
 * other end is closed the running hook is killed.
 */
#define HOOK_STAGE_CREATE    "create" /* prestart, then createRuntime */
#define HOOK_STAGE_POSTSTART "poststart"
#define HOOK_STAGE_POSTSTOP  "poststop"

/* Exit statuses of init itself, when no program was run: as a shell has them. */
enum { INIT_EXIT_FAILED = 128, INIT_EXIT_NOT_FOUND = 127, INIT_EXIT_CANNOT_EXEC = 126 };
