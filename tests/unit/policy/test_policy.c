/* The node's policy: text to rules, rules and a process to a decision. */
#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/macro.h"
#include "base/str.h"
#include "conf/settings.h"
#include "policy/policy.h"

static struct policy policy = POLICY_INIT;
static struct err err = ERR_INIT;

static void teardown(void)
{
	policy_done(&policy);
}

TestSuite(policy, .fini = teardown);

static void parse(const char *text)
{
	cr_assert_eq(policy_parse(&policy, text, strlen(text), "p.conf", &err), 0, "%s", err.text);
}

static struct policy_decision decide(struct policy_subject s)
{
	return policy_decide(&policy, &s);
}

Test(policy, no_rule_allows)
{
	parse("# nothing\n\n");
	cr_expect_null(decide((struct policy_subject) {.command = "/bin/sh"}).rule);
}

Test(policy, each_condition_holds_for_what_it_says_and_for_nothing_else)
{
	static const struct {
		const char *key;
		struct policy_subject yes, no;
	} table[] = {
		{"namespace=lab-* other", {.ns = "lab-1"}, {.ns = "prod"}},
		{"namespace=*", {.ns = "x"}, {.ns = NULL}},
		{"pod=web-[0-9]", {.pod = "web-3"}, {.pod = "web-x"}},
		{"pod=[^a-c\\]]?", {.pod = "dx"}, {.pod = "]x"}},
		{"pod=\\[a", {.pod = "[a"}, {.pod = "a"}},
		{"uid=0 1000-1999", {.uid = 1999}, {.uid = 2000}},
		{"uid=0", {.uid = 0}, {.uid = 1}},
		{"command=rm mount*", {.command = "/usr/bin/mount.nfs"}, {.command = "/mount/ls"}},
		{"command=/opt/*", {.command = "/opt/a/b"}, {.command = "opt"}},
		{"scope=node namespace", {.scope = OVERLAY_NAMESPACE}, {.scope = OVERLAY_POD}},
		{"host=net pid", {.hosts = POLICY_HOST_PID}, {.hosts = POLICY_HOST_IPC}},
		{"host=net", {.hosts = POLICY_HOST_NETWORK}, {.hosts = POLICY_HOST_UTS}},
		{"privileged=true", {.privileged = true}, {.privileged = false}},
		{"privileged=false", {.privileged = false}, {.privileged = true}},
		{"capability=CAP_SYS_ADMIN CAP_CHOWN", {.caps = 1 << 0}, {.caps = 1 << 1}},
	};

	for (size_t i = 0; i < ARRAY_LEN(table); i++) {
		char text[128];

		(void)snprintf(text, sizeof(text), "[deny]\n%s\n", table[i].key);
		parse(text);
		cr_expect_not_null(decide(table[i].yes).rule, "%s", table[i].key);
		cr_expect_null(decide(table[i].no).rule, "%s", table[i].key);
		policy_done(&policy);
	}
}

Test(policy, all_conditions_of_a_rule_must_hold)
{
	parse("[deny]\nnamespace=lab\nuid=0\n");
	cr_expect_not_null(decide((struct policy_subject) {.ns = "lab", .uid = 0}).rule);
	cr_expect_null(decide((struct policy_subject) {.ns = "lab", .uid = 1}).rule);
	cr_expect_null(decide((struct policy_subject) {.ns = "other", .uid = 0}).rule);
}

Test(policy, the_first_that_decides_decides_and_force_rules_before_it_count)
{
	struct policy_decision d;

	parse("[force]\nuser=1:2\ndrop_capabilities=CAP_CHOWN\n"
	      "[force]\nuser=3:4\nno_new_privileges=true\ndrop_capabilities=CAP_KILL\n"
	      "[allow]\nnamespace=ops\n"
	      "[force]\nnamespace=*\ndrop_capabilities=CAP_FOWNER\n"
	      "[deny]\nmessage=\"not here: ask ops\"\n");
	d = decide((struct policy_subject) {.ns = "ops"});
	cr_expect_eq(d.rule->action, POLICY_ALLOW);
	cr_expect_eq(d.rule->line, 8);
	cr_expect_eq(d.user->uid, 1);
	cr_expect_eq(d.user->gid, 2);
	cr_expect(d.no_new_privileges);
	cr_expect_eq(d.drop_caps, 1 << 0 | 1 << 5);
	d = decide((struct policy_subject) {.ns = "x"});
	cr_expect_eq(d.rule->action, POLICY_DENY);
	cr_expect_eq(d.drop_caps, 1 << 0 | 1 << 5 | 1 << 3);
}

Test(policy, a_refusal_names_the_rule)
{
	struct policy_subject s = {.command = "/bin/rm"};
	struct policy_decision d;

	parse("\n# comment\n  [deny]  \ncommand=rm\nmessage=\"ask ops\"\n");
	d = policy_decide(&policy, &s);
	cr_expect_eq(policy_refusal(&d, &s, &err), -EPERM);
	cr_expect_eq(err.kind, ERR_PERMISSION);
	cr_expect_str_eq(err.text, "p.conf:3: this node's policy denies /bin/rm: ask ops");
	s.command = "/bin/ls";
	d = policy_decide(&policy, &s);
	cr_expect_eq(policy_refusal(&d, &s, &err), 0);
}

