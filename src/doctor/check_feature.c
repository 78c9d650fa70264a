/*
 * Probes of what the kernel can do, each by doing it: a version number says nothing about a
 * configuration, and nothing about a filter in the way. A feature without which no pod runs fails
 * its row; of another one the row tells what is lost.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/bpf.h>
#include <linux/mount.h>
#include <linux/openat2.h>
#include <linux/seccomp.h>
#include <stdio.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/syscall.h>
#include <unistd.h>
#include "base/buf.h"
#include "base/cleanup.h"
#include "base/macro.h"
#include "cgroup/host.h"
#include "confine/lsm.h"
#include "doctor/check.h"

#ifndef MOVE_MOUNT_SET_GROUP
#	define MOVE_MOUNT_SET_GROUP 0x00000100 /* Linux 5.15 */
#endif

static enum check_result needed(bool has, const char *lost, struct err *why)
{
	if (has)
		return CHECK_PASSED;
	(void)err_setf(why, ERR_UNAVAILABLE, ENOSYS, "%s", lost);
	return CHECK_FAILED;
}

static enum check_result useful(bool has, const char *lost, struct err *why)
{
	if (!has)
		(void)err_setf(why, ERR_NONE, 0, "lost: %s", lost);
	return CHECK_PASSED;
}

/* Closes what a probe opened; whether there was something. */
static bool opened(long fd)
{
	if (fd < 0)
		return false;
	(void)close((int)fd);
	return true;
}

enum check_result check_pidfd(struct check_ctx *ctx, const struct check *c, struct err *why)
{
	(void)c;
	if (ctx->args->root)
		return CHECK_SKIPPED;
	return needed(opened(pidfd_open(getpid(), 0)),
		"pidfd_open is refused: no process could be ended without the danger of ending "
		"another",
		why);
}

enum check_result check_openat2(struct check_ctx *ctx, const struct check *c, struct err *why)
{
	struct open_how how = {
		.flags = O_PATH | O_CLOEXEC, .resolve = RESOLVE_NO_MAGICLINKS | RESOLVE_IN_ROOT};

	(void)c;
	if (ctx->args->root)
		return CHECK_SKIPPED;
	return needed(opened(syscall(SYS_openat2, AT_FDCWD, "/", &how, sizeof(how))),
		"openat2 is refused: a workload's symbolic links could lead out of its view", why);
}

enum check_result check_mount_api(struct check_ctx *ctx, const struct check *c, struct err *why)
{
	(void)c;
	if (ctx->args->root)
		return CHECK_SKIPPED;
	return needed(opened(syscall(SYS_open_tree, AT_FDCWD, "/proc",
			      OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC)) &&
			      opened(syscall(SYS_fsopen, "tmpfs", FSOPEN_CLOEXEC)),
		"open_tree or fsopen is refused: no view of the host and no volume can be mounted",
		why);
}

/* Without a descriptor the kernel says EBADF where it knows the call, and ENOSYS where it does not.
 */
enum check_result check_mount_setattr(struct check_ctx *ctx, const struct check *c, struct err *why)
{
	struct mount_attr attr = {.attr_set = MOUNT_ATTR_RDONLY};
	long r = syscall(
		SYS_mount_setattr, -1, "", AT_EMPTY_PATH | AT_RECURSIVE, &attr, sizeof(attr));

	(void)c;
	if (ctx->args->root)
		return CHECK_SKIPPED;
	return useful(r < 0 && errno == EBADF,
		"volumes that are read-only with what is mounted below them are refused (Linux "
		"5.12)",
		why);
}

enum check_result check_mount_groups(struct check_ctx *ctx, const struct check *c, struct err *why)
{
	long r = syscall(SYS_move_mount, -1, "", -1, "",
		MOVE_MOUNT_SET_GROUP | MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH);

	(void)c;
	if (ctx->args->root)
		return CHECK_SKIPPED;
	return useful(r < 0 && errno == EBADF,
		"what one container mounts does not appear in the others of its group "
		"(Linux 5.15)",
		why);
}

