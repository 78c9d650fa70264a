#include "oci/spec.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/cleanup.h"
#include "base/file.h"
#include "base/macro.h"
#include "base/str.h"

static int parse(const char *text, struct oci_spec *s, struct err *err)
{
	return oci_spec_parse(text, strlen(text), s, err);
}

Test(oci_spec_parse, reads_the_fields_that_no_sample_has)
{
	static const char text[] =
		"{\"ociVersion\":\"1.2.0\",\"domainname\":\"d\",\"process\":{\"consoleSize\":{"
		"\"height\":24,\"width\":65535},\"user\":{\"umask\":63},\"apparmorProfile\":\"p\","
		"\"selinuxLabel\":\"\",\"ioPriority\":{\"class\":\"IOPRIO_CLASS_BE\",\"priority\":"
		"7},"
		"\"scheduler\":{\"policy\":\"SCHED_DEADLINE\",\"nice\":-20,\"priority\":99,"
		"\"flags\":["
		"\"X\"],\"runtime\":18446744073709551615,\"deadline\":2,\"period\":3},"
		"\"execCPUAffinity\":{\"initial\":\"0-3\"},\"rlimits\":[{\"type\":\"RLIMIT_CORE\","
		"\"soft\":0,\"hard\":"
		"18446744073709551615}]},\"hooks\":{\"poststop\":[{\"path\":\"/"
		"x\",\"args\":[\"x\"],"
		"\"env\":[\"A=b\"],\"timeout\":5}]},\"mounts\":[{\"destination\":\"/"
		"a\",\"source\":\"\","
		"\"uidMappings\":[]}],\"linux\":{\"namespaces\":[{\"type\":\"cgroup\",\"path\":"
		"\"\"},{"
		"\"type\":\"user\"}],\"uidMappings\":[{\"containerID\":0,\"hostID\":100000,"
		"\"size\":"
		"65536}],\"devices\":[{\"path\":\"/dev/"
		"f\",\"type\":\"p\",\"fileMode\":33206,\"uid\":5,"
		"\"gid\":6}],\"resources\":{\"devices\":[{},{\"allow\":true,\"type\":\"b\","
		"\"access\":"
		"\"mr\"}],\"pids\":{\"limit\":-1},\"hugepageLimits\":[{\"pageSize\":\"2MB\","
		"\"limit\":"
		"4096}],\"blockIO\":{\"weight\":500,\"weightDevice\":[{\"major\":8,\"minor\":1,"
		"\"weight\":10}],\"throttleReadBpsDevice\":[{\"major\":8,\"minor\":0,\"rate\":7}]},"
		"\"unified\":{\"memory.high\":\"max\"},\"rdma\":{\"mlx5_1\":{\"hcaHandles\":3}}},"
		"\"intelRdt\":{},\"mountLabel\":"
		"\"m\""
		",\"personality\":{\"domain\":\"LINUX32\",\"flags\":[\"X\"]},\"timeOffsets\":{}},"
		"\"vm\":{},\"unknown\":[{\"x\":1.5}]}";
	_cleanup_(oci_spec_done) struct oci_spec s = OCI_SPEC_INIT;
	struct err err = ERR_INIT;

	cr_assert_eq(parse(text, &s, &err), 0, "%s", err.text);
	cr_assert_str_eq(s.domainname, "d");
	cr_assert_eq(s.process.console_height, 24);
	cr_assert_eq(s.process.console_width, 65535);
	cr_assert(s.process.has_umask);
	cr_assert_eq(s.process.umask, 077);
	cr_assert_str_eq(s.process.apparmor_profile, "p");
	cr_assert_null(s.process.selinux_label);
	cr_assert_str_eq(s.process.io_class, "IOPRIO_CLASS_BE");
	cr_assert_eq(s.process.io_priority, 7);
	cr_assert_eq(s.process.scheduler.nice, -20);
	cr_assert_eq(s.process.scheduler.runtime, UINT64_MAX);
	cr_assert_eq(strv_len(s.process.scheduler.flags), 1);
	cr_assert_str_eq(s.process.cpus_initial, "0-3");
	cr_assert_null(s.process.cpus_final);
	cr_assert_not(s.process.has_capabilities);
	cr_assert_eq(s.process.rlimits[0].hard, UINT64_MAX);
	cr_assert_eq(s.hooks[OCI_HOOK_POSTSTOP].n, 1);
	cr_assert_eq(s.hooks[OCI_HOOK_POSTSTOP].v[0].timeout_s, 5);
	cr_assert_eq(s.hooks[OCI_HOOK_PRESTART].n, 0);
	cr_assert_null(s.mounts[0].source);
	cr_assert_null(s.mounts[0].type);
	cr_assert(s.mounts[0].has_id_mappings);
	cr_assert_null(oci_spec_namespace(&s, OCI_NS_CGROUP)->path);
	cr_assert_eq(s.uid_mappings.v[0].host_id, 100000);
	cr_assert_eq(s.devices[0].type, 'p');
	cr_assert_eq(s.devices[0].mode, 0666);
	cr_assert_eq(s.devices[0].gid, 6);
	cr_assert_str_eq(s.resources.devices[0].access, "rwm");
	cr_assert_str_eq(s.resources.devices[1].access, "rm");
	cr_assert_eq(s.resources.pids_limit.v, -1);
	cr_assert_eq(s.resources.hugepages[0].limit, 4096);
	cr_assert_eq(s.resources.blkio_weight.v, 500);
	cr_assert_eq(s.resources.blkio_weight_device.v[0].value, 10);
	cr_assert_eq(s.resources.blkio_read_bps.v[0].value, 7);
	cr_assert_str_eq(s.resources.unified[0].value, "max");
	cr_assert(!s.resources.has_network);
	cr_assert_eq(s.resources.n_rdma, 1);
	cr_assert_str_eq(s.resources.rdma[0].device, "mlx5_1");
	cr_assert(s.resources.rdma[0].hca_handles.set && !s.resources.rdma[0].hca_objects.set);
	cr_assert(s.has_intel_rdt && s.has_time_offsets && s.has_other_platform);
	cr_assert_str_eq(s.personality, "LINUX32");
	cr_assert_eq(strv_len(s.personality_flags), 1);
	cr_assert_str_eq(s.mount_label, "m");
	oci_spec_done(&s);
	oci_spec_done(NULL);
}

