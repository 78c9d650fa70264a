/* The words of an OCI seccomp profile as libseccomp's numbers. Private to confine/. */
#pragma once

#include <seccomp.h>
#include <stdint.h>
#include "base/err.h"

/* "SCMP_ACT_ERRNO" and its errno as one action. ERR_INVALID for an unknown one. */
int seccomp_action(const char *name, uint32_t errno_ret, uint32_t *ret_action, struct err *err);

/* "SCMP_CMP_GE". */
int seccomp_operator(const char *name, enum scmp_compare *ret_op, struct err *err);

/* "SCMP_ARCH_X86_64" as libseccomp's token. */
int seccomp_arch(const char *name, uint32_t *ret_arch, struct err *err);

/* "SECCOMP_FILTER_FLAG_LOG" as the kernel's bit. */
int seccomp_flag(const char *name, uint32_t *ret_flag, struct err *err);
