#include <linux/capability.h>
#include <sys/stat.h>
#include "child.h"
#include "confine/caps.h"
#include "confine/creds.h"

#define BIT(cap) ((uint64_t)1 << (cap))

Test(confine_caps, names_that_are_none_are_refused_by_name)
{
	static const char *const bad[] = {"", "CAP_", "CAP_FOO", "NET_RAW", "all", "13", "CAP_13x"};
	uint64_t set = 0;

	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		struct err err = ERR_INIT;

		cr_assert_eq(confine_caps_add(&set, bad[i], &err), -EINVAL, "%s", bad[i]);
		cr_assert_eq(err.kind, ERR_INVALID);
		cr_assert_not_null(strstr(err.text, bad[i]));
	}
	cr_assert_eq(set, 0);
}

/* The sets as /proc shows them, in the order of its lines. */
static int status_is(const uint64_t want[5])
{
	static const char *const keys[] = {"CapInh:", "CapPrm:", "CapEff:", "CapBnd:", "CapAmb:"};
	_cleanup_fclose_ FILE *f = fopen("/proc/self/status", "re");
	char line[256];
	unsigned found = 0;

	while (f && fgets(line, sizeof(line), f))
		for (size_t i = 0; i < ARRAY_LEN(keys); i++)
			if (str_has_prefix(line, keys[i]))
				found += strtoull(line + strlen(keys[i]), NULL, 16) == want[i];
	return found == ARRAY_LEN(keys) ? 0 : -1;
}

static int drop_to_user(void *arg)
{
	const struct confine_caps *caps = arg;
	const gid_t groups[] = {3, 7};
	const struct confine_creds creds = {.uid = 1234,
		.gid = 2345,
		.groups = groups,
		.n_groups = 2,
		.has_umask = true,
		.umask = 027};
	const uint64_t want[] = {
		caps->inheritable, caps->permitted, caps->effective, caps->bounding, caps->ambient};
	gid_t got[8];

	if (confine_caps_bound(caps, NULL) < 0 || confine_creds_apply(&creds, NULL) < 0 ||
		confine_caps_apply(caps, NULL) < 0)
		return 1;
	if (getuid() != 1234 || geteuid() != 1234 || getgid() != 2345 || getegid() != 2345)
		return 2;
	if (getgroups(8, got) != 2 || got[0] != 3 || got[1] != 7 || umask(0) != 027)
		return 3;
	if (status_is(want) < 0)
		return 4;
	return prctl(PR_GET_KEEPCAPS, 0, 0, 0, 0) == 0 ? 0 : 5;
}

Test(confine_caps, all_five_sets_and_the_user_are_exactly_the_given_ones)
{
	struct confine_caps caps = {
		.bounding = BIT(CAP_CHOWN) | BIT(CAP_NET_RAW) | BIT(CAP_NET_BIND_SERVICE),
		.permitted = BIT(CAP_NET_RAW) | BIT(CAP_NET_BIND_SERVICE),
		.effective = BIT(CAP_NET_BIND_SERVICE),
		.inheritable = BIT(CAP_NET_BIND_SERVICE),
		.ambient = BIT(CAP_NET_BIND_SERVICE),
	};
	uint64_t available = 0;

	if (geteuid() != 0)
		cr_skip("needs root");
	cr_assert_eq(confine_caps_available(&available, NULL), 0);
	if ((available & caps.bounding) != caps.bounding)
		cr_skip("the bounding set here lacks what the test gives");
	cr_assert_eq(in_child(drop_to_user, &caps), 0);
}

static int drop_all(void *arg)
{
	const struct confine_caps caps = CONFINE_CAPS_INIT;
	const struct confine_creds creds = CONFINE_CREDS_INIT;
	const uint64_t none[5] = {0};

	(void)arg;
	if (confine_caps_bound(&caps, NULL) < 0 || confine_creds_apply(&creds, NULL) < 0 ||
		confine_caps_apply(&caps, NULL) < 0)
		return 1;
	if (getgroups(0, NULL) != 0)
		return 2;
	return status_is(none) == 0 ? 0 : 3;
}

Test(confine_caps, root_without_capabilities_has_none)
{
	if (geteuid() != 0)
		cr_skip("needs root");
	cr_assert_eq(in_child(drop_all, NULL), 0);
}
