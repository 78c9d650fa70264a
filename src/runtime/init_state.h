/* What the steps of init share. Private to init.c and become.c. */
#pragma once

#include "base/err.h"
#include "confine/seccomp.h"
#include "oci/init_contract.h"
#include "runtime/init.h"
#include "runtime/load.h"
#include "runtime/namespaces.h"
#include "runtime/plan.h"
#include "runtime/terminal.h"

struct init {
	const struct init_args *args;
	char *const *env; /* the runtime's own */
	int control;
	uint64_t host_net; /* inode of the network namespace in which the shim is */
	int proc_fd;       /* the host's /proc: "self" works in it from every namespace */
	struct loaded loaded;
	struct plan plan;
	struct mount_share share;
	struct namespaces namespaces;
	struct confine_seccomp seccomp;
	struct terminal terminal;
	int hooks_bundle; /* for hooks in the container's namespaces; -EBADF: none has to run */
	char *command;    /* resolved path of the program */
	char **workload_env;
	int exit_status; /* when no program is run */
};

#define INIT_INIT                                                                             \
	{                                                                                     \
		.control = -EBADF, .proc_fd = -EBADF, .namespaces = NAMESPACES_INIT,          \
		.terminal = TERMINAL_INIT, .hooks_bundle = -EBADF, .share = MOUNT_SHARE_INIT, \
	}

struct init_step {
	const char *name;
	int (*fn)(struct init *in, struct err *err);
};

/* Runs them in order until one fails. */
int init_run_steps(struct init *in, const struct init_step *steps, size_t n, struct err *err);

/* What is not as the spec has it although the start goes on, for the shim's log (INIT_NOTE). */
void init_note(const struct init *in, const char *fmt, ...) PRINTF_LIKE(2, 3);

/* The hooks of a point that runs in the container's namespaces; nothing for an exec. */
int init_run_hooks(struct init *in, enum oci_hook_point point, struct err *err);

/* Waits for this byte from the shim. 1: it came, 0: the shim is gone, or -errno. */
int init_await(const struct init *in, char expected, struct err *err);

/* One message to the shim, with a descriptor if fd >= 0. -errno. */
int init_send(const struct init *in, enum init_message_type type, const struct err *reason, int fd);
