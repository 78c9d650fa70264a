#include "confine/rlimits.h"

#include <errno.h>
#include <stdbool.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>
#include "base/str.h"

#define INF UINT64_MAX

/* name, soft, hard */
#define LIMIT(name, soft, hard)                    \
	{                                          \
#		name, (int)(name), (soft), (hard) \
	}

static const struct {
	const char *name;
	int resource;
	uint64_t soft, hard; /* 0 for the two that follow the machine's size */
} names[] = {
	LIMIT(RLIMIT_AS, INF, INF),
	LIMIT(RLIMIT_CORE, 0, INF),
	LIMIT(RLIMIT_CPU, INF, INF),
	LIMIT(RLIMIT_DATA, INF, INF),
	LIMIT(RLIMIT_FSIZE, INF, INF),
	LIMIT(RLIMIT_LOCKS, INF, INF),
	LIMIT(RLIMIT_MEMLOCK, 8 << 20, 8 << 20),
	LIMIT(RLIMIT_MSGQUEUE, 819200, 819200),
	LIMIT(RLIMIT_NICE, 0, 0),
	LIMIT(RLIMIT_NOFILE, 1024, 524288),
	LIMIT(RLIMIT_NPROC, 0, 0),
	LIMIT(RLIMIT_RSS, INF, INF),
	LIMIT(RLIMIT_RTPRIO, 0, 0),
	LIMIT(RLIMIT_RTTIME, INF, INF),
	LIMIT(RLIMIT_SIGPENDING, 0, 0),
	LIMIT(RLIMIT_STACK, 8 << 20, INF),
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

static bool is_given(const struct confine_rlimit *given, size_t n, int resource)
{
	for (size_t i = 0; i < n; i++) {
		if (given[i].resource == resource)
			return true;
	}
	return false;
}

static int reset_one(int resource, uint64_t soft, uint64_t hard)
{
	uint64_t pair[2] = {soft, hard}, now[2];

	if (syscall(SYS_prlimit64, 0, resource, pair, NULL) == 0)
		return 0;
	if (errno != EPERM || syscall(SYS_prlimit64, 0, resource, NULL, now) < 0)
		return -errno;
	/* also refused above fs.nr_open, where the hard limit may be lower than what is usual */
	pair[1] = now[1] < hard ? now[1] : hard;
	pair[0] = soft < pair[1] ? soft : pair[1];
	return syscall(SYS_prlimit64, 0, resource, pair, NULL) < 0 ? -errno : 0;
}

int confine_rlimits_reset(
	const struct confine_rlimit *given, size_t n, uint64_t processes, struct err *err)
{
	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		int resource = names[i].resource;
		bool sized = resource == RLIMIT_NPROC || resource == RLIMIT_SIGPENDING;
		int r;

		if (is_given(given, n, resource) || (sized && processes == 0))
			continue;
		r = reset_one(resource, sized ? processes : names[i].soft,
			sized ? processes : names[i].hard);
		if (r < 0)
			return err_sysf(err, -r, "%s", names[i].name);
	}
	return 0;
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
