/* Plans are pure: no root, no kernel. */
#include <criterion/criterion.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include "base/str.h"
#include "runtime/plan.h"
#include "unit/runtime/bundle.h"

static struct oci_spec spec = OCI_SPEC_INIT;
static struct settings settings = SETTINGS_INIT;
static struct store_layout layout = STORE_LAYOUT_INIT;
static struct store_group group = STORE_GROUP_INIT;
static struct cgroup cgroup = CGROUP_INIT;
static struct cgroup_host host = CGROUP_HOST_INIT;
static struct plan plan = PLAN_INIT;

static const uint64_t all_caps = (1ULL << 41) - 1;

static void teardown(void)
{
	plan_done(&plan);
	oci_spec_done(&spec);
	settings_done(&settings);
	store_group_done(&group);
	store_layout_done(&layout);
}

TestSuite(runtime_plan, .fini = teardown);

static int make(const struct bundle *b, bool nodes_dead, struct err *err)
{
	struct plan_input in = {
		.spec = &spec,
		.settings = &settings,
		.layout = &layout,
		.group = &group,
		.cgroup = &cgroup,
		.cgroup_host = &host,
		.caps_available = all_caps,
		.memory_bytes = 1ULL << 30,
		.nodes_dead = nodes_dead,
	};
	struct bundle usual = *b;
	char *text;
	int r;

	if (!usual.args)
		usual.args = "\"/bin/true\"";
	text = bundle_config(&usual);
	r = oci_spec_parse(text, strlen(text), &spec, err);
	free(text);
	cr_assert_eq(r, 0, "%s", err->text);
	cr_assert_eq(oci_spec_check(&spec, err), 0, "%s", err->text);
	cr_assert_eq(settings_load("/nonexistent", NULL, NULL, 0, &settings, err), 0);
	cr_assert_eq(store_layout_init(&layout, NULL, settings.overlay_base, err), 0);
	return plan_make(&in, &plan, err);
}

static void made(const struct bundle *b)
{
	struct err err = ERR_INIT;

	cr_assert_eq(make(b, false, &err), 0, "%s", err.text);
}

/* The index of the last operation of this kind on this place, or -1. */
static int find(enum mount_op_kind kind, const char *dest)
{
	for (size_t i = plan.ops.n; i-- > 0;) {
		if (plan.ops.v[i].kind == kind && (!dest || str_eq(plan.ops.v[i].dest, dest)))
			return (int)i;
	}
	return -1;
}

Test(runtime_plan, private_trees_come_first_and_restrictions_last)
{
	struct bundle b = {
		.mounts = ",{\"destination\":\"/run/x\",\"type\":\"bind\",\"source\":\"/usr\","
			  "\"options\":[\"rbind\"]}",
		.top = "\"root\":{\"path\":\"r\",\"readonly\":true},"};

	made(&b);
	cr_expect_lt(find(MOUNT_OP_FS, "/run"), find(MOUNT_OP_BIND, "/run/x"));
	cr_expect_lt(find(MOUNT_OP_FS, "/dev"), find(MOUNT_OP_NODE, "/dev/null"));
	cr_expect_lt(find(MOUNT_OP_NODE, "/dev/tty"), find(MOUNT_OP_FS, "/dev/pts"));
	cr_expect_lt(find(MOUNT_OP_BIND, "/run/x"), find(MOUNT_OP_READONLY, "/proc/sys"));
	cr_expect_lt(find(MOUNT_OP_READONLY, "/proc/sys"), find(MOUNT_OP_MASK, "/proc/kcore"));
	cr_expect_lt(find(MOUNT_OP_MASK, "/proc/kcore"), find(MOUNT_OP_VIEW_READONLY, NULL));
	cr_expect_eq(find(MOUNT_OP_SEAL, "/run"), (int)plan.ops.n - 1);
	cr_expect_eq(find(MOUNT_OP_MIRROR, NULL), -1);
	cr_expect_eq(find(MOUNT_OP_VIEW_NODEV, NULL), -1);
}

