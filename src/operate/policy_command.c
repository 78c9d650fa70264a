#include "operate/policy_command.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include "base/cleanup.h"
#include "base/file.h"
#include "base/json.h"
#include "base/str.h"
#include "confine/caps.h"
#include "operate/policy_pod.h"

enum { INPUT_MAX = 16 << 20 };

static int fail(const struct err *err)
{
	(void)fprintf(stderr, "reaperctl: policy: %s\n", err->text);
	return 1;
}

static int load(const struct cli_args *args, struct policy *policy, struct err *err)
{
	_cleanup_free_ char *dir = NULL;

	if (str_printf(&dir, "%s" POLICY_DIR, args->root ? args->root : "") < 0)
		return err_sysf(err, ENOMEM, "policy");
	return policy_load(dir, policy, err);
}

int policy_check_command(const struct cli_args *args)
{
	_cleanup_(policy_done) struct policy policy = POLICY_INIT;
	struct err err = ERR_INIT;

	if (load(args, &policy, &err) < 0)
		return fail(&err);
	(void)printf("%zu rule%s\n", policy.n, policy.n == 1 ? "" : "s");
	return 0;
}

int policy_list_command(const struct cli_args *args)
{
	_cleanup_(policy_done) struct policy policy = POLICY_INIT;
	struct err err = ERR_INIT;

	if (load(args, &policy, &err) < 0)
		return fail(&err);
	for (size_t i = 0; i < policy.n; i++)
		(void)printf("%-5s %s:%u%s%s\n", policy_action_name(policy.v[i].action),
			policy.v[i].file, policy.v[i].line, policy.v[i].message ? "  " : "",
			policy.v[i].message ? policy.v[i].message : "");
	return 0;
}

/* ---- test ---- */

struct test {
	struct policy policy;
	bool denied, told;
};

static void tell_forced(const struct policy_decision *d)
{
	_cleanup_free_ char *names = NULL;

	if (d->user)
		(void)printf(", as user %u:%u (%s:%u)", d->user->uid, d->user->gid, d->user->file,
			d->user->line);
	if (d->no_new_privileges)
		(void)fputs(", with no new privileges", stdout);
	if (d->private_mounts)
		(void)fputs(", with private mounts", stdout);
	if (d->drop_caps == UINT64_MAX)
		(void)fputs(", without capabilities", stdout);
	else if (d->drop_caps && confine_caps_format(d->drop_caps, &names) == 0)
		(void)printf(", without %s", names);
}

static void tell(void *arg, const char *name, const struct policy_subject *subject)
{
	struct test *t = arg;
	struct policy_decision d = policy_decide(&t->policy, subject);
	struct err err = ERR_INIT;

	t->told = true;
	if (policy_refusal(&d, subject, &err) < 0) {
		t->denied = true;
		(void)printf("%s: denied: %s\n", name, err.text);
		return;
	}
	(void)printf("%s: allowed", name);
	if (d.rule)
		(void)printf(" (%s:%u)", d.rule->file, d.rule->line);
	tell_forced(&d);
	(void)fputc('\n', stdout);
}

static int test_text(struct test *t, const char *text, size_t len, struct err *err)
{
	_cleanup_json_ struct json_ref root = {.value = NULL};
	_cleanup_free_ char *kind = NULL;
	int r;

	if (text[strspn(text, " \t\r\n")] != '{')
		return err_setf(err, ERR_INVALID, EINVAL,
			"no JSON; of YAML: kubectl create -f POD.yaml "
			"--dry-run=client -o json | reaperctl policy test");
	r = json_parse(text, len, "input", &root, err);
	if (r == 0)
		r = json_get_str(&root, "kind", &kind, err);
	if (r < 0)
		return r;
	if (!kind)
		return json_errorf(
			&root, err, "no kind: not a pod (of a bundle, reaper-runtime plan tells)");
	if (!str_eq(kind, "Pod"))
		return json_errorf(&root, err, "kind %s: only a Pod can be tested", kind);
	r = policy_pod_each(&root, tell, t, err);
	if (r == 0 && !t->told)
		return json_errorf(&root, err, "the pod has no containers");
	return r;
}

static int read_input(
	const struct cli_args *args, char **ret_text, size_t *ret_len, struct err *err)
{
	if (args->file)
		return file_read_at(AT_FDCWD, args->file, INPUT_MAX, ret_text, ret_len, err);
	return file_read_fd(STDIN_FILENO, "standard input", INPUT_MAX, ret_text, ret_len, err);
}

int policy_test_command(const struct cli_args *args)
{
	struct test t = {.policy = POLICY_INIT};
	_cleanup_free_ char *text = NULL;
	struct err err = ERR_INIT;
	size_t len = 0;
	int r = load(args, &t.policy, &err);

	if (r == 0)
		r = read_input(args, &text, &len, &err);
	if (r == 0)
		r = test_text(&t, text ? text : "", len, &err);
	policy_done(&t.policy);
	if (r < 0)
		return fail(&err);
	return t.denied ? 1 : 0;
}