Test(oci_spec_parse, takes_null_for_absent_as_go_writes_it)
{
	_cleanup_(oci_spec_done) struct oci_spec s = OCI_SPEC_INIT;
	struct err err = ERR_INIT;

	cr_assert_eq(parse("{\"process\":null,\"root\":null,\"mounts\":null,\"hooks\":null,"
			   "\"annotations\":null,\"linux\":{\"namespaces\":null,\"resources\":null,"
			   "\"devices\":null,\"seccomp\":null,\"maskedPaths\":null}}",
			     &s, &err),
		0, "%s", err.text);
	cr_assert(!s.has_process && !s.has_resources && !s.has_root);
	cr_assert_null(s.seccomp_json);
}

Test(oci_spec_parse, names_the_path_of_what_it_refuses)
{
	static const struct {
		const char *text, *error; /* behind "config.json: " */
	} table[] = {
		{"{\"ociVersion\":1}", "ociVersion: expected a string, got a number"},
		{"{\"process\":[]}", "process: expected an object, got an array"},
		{"{\"process\":{\"terminal\":1}}",
			"process.terminal: expected true or false, got a number"},
		{"{\"process\":{\"args\":\"sh\"}}",
			"process.args: expected an array, got a string"},
		{"{\"process\":{\"args\":[\"a\",1]}}",
			"process.args[1]: expected a string, got a number"},
		{"{\"process\":{\"env\":[\"a\\u0000b\"]}}",
			"process.env[0]: a NUL character is in the string"},
		{"{\"process\":{\"user\":{\"uid\":-1}}}",
			"process.user.uid: -1 is not between 0 and 4294967294"},
		{"{\"process\":{\"user\":{\"gid\":4294967295}}}",
			"process.user.gid: 4294967295 is not between 0 and 4294967294"},
		{"{\"process\":{\"user\":{\"uid\":\"root\"}}}",
			"process.user.uid: expected a whole number, got a string"},
		{"{\"process\":{\"user\":{\"umask\":512}}}",
			"process.user.umask: 512 is not between 0 and 511"},
		{"{\"process\":{\"user\":{\"additionalGids\":[0,-5]}}}",
			"process.user.additionalGids[1]: -5 is not between 0 and 4294967295"},
		{"{\"process\":{\"consoleSize\":{\"width\":65536}}}",
			"process.consoleSize.width: 65536 is not between 0 and 65535"},
		{"{\"process\":{\"capabilities\":[]}}",
			"process.capabilities: expected an object, got an array"},
		{"{\"process\":{\"rlimits\":[{},{}]}}", "process.rlimits[0].type: missing"},
		{"{\"process\":{\"rlimits\":[{\"type\":\"R\"}]}}",
			"process.rlimits[0].soft: missing"},
		{"{\"process\":{\"rlimits\":[{\"type\":\"R\",\"soft\":1}]}}",
			"process.rlimits[0].hard: missing"},
		{"{\"process\":{\"rlimits\":[{\"type\":\"R\",\"soft\":-1}]}}",
			"process.rlimits[0].soft: -1 is not between 0 and 18446744073709551615"},
		{"{\"process\":{\"rlimits\":[{\"type\":\"R\",\"soft\":18446744073709551616}]}}",
			"process.rlimits[0].soft: 18446744073709551616: too large a number"},
		{"{\"process\":{\"rlimits\":[7]}}",
			"process.rlimits[0]: expected an object, got a number"},
		{"{\"process\":{\"oomScoreAdj\":1001}}",
			"process.oomScoreAdj: 1001 is not between -1000 and 1000"},
		{"{\"process\":{\"ioPriority\":{}}}", "process.ioPriority.class: missing"},
		{"{\"process\":{\"ioPriority\":{\"class\":\"x\",\"priority\":8}}}",
			"process.ioPriority.priority: 8 is not between 0 and 7"},
		{"{\"process\":{\"scheduler\":{\"policy\":\"\"}}}",
			"process.scheduler.policy: missing"},
		{"{\"process\":{\"scheduler\":{\"policy\":\"x\",\"nice\":20}}}",
			"process.scheduler.nice: 20 is not between -20 and 19"},
		{"{\"root\":{\"readonly\":\"yes\"}}",
			"root.readonly: expected true or false, got a string"},
		{"{\"mounts\":[{}]}", "mounts[0].destination: missing"},
		{"{\"mounts\":[{\"destination\":\"/\",\"options\":{}}]}",
			"mounts[0].options: expected an array, got an object"},
		{"{\"hooks\":{\"poststart\":[{}]}}", "hooks.poststart[0].path: missing"},
		{"{\"hooks\":{\"poststart\":[{\"path\":\"/x\",\"timeout\":0}]}}",
			"hooks.poststart[0].timeout: 0 is not between 1 and 86400"},
		{"{\"annotations\":{\"a\":1}}", "annotations.a: expected a string, got a number"},
		{"{\"linux\":{\"namespaces\":[{\"type\":\"pid\"},{\"type\":\"net\"}]}}",
			"linux.namespaces[1].type: \"net\": not a namespace of Linux"},
		{"{\"linux\":{\"namespaces\":[{\"type\":\"pid\"},{\"type\":\"pid\"}]}}",
			"linux.namespaces[1].type: \"pid\": given twice"},
		{"{\"linux\":{\"namespaces\":[{\"type\":\"pid\",\"path\":\"proc\"}]}}",
			"linux.namespaces[0].path: \"proc\": must be absolute"},
		{"{\"linux\":{\"namespaces\":[{}]}}", "linux.namespaces[0].type: missing"},
		{"{\"linux\":{\"uidMappings\":[{\"size\":-1}]}}",
			"linux.uidMappings[0].size: -1 is not between 0 and 4294967295"},
		{"{\"linux\":{\"devices\":[{\"type\":\"c\"}]}}", "linux.devices[0].path: missing"},
		{"{\"linux\":{\"devices\":[{\"path\":\"/d\",\"type\":\"x\"}]}}",
			"linux.devices[0].type: \"x\": must be c, b, u or p"},
		{"{\"linux\":{\"devices\":[{\"path\":\"/d\"}]}}",
			"linux.devices[0].type: \"\": must be c, b, u or p"},
		{"{\"linux\":{\"devices\":[{\"path\":\"/d\",\"type\":\"c\",\"minor\":1}]}}",
			"linux.devices[0].major: missing"},
		{"{\"linux\":{\"devices\":[{\"path\":\"/d\",\"type\":\"c\",\"major\":1}]}}",
			"linux.devices[0].minor: missing"},
		{"{\"linux\":{\"devices\":[{\"path\":\"/d\",\"type\":\"c\",\"major\":4096}]}}",
			"linux.devices[0].major: 4096 is not between 0 and 4095"},
		{"{\"linux\":{\"maskedPaths\":[null]}}",
			"linux.maskedPaths[0]: expected a string, got null"},
		{"{\"linux\":{\"sysctl\":{\"a\":null}}}",
			"linux.sysctl.a: expected a string, got null"},
		{"{\"linux\":{\"resources\":{\"memory\":{\"limit\":-2}}}}",
			"linux.resources.memory.limit: -2 is not between -1 and "
			"9223372036854775807"},
		{"{\"linux\":{\"resources\":{\"memory\":{\"limit\":9223372036854775808}}}}",
			"linux.resources.memory.limit: 9223372036854775808 is not between -1 and "
			"9223372036854775807"},
		{"{\"linux\":{\"resources\":{\"memory\":{\"limit\":1.5}}}}",
			"linux.resources.memory.limit: expected a whole number, got a number with "
			"a fraction or an exponent"},
	};

	for (size_t i = 0; i < ARRAY_LEN(table); i++) {
		struct oci_spec s = OCI_SPEC_INIT;
		struct err err = ERR_INIT;
		char expected[300];

		(void)snprintf(expected, sizeof(expected), "config.json: %s", table[i].error);
		cr_expect_lt(parse(table[i].text, &s, &err), 0, "%s", table[i].text);
		cr_expect_str_eq(err.text, expected);
		cr_expect_eq(err.kind, ERR_INVALID);
		cr_expect_null(s.version);
	}
}