Test(runtime_plan, a_spec_without_mounts_still_has_private_trees)
{
	struct oci_mount *mounts;
	struct err err = ERR_INIT;
	struct bundle b = {0};
	struct plan_input in;
	size_t n;

	made(&b);
	plan_done(&plan);
	mounts = spec.mounts;
	n = spec.n_mounts;
	spec.mounts = NULL;
	spec.n_mounts = 0;
	in = (struct plan_input) {.spec = &spec,
		.settings = &settings,
		.layout = &layout,
		.group = &group,
		.cgroup = &cgroup,
		.cgroup_host = &host,
		.caps_available = all_caps,
		.memory_bytes = 1ULL << 30};
	cr_assert_eq(plan_make(&in, &plan, &err), 0, "%s", err.text);
	spec.mounts = mounts;
	spec.n_mounts = n;
	cr_expect_geq(find(MOUNT_OP_FS, "/proc"), 0);
	cr_expect_geq(find(MOUNT_OP_FS, "/dev/pts"), 0);
	cr_assert_geq(find(MOUNT_OP_FS, "/sys"), 0);
	cr_expect(plan.ops.v[find(MOUNT_OP_FS, "/sys")].options.set & MS_RDONLY);
	cr_expect_geq(find(MOUNT_OP_FS, "/run"), 0);
}

Test(runtime_plan, device_rules_end_in_what_everybody_may_use)
{
	struct bundle b = {0};

	made(&b);
	cr_assert_gt(plan.n_device_rules, 1U);
	cr_expect(plan.devices_restricted);
	cr_expect_not(plan.device_rules[0].allow);
	cr_expect_eq(plan.device_rules[0].type, 'a');
	for (size_t i = 1; i < plan.n_device_rules; i++)
		cr_expect(plan.device_rules[i].allow);
}

Test(runtime_plan, dead_nodes_are_bound_and_everything_else_is_nodev)
{
	struct bundle b = {
		.mounts = ",{\"destination\":\"/data\",\"type\":\"bind\",\"source\":\"/usr\","
			  "\"options\":[\"rbind\"]}"};
	struct err err = ERR_INIT;

	cr_assert_eq(make(&b, true, &err), 0, "%s", err.text);
	cr_expect_eq(find(MOUNT_OP_VIEW_NODEV, NULL), 0);
	cr_expect(plan.ops.v[find(MOUNT_OP_NODE, "/dev/null")].bind_nodes);
	cr_expect(plan.ops.v[find(MOUNT_OP_FS, "/dev")].options.set & MS_NODEV);
	cr_expect(plan.ops.v[find(MOUNT_OP_BIND, "/data")].options.rec_set & MS_NODEV);
	cr_expect_not(plan.ops.v[find(MOUNT_OP_FS, "/dev/pts")].options.set & MS_NODEV);
}

/* Made there it would lie in the group's upper layer, a device for everybody. */
Test(runtime_plan, no_node_is_made_outside_of_dev)
{
	struct bundle b = {.linux_part = "\"devices\":[{\"path\":\"/dev/../etc/unit\",\"type\":"
					 "\"c\",\"major\":1,\"minor\":3},{\"path\":\"/dev//a/./b\","
					 "\"type\":\"c\",\"major\":1,\"minor\":5}],"};
	struct err err = ERR_INIT;

	cr_assert_eq(make(&b, false, &err), 0, "%s", err.text);
	cr_expect(plan.ops.v[find(MOUNT_OP_NODE, "/etc/unit")].bind_nodes);
	cr_expect_not(plan.ops.v[find(MOUNT_OP_NODE, "/dev/a/b")].bind_nodes);
}

