#include "confine/landlock.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <unistd.h>
#include "base/cleanup.h"

/* Numbers and structures of linux/landlock.h, which is older than these on some build machines. */
enum {
	NR_CREATE_RULESET = 444,
	NR_ADD_RULE = 445,
	NR_RESTRICT_SELF = 446,
	CREATE_VERSION = 1,
	RULE_PATH_BENEATH = 1,
	ABI_REFER = 2, /* Linux 5.19: before it a domain forbids rename between directories */
	ABI_SCOPED = 6,
};

#define ACCESS_MAKE_BLOCK      (1ULL << 11)
#define ACCESS_REFER           (1ULL << 13)
#define SCOPED_ABSTRACT_SOCKET (1ULL << 0)

struct ruleset {
	uint64_t access_fs, access_net, scoped;
};

struct __attribute__((packed)) beneath {
	uint64_t access;
	int32_t parent;
};

/* A domain has to be about some access: about these, which all of the view then allows. */
static int allow_everywhere(int ruleset, uint64_t access, struct err *err)
{
	_cleanup_close_ int root = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
	struct beneath rule = {.access = access, .parent = root};

	if (root < 0 || syscall(NR_ADD_RULE, ruleset, RULE_PATH_BENEATH, &rule, 0) < 0)
		return err_sysf(err, errno, "Landlock rule");
	return 0;
}

static bool can(long abi, bool host_pids, bool host_sockets)
{
	return !(host_pids && abi < ABI_REFER) && !(host_sockets && abi < ABI_SCOPED);
}

bool confine_landlock_can(bool host_pids, bool host_sockets)
{
	return can(syscall(NR_CREATE_RULESET, NULL, 0, CREATE_VERSION), host_pids, host_sockets);
}

int confine_landlock(bool host_pids, bool host_sockets, struct err *err)
{
	long abi = syscall(NR_CREATE_RULESET, NULL, 0, CREATE_VERSION);
	struct ruleset wanted = {.access_fs = 0};
	_cleanup_close_ int ruleset = -EBADF;
	bool less = !can(abi, host_pids, host_sockets);
	int r = 0;

	if (host_pids && abi >= ABI_REFER)
		wanted.access_fs = ACCESS_MAKE_BLOCK | ACCESS_REFER;
	if (host_sockets && abi >= ABI_SCOPED)
		wanted.scoped = SCOPED_ABSTRACT_SOCKET;
	if (!wanted.access_fs && !wanted.scoped)
		return less ? CONFINE_LANDLOCK_LESS : CONFINE_LANDLOCK_DONE;
	/* the part of the structure that a kernel of this version knows */
	ruleset = (int)syscall(NR_CREATE_RULESET, &wanted,
		wanted.scoped ? sizeof(wanted) : sizeof(wanted.access_fs), 0);
	if (ruleset < 0)
		return err_sysf(err, errno, "Landlock ruleset");
	if (wanted.access_fs)
		r = allow_everywhere(ruleset, wanted.access_fs, err);
	if (r == 0 && syscall(NR_RESTRICT_SELF, ruleset, 0) < 0)
		r = err_sysf(err, errno, "entering a Landlock domain");
	return r < 0 ? r : less ? CONFINE_LANDLOCK_LESS : CONFINE_LANDLOCK_DONE;
}
