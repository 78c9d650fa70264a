#include "groups/groups.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>
#include "base/cleanup.h"
#include "base/macro.h"
#include "base/str.h"

static struct store_layout layout = STORE_LAYOUT_INIT;
static struct settings settings = SETTINGS_INIT;
static struct oci_spec spec = OCI_SPEC_INIT;
static struct store_group group = STORE_GROUP_INIT;

static void set_up(void)
{
	cr_assert_eq(store_layout_init(&layout, NULL, NULL, NULL), 0);
}

static void tear_down(void)
{
	store_group_done(&group);
	oci_spec_done(&spec);
	settings_done(&settings);
	store_layout_done(&layout);
}

TestSuite(groups, .init = set_up, .fini = tear_down);

#define CRI(ns, pod, id)                                                                       \
	"\"io.kubernetes.cri.container-type\":\"container\",\"io.kubernetes.cri.sandbox-id\":" \
	"\"" id "\",\"io.kubernetes.cri.sandbox-namespace\":\"" ns                             \
	"\",\"io.kubernetes.cri.sandbox-name\":\"" pod "\""

#define PID(path) ",{\"type\":\"pid\"" path "}"
#define OWN_PID   PID("")

/* The key that a container gets. `env1`, `env2`: NAME=value of the node; `more`: capabilities;
 * `pid`: the pid namespace. */
static const char *key_with(const char *env1, const char *env2, const char *annotations,
	const char *more, const char *pid)
{
	char *const env[] = {(char *)env1, (char *)(env1 ? env2 : NULL), NULL};
	_cleanup_free_ char *json = NULL;
	struct err err = ERR_INIT;

	store_group_done(&group);
	settings_done(&settings);
	oci_spec_done(&spec);
	cr_assert_eq(
		str_printf(&json,
			"{\"ociVersion\":\"1.2.0\",\"annotations\":{%s},\"process\":{\"args\":"
			"[\"x\"],\"cwd\":\"/\",\"capabilities\":{\"bounding\":[\"CAP_CHOWN\"%s]}},"
			"\"linux\":{\"namespaces\":[{\"type\":\"mount\"}%s]}}",
			annotations, more, pid),
		0);
	cr_assert_eq(oci_spec_parse(json, strlen(json), &spec, &err), 0, "%s: %s", err.text, json);
	cr_assert_eq(settings_load("/nonexistent/reaper.conf", env, spec.annotations.v,
			     spec.annotations.n, &settings, &err),
		0, "%s", err.text);
	cr_assert_eq(groups_choose(&spec, &settings, &layout, "k8s.io", "c1",
			     groups_is_powerful(&spec, &settings), &group, &err),
		0, "%s", err.text);
	return group.key;
}

static const char *key(const char *env, const char *annotations)
{
	return key_with(env, NULL, annotations, "", OWN_PID);
}

#define NODE      "REAPER_OVERLAY_ISOLATION=node"
#define NAMESPACE "REAPER_OVERLAY_ISOLATION=namespace"
#define POD       "REAPER_OVERLAY_ISOLATION=pod"
#define SEPARATE  "REAPER_OVERLAY_TRUST=separate"
#define NAMED     ",\"reaper.runtime/overlay-name\":\"build\""

Test(groups, the_scope_says_who_is_together)
{
	cr_expect_str_eq(key(NULL, CRI("a", "p", "s1")), "node");
	cr_expect_str_eq(key(NODE, CRI("a", "p", "s1")), "node");
	cr_expect_str_eq(key(NAMESPACE, CRI("a", "p", "s1")), "namespace.a");
	cr_expect_str_eq(key(NAMESPACE, CRI("a", "q", "s2")), "namespace.a");
	cr_expect_str_eq(key(NAMESPACE, CRI("b", "p", "s1")), "namespace.b");
	cr_expect_str_eq(key(POD, CRI("a", "p", "s1")), "pod.k8s_2eio.s1");
	cr_expect_str_eq(group.pod, "a/p");
	cr_expect_str_eq(key(POD, CRI("a", "q", "s2")), "pod.k8s_2eio.s2");
}

Test(groups, a_name_makes_a_group_inside_of_its_scope)
{
	cr_expect_str_eq(key(NODE, CRI("a", "p", "s1") NAMED), "node.build");
	cr_expect_str_eq(key(NAMESPACE, CRI("a", "p", "s1") NAMED), "namespace.a.build");
	cr_expect_str_eq(key(POD, CRI("a", "p", "s1") NAMED), "pod.k8s_2eio.s1.build");
}

Test(groups, who_is_in_no_kubernetes_namespace_is_with_nobody)
{
	cr_expect_str_eq(key(NODE, ""), "node");
	cr_expect_str_eq(key(NAMESPACE, ""), "pod.k8s_2eio.c1");
	cr_expect_str_eq(key(POD, ""), "pod.k8s_2eio.c1");
}

/* More than the default capabilities, or the host's pid namespace. */
Test(groups, with_separate_trust_the_powerful_write_where_nobody_else_reads)
{
	const char *pod = CRI("a", "p", "s1") NAMED;
	static const char host_pid[] = PID(",\"path\":\"/proc/self/ns/pid\"");
	static const char other[] = PID(",\"path\":\"/proc/self/ns/net\"");

	cr_expect_str_eq(key(SEPARATE, pod), "node.build");
	cr_expect_str_eq(key_with(SEPARATE, NULL, pod, ",\"CAP_NET_RAW\"", OWN_PID), "node.build");
	cr_expect_str_eq(key_with(SEPARATE, NULL, pod, ",\"CAP_SYS_ADMIN\"", OWN_PID),
		"separate.k8s_2eio.s1");
	cr_expect_str_eq(key_with(SEPARATE, NAMESPACE, pod, ",\"CAP_SYS_PTRACE\"", OWN_PID),
		"separate.k8s_2eio.s1");
	/* no pid namespace, the host's by path, by the node's setting; another's by path */
	cr_expect_str_eq(key_with(SEPARATE, NULL, pod, "", ""), "separate.k8s_2eio.s1");
	cr_expect_str_eq(key_with(SEPARATE, NULL, pod, "", host_pid), "separate.k8s_2eio.s1");
	cr_expect_str_eq(key_with(SEPARATE, "REAPER_HOST_NAMESPACES=pid", pod, "", OWN_PID),
		"separate.k8s_2eio.s1");
	cr_expect_str_eq(key_with(SEPARATE, NULL, pod, "", other), "node.build");
	/* without the setting nothing of this counts */
	cr_expect_str_eq(key_with(NODE, NULL, pod, ",\"CAP_SYS_ADMIN\"", ""), "node.build");
}

Test(groups, mounts_are_shared_in_the_nodes_scope_only_unless_the_pod_says)
{
	const char *pod = CRI("a", "p", "s1");

	(void)key(NODE, pod);
	cr_expect(groups_share_mounts(&settings, &group));
	(void)key(NAMESPACE, pod);
	cr_expect_not(groups_share_mounts(&settings, &group));
	(void)key(NAMESPACE, CRI("a", "p", "s1") ",\"reaper.runtime/mounts\":\"shared\"");
	cr_expect(groups_share_mounts(&settings, &group));
	(void)key(NODE, CRI("a", "p", "s1") ",\"reaper.runtime/mounts\":\"private\"");
	cr_expect_not(groups_share_mounts(&settings, &group));
}
