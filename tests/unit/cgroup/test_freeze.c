#include "cgroup/freeze.h"

#include "unit/cgroup/fake.h"

static char dir[64];

static void set_up(void)
{
	(void)snprintf(dir, sizeof(dir), "/tmp/reaper-freeze-XXXXXX");
	cr_assert(mkdtemp(dir));
}

static void tear_down(void)
{
	fake_remove(dir);
}

#define FAKE .init = set_up, .fini = tear_down

Test(cgroup_freeze, of_v2_is_told_by_cgroup_events, FAKE)
{
	struct cgroup cg = fake_cgroup(dir, 0, true);
	struct err err = ERR_INIT;
	int fd;

	fake_file(dir, "cgroup.freeze", "0\n");
	fake_file(dir, "cgroup.events", "populated 1\nfrozen 0\n");
	cr_assert_eq(cgroup_freeze(&cg, true, &err), 0, "%s", err.text);
	fake_expect(dir, "cgroup.freeze", "1");
	cr_assert_eq(cgroup_is_frozen(&cg, &err), 0, "not before the kernel says so");
	cr_assert(cgroup_freezes_births(&cg), "who is born now waits with the others");
	fake_file(dir, "cgroup.events", "populated 1\nfrozen 1\n");
	cr_assert_eq(cgroup_is_frozen(&cg, &err), 1);
	fd = cgroup_open_freeze_events(&cg);
	cr_assert_geq(fd, 0);
	cr_assert_eq(close(fd), 0);
	cr_assert_eq(cgroup_freeze(&cg, false, &err), 0);
	fake_file(dir, "cgroup.freeze", "0\n");
	cr_assert(cgroup_freezes_births(&cg), "a parent is still frozen");
	fake_file(dir, "cgroup.events", "populated 1\nfrozen 0\n");
	cr_assert(!cgroup_freezes_births(&cg));
	cr_assert(!cgroup_freeze_holds_the_dead(&cg));
}

Test(cgroup_freeze, of_v1_is_asked_for, FAKE)
{
	struct cgroup cg = fake_cgroup(dir, CGROUP_BIT(CGROUP_FREEZER), false);
	struct err err = ERR_INIT;

	fake_file(dir, "freezer.state", "THAWED\n");
	cr_assert_eq(cgroup_is_frozen(&cg, &err), 0);
	cr_assert_eq(cgroup_freeze(&cg, true, &err), 0, "%s", err.text);
	fake_expect(dir, "freezer.state", "FROZEN");
	cr_assert_eq(cgroup_is_frozen(&cg, &err), 1);
	fake_file(dir, "freezer.state", "FREEZING\n");
	cr_assert_eq(cgroup_is_frozen(&cg, &err), 0);
	cr_assert_eq(cgroup_open_freeze_events(&cg), -ENOENT);
	cr_assert(!cgroup_freezes_births(&cg));
	cr_assert(cgroup_freeze_holds_the_dead(&cg));
}

Test(cgroup_freeze, is_refused_where_there_is_none, FAKE)
{
	struct cgroup cg = fake_cgroup(dir, CGROUP_BIT(CGROUP_PIDS), false);
	struct err err = ERR_INIT;

	cr_assert_lt(cgroup_freeze(&cg, true, &err), 0);
	cr_assert_eq(err.kind, ERR_PRECONDITION);
	cr_assert(strstr(err.text, "freezer"), "%s", err.text);
	cr_assert_eq(cgroup_is_frozen(&cg, &err), -ENOENT);
}

Test(cgroup_freeze, names_the_file_that_refuses, FAKE)
{
	struct cgroup cg = fake_cgroup(dir, 0, true);
	struct err err = ERR_INIT;

	cr_assert_lt(cgroup_freeze(&cg, true, &err), 0);
	cr_assert(strstr(err.text, "cgroup.freeze") && strstr(err.text, dir), "%s", err.text);
}
