#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include "base/cleanup.h"
#include "base/macro.h"
#include "oci/spec.h"

/* A valid spec with `process` and `rest` put into it: JSON members, each with a comma before it. */
static int check(const char *process, const char *rest, struct err *err)
{
	_cleanup_(oci_spec_done) struct oci_spec s = OCI_SPEC_INIT;
	char text[2048];
	int r;

	(void)snprintf(text, sizeof(text),
		"{\"ociVersion\":\"1.1.0\",\"process\":{\"args\":[\"a\"],\"cwd\":\"/\"%s}%s}",
		process, rest);
	r = oci_spec_parse(text, strlen(text), &s, err);
	cr_assert_eq(r, 0, "%s: %s", text, err->text);
	return oci_spec_check(&s, err);
}

Test(oci_spec_check, accepts_the_smallest_spec)
{
	struct err err = ERR_INIT;

	cr_assert_eq(check("", "", &err), 0, "%s", err.text);
}

Test(oci_spec_check, refuses_what_the_specification_forbids)
{
	static const struct {
		const char *process, *rest, *error; /* behind "config.json: " */
	} table[] = {
		{",\"args\":[]", "", "process.args: missing or empty: there is no command to run"},
		{",\"args\":[\"\"]", "", "process.args[0]: empty: there is no command to run"},
		{",\"cwd\":\"\"", "", "process.cwd: missing"},
		{",\"cwd\":\"srv\"", "", "process.cwd: \"srv\": must be absolute"},
		{",\"env\":[\"A=b\",\"C\"]", "", "process.env[1]: \"C\": must be NAME=VALUE"},
		{",\"env\":[\"=b\"]", "", "process.env[0]: \"=b\": must be NAME=VALUE"},
		{",\"capabilities\":{\"effective\":[\"CAP_KILL\"]}", "",
			"process.capabilities.effective: CAP_KILL is not in permitted, which the "
			"kernel demands"},
		{",\"rlimits\":[{\"type\":\"R\",\"soft\":2,\"hard\":1}]", "",
			"process.rlimits[0]: R: soft (2) is above hard (1)"},
		{",\"rlimits\":[{\"type\":\"R\",\"soft\":1,\"hard\":1},{\"type\":\"R\",\"soft\":1,"
		 "\"hard\":1}]",
			"", "process.rlimits[1]: R: given twice"},
		{"", ",\"mounts\":[{\"destination\":\"data\"}]",
			"mounts[0].destination: \"data\": must be absolute"},
		{"", ",\"linux\":{\"maskedPaths\":[\"/a\",\"b\"]}",
			"linux.maskedPaths[1]: \"b\": must be absolute"},
		{"", ",\"linux\":{\"readonlyPaths\":[\"b\"]}",
			"linux.readonlyPaths[0]: \"b\": must be absolute"},
		{"", ",\"linux\":{\"devices\":[{\"path\":\"x\",\"type\":\"p\"}]}",
			"linux.devices[0].path: \"x\": must be absolute"},
		{"", ",\"linux\":{\"rootfsPropagation\":\"sometimes\"}",
			"linux.rootfsPropagation: \"sometimes\": must be shared, slave, private or "
			"unbindable"},
		{"", ",\"linux\":{\"sysctl\":{\"net.ipv4.ip_forward\":\"1\"}}",
			"linux.sysctl: net.ipv4.ip_forward: needs the pod's own network namespace, "
			"the spec has the host's"},
		{"",
			",\"linux\":{\"namespaces\":[{\"type\":\"network\"}],\"sysctl\":{\"kernel."
			"shmmax\":"
			"\"1\"}}",
			"linux.sysctl: kernel.shmmax: needs the pod's own ipc namespace, the spec "
			"has the host's"},
		{"", ",\"linux\":{\"sysctl\":{\"kernel.core_pattern\":\"|/x\"}}",
			"linux.sysctl: kernel.core_pattern: is the whole node's, not a "
			"namespace's: "
			"refused"},
		{"", ",\"linux\":{\"sysctl\":{\"vm.overcommit_memory\":\"1\"}}",
			"linux.sysctl: vm.overcommit_memory: is the whole node's, not a "
			"namespace's: "
			"refused"},
		{"",
			",\"linux\":{\"namespaces\":[{\"type\":\"network\"}],\"sysctl\":{"
			"\"net./../kernel/core_pattern\":\"1\"}}",
			"linux.sysctl: \"net./../kernel/core_pattern\": not the name of a sysctl"},
		{"", ",\"hostname\":\"web-0\",\"linux\":{\"namespaces\":[{\"type\":\"ipc\"}]}",
			"hostname: \"web-0\": needs a uts namespace of the pod's own; the spec has "
			"the host's (hostNetwork)"},
		{"", ",\"domainname\":\"d\"",
			"domainname: \"d\": needs a uts namespace of the pod's own; the spec has "
			"the host's (hostNetwork)"},
		{"", ",\"hooks\":{\"createContainer\":[{\"path\":\"/a\"},{\"path\":\"nvidia\"}]}",
			"hooks.createContainer[1]: path: \"nvidia\": must be absolute"},
		{"", ",\"hooks\":{\"poststop\":[{\"path\":\"/a\",\"env\":[\"X\"]}]}",
			"hooks.poststop[0]: env[0]: \"X\": must be NAME=VALUE"},
		{",\"scheduler\":{\"policy\":\"SCHED_BATCH\",\"priority\":1}", "",
			"process.scheduler.priority: 1: only for SCHED_FIFO and SCHED_RR"},
		{",\"scheduler\":{\"policy\":\"SCHED_RR\",\"nice\":-1}", "",
			"process.scheduler.nice: -1: not for SCHED_RR"},
		{",\"scheduler\":{\"policy\":\"SCHED_OTHER\",\"period\":1}", "",
			"process.scheduler: runtime, deadline and period are for SCHED_DEADLINE"},
	};

	for (size_t i = 0; i < ARRAY_LEN(table); i++) {
		struct err err = ERR_INIT;
		char expected[300];

		(void)snprintf(expected, sizeof(expected), "config.json: %s", table[i].error);
		cr_expect_lt(check(table[i].process, table[i].rest, &err), 0, "%s", expected);
		cr_expect_str_eq(err.text, expected);
		cr_expect_eq(err.kind, ERR_INVALID);
	}
}