Test(oci_spec_parse, names_the_path_of_what_it_refuses_in_resources)
{
	static const struct {
		const char *text, *error; /* behind "resources: " */
	} table[] = {
		{"{\"devices\":[{\"type\":\"ab\"}]}", "devices[0].type: \"ab\": must be a, b or c"},
		{"{\"devices\":[{\"type\":\"p\"}]}", "devices[0].type: \"p\": must be a, b or c"},
		{"{\"devices\":[{\"access\":\"rx\"}]}",
			"devices[0].access: \"rx\": must be some of r, w, m"},
		{"{\"devices\":[{\"allow\":true}]}",
			"devices[0].access: missing: must be some of r, w, m"},
		{"{\"devices\":[{\"major\":-2}]}",
			"devices[0].major: -2 is not between -1 and 4095"},
		{"{\"devices\":[{\"minor\":1048576}]}",
			"devices[0].minor: 1048576 is not between -1 and 1048575"},
		{"{\"cpu\":{\"shares\":-1}}",
			"cpu.shares: -1 is not between 0 and 18446744073709551615"},
		{"{\"cpu\":{\"cpus\":\"0-1\\n2\"}}",
			"cpu.cpus: \"0-1?2\": must be numbers, commas and ranges"},
		{"{\"cpu\":{\"mems\":\"all\"}}",
			"cpu.mems: \"all\": must be numbers, commas and ranges"},
		{"{\"pids\":{\"limit\":-2}}",
			"pids.limit: -2 is not between -1 and 9223372036854775807"},
		{"{\"hugepageLimits\":[{}]}",
			"hugepageLimits[0].pageSize: \"\": must be a number with KB, MB or GB"},
		{"{\"hugepageLimits\":[{\"pageSize\":\"MB\"}]}",
			"hugepageLimits[0].pageSize: \"MB\": must be a number with KB, MB or GB"},
		{"{\"hugepageLimits\":[{\"pageSize\":\"2MB/../x\"}]}",
			"hugepageLimits[0].pageSize: \"2MB/../x\": must be a number with KB, MB or "
			"GB"},
		{"{\"blockIO\":{\"weight\":65536}}",
			"blockIO.weight: 65536 is not between 0 and 65535"},
		{"{\"blockIO\":{\"throttleWriteIOPSDevice\":[{\"rate\":-1}]}}",
			"blockIO.throttleWriteIOPSDevice[0].rate: -1 is not between 0 and "
			"18446744073709551615"},
		{"{\"unified\":{\"../x.y\":\"1\"}}",
			"unified: \"../x.y\": must be the name of a cgroup file, as memory.high"},
		{"{\"unified\":{\"memory\":\"1\"}}",
			"unified: \"memory\": must be the name of a cgroup file, as memory.high"},
		{"{\"unified\":{\"..\":\"1\"}}",
			"unified: \"..\": must be the name of a cgroup file, as memory.high"},
		{"[]", "expected an object at the top"},
	};

	for (size_t i = 0; i < ARRAY_LEN(table); i++) {
		struct oci_resources r = OCI_RESOURCES_INIT;
		struct err err = ERR_INIT;
		char expected[300];

		(void)snprintf(expected, sizeof(expected), "resources: %s", table[i].error);
		cr_expect_lt(oci_resources_parse(table[i].text, strlen(table[i].text), &r, &err), 0,
			"%s", table[i].text);
		cr_expect_str_eq(err.text, expected);
		cr_expect_null(r.devices);
	}
}