enum check_result check_seccomp(struct check_ctx *ctx, const struct check *c, struct err *why)
{
	uint32_t action = SECCOMP_RET_ERRNO;

	(void)c;
	if (ctx->args->root)
		return CHECK_SKIPPED;
	return needed(syscall(SYS_seccomp, SECCOMP_GET_ACTION_AVAIL, 0, &action) == 0,
		"seccomp filters are refused: no pod with a seccomp profile starts, and "
		"Kubernetes' default is one",
		why);
}

/* cgroup v1 has a controller for it; cgroup2 takes a program, the smallest of which allows all. */
static bool can_rule_devices(void)
{
	static const struct bpf_insn allow[] = {
		{.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_0, .imm = 1},
		{.code = BPF_JMP | BPF_EXIT}};
	_cleanup_(cgroup_host_done) struct cgroup_host host = CGROUP_HOST_INIT;
	union bpf_attr attr;

	if (cgroup_host_detect(&host, NULL) == 0) {
		for (size_t i = 0; i < host.n; i++) {
			if (host.hierarchies[i].controllers & CGROUP_BIT(CGROUP_DEVICES))
				return true;
		}
	}
	memset(&attr, 0, sizeof(attr));
	attr.prog_type = BPF_PROG_TYPE_CGROUP_DEVICE;
	attr.insns = (uint64_t)(uintptr_t)allow;
	attr.insn_cnt = ARRAY_LEN(allow);
	attr.license = (uint64_t)(uintptr_t) "GPL";
	return opened(syscall(SYS_bpf, BPF_PROG_LOAD, &attr, sizeof(attr)));
}

enum check_result check_device_rules(struct check_ctx *ctx, const struct check *c, struct err *why)
{
	(void)c;
	if (ctx->args->root)
		return CHECK_SKIPPED;
	return useful(can_rule_devices(),
		"the kernel takes no device rules: pods that mount /dev or allow a class of "
		"devices are refused",
		why);
}

/* The controllers of all hierarchies, and what a pod has no limit of without one. */
enum check_result check_controllers(struct check_ctx *ctx, const struct check *c, struct err *why)
{
	static const struct {
		enum cgroup_controller controller;
		const char *what;
	} limits[] = {{CGROUP_CPU, "CPU time (cpu)"}, {CGROUP_CPUSET, "CPUs (cpuset)"},
		{CGROUP_MEMORY, "memory (memory)"}, {CGROUP_PIDS, "processes (pids)"}};
	_cleanup_(cgroup_host_done) struct cgroup_host host = CGROUP_HOST_INIT;
	_cleanup_(buf_done) struct buf lost = BUF_INIT(512);
	uint32_t has = 0;

	(void)c;
	if (ctx->args->root || cgroup_host_detect(&host, NULL) < 0 || host.n == 0)
		return CHECK_SKIPPED;
	for (size_t i = 0; i < host.n; i++)
		has |= host.hierarchies[i].controllers;
	for (size_t i = 0; i < ARRAY_LEN(limits); i++) {
		if (!(has & CGROUP_BIT(limits[i].controller)) &&
			buf_printf(&lost, "%s%s", lost.len ? ", " : "", limits[i].what) < 0)
			return CHECK_SKIPPED;
	}
	if (lost.len > 0)
		(void)err_setf(why, ERR_NONE, 0, "lost: limits of %s", lost.data);
	return CHECK_PASSED;
}

enum check_result check_lsm(struct check_ctx *ctx, const struct check *c, struct err *why)
{
	struct confine_lsm lsm;

	(void)c;
	if (ctx->args->root)
		return CHECK_SKIPPED;
	confine_lsm_detect(&lsm);
	(void)err_setf(why, ERR_NONE, 0, "%s",
		lsm.apparmor  ? "AppArmor: profiles of pods are in force"
		: lsm.selinux ? "SELinux: labels of pods are in force"
			      : "lost: profiles and labels of pods (neither AppArmor nor SELinux "
				"is enabled here)");
	return CHECK_PASSED;
}
