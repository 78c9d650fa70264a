#include "confine/seccomp_names.h"

#include <ctype.h>
#include <errno.h>
#include <linux/seccomp.h>
#include <string.h>
#include "base/str.h"

int seccomp_action(const char *name, uint32_t errno_ret, uint32_t *ret_action, struct err *err)
{
	const struct {
		const char *name;
		uint32_t action;
	} table[] = {
		{"SCMP_ACT_KILL", SCMP_ACT_KILL_THREAD},
		{"SCMP_ACT_KILL_THREAD", SCMP_ACT_KILL_THREAD},
		{"SCMP_ACT_KILL_PROCESS", SCMP_ACT_KILL_PROCESS},
		{"SCMP_ACT_TRAP", SCMP_ACT_TRAP},
		{"SCMP_ACT_ERRNO", SCMP_ACT_ERRNO(errno_ret)},
		{"SCMP_ACT_TRACE", SCMP_ACT_TRACE(errno_ret)},
		{"SCMP_ACT_ALLOW", SCMP_ACT_ALLOW},
		{"SCMP_ACT_LOG", SCMP_ACT_LOG},
		{"SCMP_ACT_NOTIFY", SCMP_ACT_NOTIFY},
	};

	for (size_t i = 0; i < ARRAY_LEN(table); i++) {
		if (str_eq(table[i].name, name)) {
			*ret_action = table[i].action;
			return 0;
		}
	}
	return err_setf(err, ERR_INVALID, EINVAL, "seccomp: action %.64s: unknown", name);
}

int seccomp_operator(const char *name, enum scmp_compare *ret_op, struct err *err)
{
	static const struct {
		const char *name;
		enum scmp_compare op;
	} table[] = {
		{"SCMP_CMP_NE", SCMP_CMP_NE},
		{"SCMP_CMP_LT", SCMP_CMP_LT},
		{"SCMP_CMP_LE", SCMP_CMP_LE},
		{"SCMP_CMP_EQ", SCMP_CMP_EQ},
		{"SCMP_CMP_GE", SCMP_CMP_GE},
		{"SCMP_CMP_GT", SCMP_CMP_GT},
		{"SCMP_CMP_MASKED_EQ", SCMP_CMP_MASKED_EQ},
	};

	for (size_t i = 0; i < ARRAY_LEN(table); i++) {
		if (str_eq(table[i].name, name)) {
			*ret_op = table[i].op;
			return 0;
		}
	}
	return err_setf(err, ERR_INVALID, EINVAL, "seccomp: operator %.64s: unknown", name);
}

int seccomp_arch(const char *name, uint32_t *ret_arch, struct err *err)
{
	static const char prefix[] = "SCMP_ARCH_";
	char lower[32];
	size_t n = 0;

	if (str_has_prefix(name, prefix)) {
		for (const char *p = name + strlen(prefix); *p && n + 1 < sizeof(lower); p++)
			lower[n++] = (char)tolower((unsigned char)*p);
	}
	lower[n] = '\0';
	*ret_arch = n > 0 ? seccomp_arch_resolve_name(lower) : 0;
	if (*ret_arch == 0)
		return err_setf(
			err, ERR_INVALID, EINVAL, "seccomp: architecture %.64s: unknown", name);
	return 0;
}

int seccomp_flag(const char *name, uint32_t *ret_flag, struct err *err)
{
	static const struct {
		const char *name;
		uint32_t flag;
	} table[] = {
		{"SECCOMP_FILTER_FLAG_TSYNC", SECCOMP_FILTER_FLAG_TSYNC},
		{"SECCOMP_FILTER_FLAG_LOG", SECCOMP_FILTER_FLAG_LOG},
		{"SECCOMP_FILTER_FLAG_SPEC_ALLOW", SECCOMP_FILTER_FLAG_SPEC_ALLOW},
		{"SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV", 1U << 5}, /* Linux 5.19 */
	};

	for (size_t i = 0; i < ARRAY_LEN(table); i++) {
		if (str_eq(table[i].name, name)) {
			*ret_flag = table[i].flag;
			return 0;
		}
	}
	return err_setf(err, ERR_INVALID, EINVAL, "seccomp: flag %.64s: unknown", name);
}