Test(oci_spec_parse, reads_bare_resources)
{
	static const char text[] =
		"{\"cpu\":{\"quota\":-1,\"shares\":0},\"memory\":{\"limit\":-1}}";
	_cleanup_(oci_resources_done) struct oci_resources r = OCI_RESOURCES_INIT;

	cr_assert_eq(oci_resources_parse(text, strlen(text), &r, NULL), 0);
	cr_assert(r.cpu_quota.set && r.cpu_shares.set && !r.cpu_period.set);
	cr_assert_eq(r.cpu_quota.v, -1);
	cr_assert_eq(r.memory_limit.v, -1);
	oci_resources_done(&r);
	oci_resources_done(NULL);
}

Test(oci_spec_parse, refuses_more_than_it_has_room_for)
{
	static const char *const heads[] = {"{\"mounts\":[", "{\"linux\":{\"namespaces\":["};
	static const char *const errors[] = {
		"config.json: mounts: 4097 elements, the limit is 4096",
		"config.json: linux.namespaces: 4097 elements, the limit is 1024"};

	for (size_t i = 0; i < ARRAY_LEN(heads); i++) {
		_cleanup_free_ char *text = calloc(1, 64 + 3 * (OCI_MOUNTS_MAX + 1));
		struct oci_spec s = OCI_SPEC_INIT;
		struct err err = ERR_INIT;
		size_t n = strlen(heads[i]);

		memcpy(text, heads[i], n);
		for (int k = 0; k <= OCI_MOUNTS_MAX; k++, n += 3)
			memcpy(text + n, k ? ",{}" : " {}", 3);
		(void)snprintf(text + n, 8, "%s", i ? "]}}" : "]}");
		cr_expect_lt(parse(text, &s, &err), 0);
		cr_expect_str_eq(err.text, errors[i]);
	}
}

