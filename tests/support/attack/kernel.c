/* Files and calls through which the kernel runs something or changes for everybody. */
#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <linux/bpf.h>
#include <linux/perf_event.h>
#include <stdio.h>
#include <string.h>
#include <sys/klog.h>
#include <sys/swap.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <unistd.h>
#include "support/attack/attack.h"

#define WRITE(fn, path)                       \
	static int fn(const struct target *t) \
	{                                     \
		(void)t;                      \
		return open_to_write(path);   \
	}

WRITE(core_pattern, "/proc/sys/kernel/core_pattern")
WRITE(modprobe, "/proc/sys/kernel/modprobe")
WRITE(sysrq, "/proc/sysrq-trigger")
WRITE(overcommit, "/proc/sys/vm/overcommit_memory")
WRITE(uevent_helper, "/sys/kernel/uevent_helper")
WRITE(power, "/sys/power/state")
WRITE(hugepages, "/sys/kernel/mm/transparent_hugepage/enabled")
WRITE(profiling, "/sys/kernel/profiling")

/* The first of the files that is there and can be opened. */
static int write_any(const char *pattern)
{
	glob_t found;
	int result = ENOENT;

	if (glob(pattern, 0, NULL, &found) != 0)
		return ENOENT;
	for (size_t i = 0; i < found.gl_pathc; i++) {
		result = open_to_write(found.gl_pathv[i]);
		if (result == 0)
			break;
	}
	globfree(&found);
	return result;
}

static int release_agent(const struct target *t)
{
	(void)t;
	return write_any("/sys/fs/cgroup/*/release_agent");
}

static int cgroup_procs(const struct target *t)
{
	int r = write_any("/sys/fs/cgroup/*/cgroup.procs");

	(void)t;
	return r == ENOENT ? write_any("/sys/fs/cgroup/cgroup.procs") : r;
}

static int module_parameters(const struct target *t)
{
	(void)t;
	return write_any("/sys/module/*/parameters/*");
}

static int irq(const struct target *t)
{
	(void)t;
	return write_any("/proc/irq/*/smp_affinity");
}

static int kernel_core(const struct target *t)
{
	int fd = open("/proc/kcore", O_RDONLY | O_CLOEXEC);
	char byte;

	(void)t;
	if (fd < 0)
		return errno;
	return read(fd, &byte, 1) == 1 ? 0 : ENODATA;
}

static int module(const struct target *t)
{
	(void)t;
	return outcome(syscall(SYS_init_module, "", 0, ""));
}

static int kexec(const struct target *t)
{
	(void)t;
	return outcome(syscall(SYS_kexec_load, 0, 0, NULL, 0));
}

static int bpf_program(const struct target *t)
{
	static const struct bpf_insn exit_insn[] = {
		{.code = BPF_ALU64 | BPF_MOV | BPF_K}, {.code = BPF_JMP | BPF_EXIT}};
	union bpf_attr a = {.prog_type = BPF_PROG_TYPE_KPROBE,
		.insn_cnt = 2,
		.insns = (unsigned long)exit_insn,
		.license = (unsigned long)"GPL"};

	(void)t;
	return outcome(syscall(SYS_bpf, BPF_PROG_LOAD, &a, sizeof(a)));
}

static int perf(const struct target *t)
{
	struct perf_event_attr a = {
		.type = PERF_TYPE_SOFTWARE, .size = sizeof(a), .config = PERF_COUNT_SW_CPU_CLOCK};

	(void)t;
	return outcome(syscall(SYS_perf_event_open, &a, -1, 0, -1, 0));
}

static int iopl_all(const struct target *t)
{
	(void)t;
	return outcome(syscall(SYS_iopl, 3));
}

static int swap_off(const struct target *t)
{
	(void)t;
	return outcome(swapoff("/tmp"));
}

static int restart(const struct target *t)
{
	(void)t;
	return outcome(syscall(SYS_reboot, 0xfee1dead, 672274793, 0, NULL));
}

static int set_time(const struct target *t)
{
	struct timeval now;

	(void)t;
	(void)gettimeofday(&now, NULL);
	return outcome(settimeofday(&now, NULL));
}

static int host_name(const struct target *t)
{
	char name[256];

	(void)t;
	(void)gethostname(name, sizeof(name));
	return outcome(sethostname(name, strlen(name)));
}

static int clear_log(const struct target *t)
{
	(void)t;
	return outcome(klogctl(6 /* SYSLOG_ACTION_CONSOLE_OFF */, NULL, 0));
}

const struct attack kernel_attacks[] = {
	{"core-pattern", core_pattern},
	{"modprobe-path", modprobe},
	{"sysrq", sysrq},
	{"sysctl-vm", overcommit},
	{"uevent-helper", uevent_helper},
	{"power-state", power},
	{"hugepages", hugepages},
	{"profiling", profiling},
	{"module-parameters", module_parameters},
	{"irq-affinity", irq},
	{"release-agent", release_agent},
	{"cgroup-procs", cgroup_procs},
	{"kcore", kernel_core},
	{"init-module", module},
	{"kexec", kexec},
	{"bpf", bpf_program},
	{"perf", perf},
	{"iopl", iopl_all},
	{"swapoff", swap_off},
	{"reboot", restart},
	{"set-time", set_time},
	{"set-hostname", host_name},
	{"console-log", clear_log},
	{NULL, NULL},
};