Test(policy, what_is_wrong_is_told_with_its_line)
{
	static const struct {
		const char *text, *error;
	} table[] = {
		{"uid=0\n", "p.conf:1: uid: stands before the first [allow], [deny] or [force]"},
		{"[deny]\n\n[drop]\n", "p.conf:3: a rule begins with [allow], [deny] or [force]"},
		{"[deny\n", "p.conf:1: a rule begins with [allow], [deny] or [force]"},
		{"[deny]\nuser=0:0\n", "p.conf:2: user: not in a rule that says deny"},
		{"[allow]\nmessage=x\n", "p.conf:2: message: not in a rule that says allow"},
		{"[deny]\nuids=0\n", "p.conf:2: uids: no rule has such a key"},
		{"[deny]\nuid=2-1\n",
			"p.conf:2: uid: \"2-1\": must be numbers and ranges (1000-1999), blanks "
			"between"},
		{"[deny]\nuid=\n",
			"p.conf:2: uid: \"\": must be numbers and ranges (1000-1999), blanks "
			"between"},
		{"[deny]\nhost=network\n",
			"p.conf:2: host: \"network\": must be some of pid, ipc, uts, net"},
		{"[deny]\nprivileged=yes\n",
			"p.conf:2: privileged: \"yes\": must be true or false"},
		{"[deny]\ncapability=SYS\n",
			"p.conf:2: capability: \"SYS\": must be names like CAP_SYS_ADMIN, or all"},
		{"[deny]\npod=a [b\n",
			"p.conf:2: pod: \"a [b\": must be patterns with * ? [ ], blanks between"},
		{"[deny]\npod=[]\n",
			"p.conf:2: pod: \"[]\": must be patterns with * ? [ ], blanks between"},
		{"[deny]\npod=[a-]\n",
			"p.conf:2: pod: \"[a-]\": must be patterns with * ? [ ], blanks between"},
		{"[deny]\npod=a\\\n",
			"p.conf:2: pod: \"a\\\": must be patterns with * ? [ ], blanks between"},
		{"[force]\nuser=alice\n",
			"p.conf:2: user: \"alice\": must be UID:GID, two numbers"},
		{"[force]\nuid=0\n",
			"p.conf:1: [force] forces nothing: it needs user, no_new_privileges, "
			"mounts or drop_capabilities"},
		{"[deny]\nuid=0\nuid=1\n", "p.conf:3: uid: already set in line 2"},
		{"[deny]\nuid 0\n", "p.conf:2: expected KEY=VALUE without blanks around the '='"},
	};

	for (size_t i = 0; i < ARRAY_LEN(table); i++) {
		const char *text = table[i].text;

		cr_expect_eq(policy_parse(&policy, text, strlen(text), "p.conf", &err), -EINVAL,
			"%s", text);
		cr_expect_str_eq(err.text, table[i].error);
		policy_done(&policy);
	}
}

/* ---- the directory ---- */

static char dir[] = "/tmp/unit-policy-XXXXXX";

static void put(const char *name, const char *text, mode_t mode)
{
	char path[128];
	FILE *f;

	(void)snprintf(path, sizeof(path), "%s/%s", dir, name);
	f = fopen(path, "we");
	cr_assert_not_null(f);
	(void)fputs(text, f);
	(void)fclose(f);
	cr_assert_eq(chmod(path, mode), 0);
}

static void away(const char *name)
{
	char path[128];

	(void)snprintf(path, sizeof(path), "%s/%s", dir, name);
	cr_assert_eq(unlink(path), 0);
}

Test(policy, files_are_read_in_the_order_of_their_names_and_nobody_else_may_write_them)
{
	cr_assert_not_null(mkdtemp(dir));
	put("20-b.conf", "[deny]\n", 0644);
	put("10-a.conf", "[allow]\n", 0600);
	put("README", "not a rule\n", 0644);
	put(".hidden.conf", "[\n", 0644);
	cr_assert_eq(policy_load(dir, &policy, &err), 0, "%s", err.text);
	cr_assert_eq(policy.n, 2);
	cr_expect_eq(policy.v[0].action, POLICY_ALLOW);
	cr_expect(str_has_suffix(policy.v[1].file, "/20-b.conf"));
	policy_done(&policy);

	put("20-b.conf", "[deny]\n", 0664);
	cr_expect_eq(policy_load(dir, &policy, &err), -EPERM);
	cr_expect_not_null(strstr(err.text, "20-b.conf: others than its owner may write it"));
	cr_expect_eq(policy.n, 0);
	put("20-b.conf", "[deny]\n[x]\n", 0644);
	cr_expect_eq(policy_load(dir, &policy, &err), -EINVAL);
	cr_expect_not_null(strstr(err.text, "/20-b.conf:2: a rule begins with"));
	away("20-b.conf");
	cr_assert_eq(chmod(dir, 0777), 0);
	cr_expect_eq(policy_load(dir, &policy, &err), -EPERM);
	away("10-a.conf");
	away("README");
	away(".hidden.conf");
	cr_assert_eq(rmdir(dir), 0);
	cr_expect_eq(policy_load(dir, &policy, &err), 0, "no directory, no rules");
	cr_expect_eq(policy.n, 0);
}