Test(oci_spec_parse, refuses_a_text_above_the_limit_without_reading_it)
{
	struct oci_spec s = OCI_SPEC_INIT;
	struct oci_process p = OCI_PROCESS_INIT;
	struct oci_resources r = OCI_RESOURCES_INIT;
	struct err err = ERR_INIT;

	cr_assert_eq(oci_spec_parse("", OCI_CONFIG_MAX + 1, &s, &err), -EFBIG);
	cr_assert_str_eq(err.text, "config.json: 16777217 bytes, the limit is 16777216");
	cr_assert_eq(oci_process_parse("", OCI_CONFIG_MAX + 1, &p, &err), -EFBIG);
	cr_assert_eq(oci_resources_parse("", OCI_CONFIG_MAX + 1, &r, &err), -EFBIG);
}

Test(oci_spec_parse, loads_a_bundle_and_says_which_file_is_missing_or_too_large)
{
	_cleanup_(oci_spec_done) struct oci_spec s = OCI_SPEC_INIT;
	char bundle[] = "/tmp/reaper-oci-XXXXXX", path[64], expected[128];
	static const char text[] =
		"{\"ociVersion\":\"1.0.0\",\"process\":{\"args\":[\"x\"],\"cwd\":\"/\"}}";
	struct err err = ERR_INIT;

	cr_assert_not_null(mkdtemp(bundle));
	(void)snprintf(path, sizeof(path), "%s/config.json", bundle);
	cr_assert_eq(oci_spec_load(bundle, &s, &err), -ENOENT);
	(void)snprintf(expected, sizeof(expected), "%s: No such file or directory", path);
	cr_assert_str_eq(err.text, expected);
	cr_assert_eq(err.kind, ERR_NOT_FOUND);

	cr_assert_eq(file_replace_at(AT_FDCWD, path, text, strlen(text), 0600, NULL), 0);
	cr_assert_eq(oci_spec_load(bundle, &s, &err), 0, "%s", err.text);
	cr_assert_str_eq(s.process.args[0], "x");

	cr_assert_eq(truncate(path, 100 << 20), 0); /* sparse: a config.json of 100 MB */
	cr_assert_eq(oci_spec_load(bundle, &s, &err), -EFBIG);
	(void)snprintf(expected, sizeof(expected),
		"%s: 104857600 bytes, larger than the limit of 16777216 bytes", path);
	cr_assert_str_eq(err.text, expected);
	(void)unlink(path);
	(void)rmdir(bundle);
}

Test(oci_spec_parse, knows_the_names_of_namespaces_and_hooks)
{
	cr_assert_str_eq(oci_namespace_name(OCI_NS_NETWORK), "network");
	cr_assert_str_eq(oci_namespace_name(_OCI_NS_MAX), "unknown");
	cr_assert_str_eq(oci_hook_name(OCI_HOOK_POSTSTOP), "poststop");
	cr_assert_str_eq(oci_hook_name(_OCI_HOOK_MAX), "unknown");
}