Test(oci_spec_check, refuses_by_name_what_this_runtime_does_not_do)
{
	static const struct {
		const char *process, *rest, *error;
	} table[] = {
		{"", ",\"ociVersion\":\"2.0.0\"", "ociVersion: \"2.0.0\": this runtime knows 1.x"},
		{"", ",\"ociVersion\":\"0.9\"", "ociVersion: \"0.9\": this runtime knows 1.x"},
		{"", ",\"mounts\":[{\"destination\":\"/a\",\"gidMappings\":[]}]",
			"mounts[0]: /a: id-mapped mounts are not supported"},
		{"", ",\"mounts\":[{\"destination\":\"/a\",\"options\":[\"bind\",\"ridmap\"]}]",
			"mounts[0]: /a: id-mapped mounts are not supported"},
		{"", ",\"linux\":{\"namespaces\":[{\"type\":\"user\"}]}",
			"linux.namespaces: user namespaces (hostUsers: false): not supported"},
		{"", ",\"linux\":{\"uidMappings\":[{\"size\":1}]}",
			"linux.namespaces: user namespaces (hostUsers: false): not supported"},
		{"", ",\"linux\":{\"namespaces\":[{\"type\":\"time\"}]}",
			"linux.namespaces: time namespaces: not supported"},
		{"", ",\"linux\":{\"namespaces\":[{\"type\":\"mount\",\"path\":\"/x\"}]}",
			"linux.namespaces: joining a mount namespace: not supported"},
		{"", ",\"linux\":{\"intelRdt\":{}}", "linux.intelRdt (RDT classes): not supported"},
		{"", ",\"linux\":{\"personality\":{\"domain\":\"LINUX\",\"flags\":[\"X\"]}}",
			"linux.personality.flags: not supported"},
		{"", ",\"linux\":{\"resources\":{\"network\":{}}}",
			"linux.resources.network (net_cls, net_prio): not supported"},
		{"", ",\"windows\":{}",
			"windows, vm, solaris, zos or freebsd: another platform: not supported"},
	};

	for (size_t i = 0; i < ARRAY_LEN(table); i++) {
		struct err err = ERR_INIT;
		char expected[300];

		(void)snprintf(expected, sizeof(expected), "config.json: %s", table[i].error);
		cr_expect_lt(check(table[i].process, table[i].rest, &err), 0, "%s", expected);
		cr_expect_str_eq(err.text, expected);
		cr_expect_eq(err.kind, ERR_UNIMPLEMENTED);
	}
}

Test(oci_spec_check, needs_a_version_and_a_process)
{
	_cleanup_(oci_spec_done) struct oci_spec s = OCI_SPEC_INIT;
	struct err err = ERR_INIT;

	cr_assert_lt(oci_spec_check(&s, &err), 0);
	cr_assert_str_eq(err.text, "config.json: ociVersion: missing");
	cr_assert_eq(oci_spec_parse("{\"ociVersion\":\"1.0.0\"}", 22, &s, NULL), 0);
	cr_assert_lt(oci_spec_check(&s, &err), 0);
	cr_assert_str_eq(err.text, "config.json: process: missing");
}

Test(oci_spec_check, lets_sysctls_of_the_pod_s_own_namespaces_pass)
{
	struct err err = ERR_INIT;

	cr_assert_eq(
		check("",
			",\"hostname\":\"h\",\"linux\":{\"namespaces\":[{\"type\":\"network\"},{"
			"\"type\":\"ipc\",\"path\":\"/proc/1/ns/"
			"ipc\"},{\"type\":\"uts\"}],\"sysctl\":{"
			"\"net.core.somaxconn\":\"1\",\"fs.mqueue.msg_max\":\"1\",\"kernel.sem\":"
			"\"1\","
			"\"kernel.domainname\":\"d\"}}",
			&err),
		0, "%s", err.text);
}

Test(oci_spec_check, checks_an_exec_s_process_too)
{
	struct oci_process p = OCI_PROCESS_INIT;
	struct err err = ERR_INIT;

	cr_assert_lt(oci_process_parse("{\"cwd\":\"/\"}", 11, &p, &err), 0);
	cr_assert_str_eq(err.text, "process.args: missing or empty: there is no command to run");
	cr_assert_lt(oci_process_parse("{\"args\":[1]}", 12, &p, &err), 0);
	cr_assert_str_eq(err.text, "process: args[0]: expected a string, got a number");
	oci_process_done(&p);
	oci_process_done(NULL);
}
