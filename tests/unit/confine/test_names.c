#include <criterion/criterion.h>
#include <linux/capability.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include "base/cleanup.h"
#include "confine/caps.h"
#include "confine/lsm.h"
#include "confine/rlimits.h"

Test(confine_caps, translates_names_in_any_case_and_back)
{
	_cleanup_free_ char *text = NULL;
	uint64_t set = 0;

	cr_assert_eq(confine_caps_add(&set, "CAP_CHOWN", NULL), 0);
	cr_assert_eq(confine_caps_add(&set, "cap_net_raw", NULL), 0);
	cr_assert_eq(set, 1ULL << CAP_CHOWN | 1ULL << CAP_NET_RAW);
	cr_assert_eq(confine_caps_format(set, &text), 0);
	cr_assert_str_eq(text, "CAP_CHOWN, CAP_NET_RAW");
}

Test(confine_caps, has_a_name_for_every_number)
{
	for (int n = 0; n <= CAP_LAST_CAP; n++) {
		_cleanup_free_ char *text = NULL;
		uint64_t set = 0;

		cr_assert_eq(confine_caps_format(1ULL << n, &text), 0);
		cr_assert_eq(confine_caps_add(&set, text, NULL), 0, "%s", text);
		cr_assert_eq(set, 1ULL << n, "%s", text);
	}
}

Test(confine_caps, names_one_it_does_not_know)
{
	struct err err = ERR_INIT;
	uint64_t set = 5;

	cr_assert_lt(confine_caps_add(&set, "CAP_FLY", &err), 0);
	cr_assert_eq(err.kind, ERR_INVALID);
	cr_assert(strstr(err.text, "CAP_FLY"), "%s", err.text);
	cr_assert_eq(set, 5);
}

Test(confine_caps, cuts_to_what_can_be_had_and_says_what_cannot)
{
	struct confine_caps caps = {.bounding = 7, .effective = 3, .permitted = 3, .ambient = 1};
	uint64_t missing = 0;

	cr_assert(confine_caps_is_all(&caps, 5));
	cr_assert(!confine_caps_is_all(&caps, 8 | 5));
	confine_caps_fit(&caps, 5, &missing);
	cr_assert_eq(missing, 2);
	cr_assert_eq(caps.bounding, 5);
	cr_assert_eq(caps.effective, 1);
}

Test(confine_caps, refuses_an_ambient_one_that_is_not_inheritable)
{
	struct confine_caps caps = {.permitted = 1, .ambient = 1};
	struct err err = ERR_INIT;

	cr_assert_eq(confine_caps_apply(&caps, &err), -EINVAL);
}

Test(confine_rlimits, knows_all_of_the_kernels_limits_and_no_other)
{
	struct err err = ERR_INIT;
	int resource = -1;

	cr_assert_eq(confine_rlimit_from_name("RLIMIT_NOFILE", &resource, NULL), 0);
	cr_assert_eq(resource, RLIMIT_NOFILE);
	cr_assert_str_eq(confine_rlimit_name(RLIMIT_MEMLOCK), "RLIMIT_MEMLOCK");
	cr_assert_lt(confine_rlimit_from_name("RLIMIT_NONSENSE", &resource, &err), 0);
	cr_assert(strstr(err.text, "RLIMIT_NONSENSE"));
}

Test(confine_lsm, refuses_labels_of_modules_that_are_not_there)
{
	struct confine_lsm none = {0}, both = {.apparmor = true, .selinux = true};
	struct err err = ERR_INIT;

	cr_assert_eq(confine_lsm_check(&none, NULL, "", NULL), 0);
	cr_assert_eq(confine_lsm_check(&none, "unconfined", NULL, NULL), 0);
	cr_assert_lt(confine_lsm_check(&none, "profile", NULL, &err), 0);
	cr_assert_eq(err.kind, ERR_PRECONDITION);
	cr_assert_lt(confine_lsm_check(&none, NULL, "a:b:c:d", &err), 0);
	cr_assert_eq(confine_lsm_check(&both, "profile", "a:b:c:d", NULL), 0);
	cr_assert_lt(confine_lsm_check(&both, "pro\nfile", NULL, &err), 0);
	cr_assert_eq(err.kind, ERR_INVALID);
}
