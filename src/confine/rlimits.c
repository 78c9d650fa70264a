#include "confine/rlimits.h"

#include <errno.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>
#include "base/str.h"

#define LIMIT(name)                \
	{                          \
#		name, (int)(name) \
	}

static const struct {
	const char *name;
	int resource;
} names[] = {
	LIMIT(RLIMIT_AS),
	LIMIT(RLIMIT_CORE),
	LIMIT(RLIMIT_CPU),
	LIMIT(RLIMIT_DATA),
	LIMIT(RLIMIT_FSIZE),
	LIMIT(RLIMIT_LOCKS),
	LIMIT(RLIMIT_MEMLOCK),
	LIMIT(RLIMIT_MSGQUEUE),
	LIMIT(RLIMIT_NICE),
	LIMIT(RLIMIT_NOFILE),
	LIMIT(RLIMIT_NPROC),
	LIMIT(RLIMIT_RSS),
	LIMIT(RLIMIT_RTPRIO),
	LIMIT(RLIMIT_RTTIME),
	LIMIT(RLIMIT_SIGPENDING),
	LIMIT(RLIMIT_STACK),
};

_Static_assert(ARRAY_LEN(names) == RLIM_NLIMITS, "one row per limit of the kernel");

int confine_rlimit_from_name(const char *name, int *ret_resource, struct err *err)
{
	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		if (str_eq(names[i].name, name)) {
			*ret_resource = names[i].resource;
			return 0;
		}
	}
	return err_setf(err, ERR_INVALID, EINVAL, "rlimit %.64s: unknown", name);
}

const char *confine_rlimit_name(int resource)
{
	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		if (names[i].resource == resource)
			return names[i].name;
	}
	return "RLIMIT_?";
}

int confine_rlimits_apply(const struct confine_rlimit *limits, size_t n, struct err *err)
{
	for (size_t i = 0; i < n; i++) {
		/* the kernel's own struct: 64 bits on every architecture */
		const uint64_t pair[2] = {limits[i].soft, limits[i].hard};

		if (syscall(SYS_prlimit64, 0, limits[i].resource, pair, NULL) < 0)
			return err_sysf(err, errno, "%s soft %llu hard %llu",
				confine_rlimit_name(limits[i].resource),
				(unsigned long long)limits[i].soft,
				(unsigned long long)limits[i].hard);
	}
	return 0;
}