Test(runtime_plan, namespaces_are_the_specs)
{
	struct bundle b = {.namespaces =
				   "{\"type\":\"mount\"},{\"type\":\"ipc\"},{\"type\":\"network\","
				   "\"path\":\"/proc/7/ns/net\"}"};

	made(&b);
	cr_expect_eq(plan.namespaces[PLAN_NS_IPC].action, PLAN_NS_NEW);
	cr_expect_eq(plan.namespaces[PLAN_NS_UTS].action, PLAN_NS_HOST);
	cr_expect_eq(plan.namespaces[PLAN_NS_NET].action, PLAN_NS_JOIN);
	cr_expect_str_eq(plan.namespaces[PLAN_NS_NET].path, "/proc/7/ns/net");
}

Test(runtime_plan, a_mount_over_the_root_or_of_a_strange_type_is_refused)
{
	static const struct {
		const char *mount, *text;
	} cases[] = {
		{",{\"destination\":\"/\",\"type\":\"tmpfs\",\"source\":\"t\"}", "mount at /:"},
		{",{\"destination\":\"/x\",\"type\":\"nfs\",\"source\":\"h:/\"}", "\"nfs\""},
		{",{\"destination\":\"/x\",\"source\":\"/usr\"}", "no type"},
		{",{\"destination\":\"/x\",\"type\":\"bind\",\"source\":\"rel\"}", "not absolute"},
		{",{\"destination\":\"/x\",\"type\":\"bind\",\"source\":\"/"
		 "usr\",\"options\":[\"size=1\"]}",
			"\"size=1\" is no option of a bind mount"},
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct bundle b = {.mounts = cases[i].mount};
		struct err err = ERR_INIT;

		cr_expect_lt(make(&b, false, &err), 0, "%s", cases[i].mount);
		cr_expect(strstr(err.text, cases[i].text), "%s", err.text);
		teardown();
	}
}

/* One hierarchy of two controllers and one of one, as on Debian with cgroup v1. */
Test(runtime_plan, cgroup_v1_shows_only_the_containers_own_directories)
{
	struct bundle b = {.mounts = ",{\"destination\":\"/sys/fs/"
				     "cgroup\",\"type\":\"cgroup\",\"source\":\"cgroup\","
				     "\"options\":[\"ro\",\"nosuid\"]}"};

	cgroup = (struct cgroup) {.n = 2};
	cgroup.dirs[0].path = (char *)"/sys/fs/cgroup/cpu,cpuacct/pod/c1";
	cgroup.dirs[1].path = (char *)"/sys/fs/cgroup/memory/pod/c1";
	host = (struct cgroup_host) {.mode = CGROUP_MODE_V1, .n = 2};
	host.hierarchies[0].root = (char *)"/sys/fs/cgroup/cpu,cpuacct";
	host.hierarchies[1].root = (char *)"/sys/fs/cgroup/memory";
	made(&b);
	cr_assert_geq(find(MOUNT_OP_BIND, "/sys/fs/cgroup/cpu,cpuacct"), 0);
	cr_expect_str_eq(plan.ops.v[find(MOUNT_OP_BIND, "/sys/fs/cgroup/memory")].source,
		"/sys/fs/cgroup/memory/pod/c1");
	cr_expect(plan.ops.v[find(MOUNT_OP_BIND, "/sys/fs/cgroup/memory")].options.set & MS_RDONLY);
	cr_expect_geq(find(MOUNT_OP_SYMLINK, "/sys/fs/cgroup/cpuacct"), 0);
	cr_expect_geq(find(MOUNT_OP_SEAL, "/sys/fs/cgroup"), 0);
}

Test(runtime_plan, it_can_be_printed)
{
	struct bundle b = {.args = "\"/bin/echo\",\"hello\""};
	struct err err = ERR_INIT;
	char *text;

	made(&b);
	cr_assert_eq(plan_format(&plan, &text, &err), 0);
	cr_expect(strstr(text, "command: /bin/echo hello\n"), "%s", text);
	cr_expect(strstr(text, "  mount   tmpfs /run "), "%s", text);
	cr_expect(strstr(text, "  mknod   /dev/null on /dev/null c 1:3 0666"), "%s", text);
	free(text);
}
