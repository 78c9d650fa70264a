#include "support/sysfault/regs.h"

#include <elf.h>
#include <stddef.h>
#include <sys/ptrace.h>
#include <sys/uio.h>
#include <sys/user.h>

#if defined(__x86_64__)

int regs_skip_call(pid_t pid)
{
	struct user_regs_struct regs;

	if (ptrace(PTRACE_GETREGS, pid, NULL, &regs) < 0)
		return -1;
	regs.orig_rax = (unsigned long long)-1;
	return (int)ptrace(PTRACE_SETREGS, pid, NULL, &regs);
}

int regs_set_result(pid_t pid, long result)
{
	struct user_regs_struct regs;

	if (ptrace(PTRACE_GETREGS, pid, NULL, &regs) < 0)
		return -1;
	regs.rax = (unsigned long long)result;
	return (int)ptrace(PTRACE_SETREGS, pid, NULL, &regs);
}

#elif defined(__aarch64__)

#	ifndef NT_ARM_SYSTEM_CALL
#		define NT_ARM_SYSTEM_CALL 0x404
#	endif

int regs_skip_call(pid_t pid)
{
	int call = -1;
	struct iovec io = {.iov_base = &call, .iov_len = sizeof(call)};

	return (int)ptrace(PTRACE_SETREGSET, pid, (void *)NT_ARM_SYSTEM_CALL, &io);
}

int regs_set_result(pid_t pid, long result)
{
	struct user_regs_struct regs;
	struct iovec io = {.iov_base = &regs, .iov_len = sizeof(regs)};

	if (ptrace(PTRACE_GETREGSET, pid, (void *)NT_PRSTATUS, &io) < 0)
		return -1;
	regs.regs[0] = (unsigned long long)result;
	return (int)ptrace(PTRACE_SETREGSET, pid, (void *)NT_PRSTATUS, &io);
}

#else
#	error "sysfault: tell how a system call is taken away on this architecture"
#endif
