/* Taking a system call away from a stopped process: the part that each architecture has its own
 * way for. */
#pragma once

#include <sys/types.h>

/* At the entry of a call: it will not be made. -1 and errno. */
int regs_skip_call(pid_t pid);

/* At its exit: what it returns (-errno for an error). -1 and errno. */
int regs_set_result(pid_t pid, long result);
