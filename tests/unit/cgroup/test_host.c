#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>
#include "base/macro.h"
#include "cgroup/host.h"

#define LINE(point, fs, opts) \
	"36 35 0:29 / " point " rw,nosuid shared:9 - " fs " cgroup rw," opts "\n"

static const struct {
	const char *mountinfo;
	enum cgroup_mode mode;
	size_t n;
	const char *first, *last;
} hosts[] = {
	{"22 1 8:1 / / rw - ext4 /dev/sda1 rw\n", CGROUP_MODE_NONE, 0, NULL, NULL},
	{LINE("/sys/fs/cgroup", "cgroup2", "nsdelegate"), CGROUP_MODE_V2, 1, "/sys/fs/cgroup",
		"/sys/fs/cgroup"},
	{LINE("/sys/fs/cgroup/memory", "cgroup", "memory")
			LINE("/sys/fs/cgroup/cpu,cpuacct", "cgroup", "cpu,cpuacct"),
		CGROUP_MODE_V1, 2, "/sys/fs/cgroup/memory", "/sys/fs/cgroup/cpu,cpuacct"},
	/* cgroup2 goes last wherever it stands */
	{LINE("/sys/fs/cgroup/unified", "cgroup2", "nsdelegate") LINE("/sys/fs/cgroup/systemd",
		 "cgroup", "xattr,name=systemd") LINE("/sys/fs/cgroup/pids", "cgroup", "pids"),
		CGROUP_MODE_HYBRID, 3, "/sys/fs/cgroup/systemd", "/sys/fs/cgroup/unified"},
	/* other named hierarchies are nobody's business */
	{LINE("/sys/fs/cgroup/elogind", "cgroup", "name=elogind"), CGROUP_MODE_NONE, 0, NULL, NULL},
	/* mounted twice: the usual place wins, whatever the order */
	{LINE("/m", "cgroup", "memory") LINE("/sys/fs/cgroup/memory", "cgroup", "memory"),
		CGROUP_MODE_V1, 1, "/sys/fs/cgroup/memory", "/sys/fs/cgroup/memory"},
	{LINE("/sys/fs/cgroup/memory", "cgroup", "memory")
			LINE("/sys/fs/cgroup/memory/docker/x", "cgroup", "memory"),
		CGROUP_MODE_V1, 1, "/sys/fs/cgroup/memory", "/sys/fs/cgroup/memory"},
	/* covered by a later mount */
	{LINE("/sys/fs/cgroup/memory", "cgroup", "memory")
			LINE("/sys/fs/cgroup", "cgroup2", "nsdelegate"),
		CGROUP_MODE_V2, 1, "/sys/fs/cgroup", "/sys/fs/cgroup"},
	/* a space in the path */
	{LINE("/sys/fs/cgroup/a\\040b", "cgroup", "pids"), CGROUP_MODE_V1, 1, "/sys/fs/cgroup/a b",
		"/sys/fs/cgroup/a b"},
};

Test(cgroup_host, mountinfo_says_which_hierarchies_there_are)
{
	for (size_t i = 0; i < ARRAY_LEN(hosts); i++) {
		struct cgroup_host host = CGROUP_HOST_INIT;
		struct err err = ERR_INIT;

		cr_assert_eq(cgroup_host_parse(hosts[i].mountinfo, &host, &err), 0, "%zu: %s", i,
			err.text);
		cr_assert_eq(host.mode, hosts[i].mode, "%zu: %s", i, cgroup_mode_name(host.mode));
		cr_assert_eq(host.n, hosts[i].n, "%zu", i);
		if (host.n > 0) {
			cr_assert_str_eq(host.hierarchies[0].root, hosts[i].first);
			cr_assert_str_eq(host.hierarchies[host.n - 1].root, hosts[i].last);
		}
		cgroup_host_done(&host);
	}
}

Test(cgroup_host, controllers_mounted_together_share_a_directory)
{
	struct cgroup_host host = CGROUP_HOST_INIT;

	cr_assert_eq(cgroup_host_parse(LINE("/c", "cgroup", "cpu,cpuacct"), &host, NULL), 0);
	cr_assert_eq(host.hierarchies[0].controllers,
		CGROUP_BIT(CGROUP_CPU) | CGROUP_BIT(CGROUP_CPUACCT));
	cgroup_host_done(&host);
}

Test(cgroup_host, garbage_is_refused)
{
	struct cgroup_host host = CGROUP_HOST_INIT;
	struct err err = ERR_INIT;

	cr_assert_eq(cgroup_host_parse("hello\n", &host, &err), -EINVAL);
	cr_assert_eq(err.kind, ERR_INVALID);
	cr_assert_eq(cgroup_host_parse("1 2 3 - cgroup x rw\n", &host, &err), -EINVAL);
	cr_assert_eq(host.n, 0);
}

Test(cgroup_host, this_machine_can_be_read)
{
	struct cgroup_host host = CGROUP_HOST_INIT;
	struct err err = ERR_INIT;

	cr_assert_eq(cgroup_host_detect(&host, &err), 0, "%s", err.text);
	cgroup_host_done(&host);
	cgroup_host_done(&host);
}

Test(cgroup_host, controller_names_and_bits_agree)
{
	for (unsigned c = 0; c < _CGROUP_CONTROLLER_MAX; c++) {
		const char *name = cgroup_controller_name(c);

		cr_assert_eq(cgroup_controller_bit(name, strlen(name)), CGROUP_BIT(c));
	}
	cr_assert_eq(cgroup_controller_bit("cpux", 4), 0);
}
