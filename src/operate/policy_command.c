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
#include "cli/child.h"
#include "confine/caps.h"
#include "operate/policy_pod.h"
#include "yaml/yaml.h"

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
	const char *what; /* the input's name */
	char *other;      /* a kind that is none of a pod */
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

/* A bundle is the runtime's to understand: its plan has what the policy forces, and its error is
 * the refusal. Only returns on an error. */
static int plan_bundle(
	const struct test *t, const struct json_ref *config, bool root, struct err *err)
{
	_cleanup_free_ char *dir = NULL, *program = NULL;
	const char *slash = strrchr(t->what, '/');
	int r;

	if (root || !str_has_suffix(t->what, "config.json"))
		return json_errorf(config, err,
			"no kind, so no pod; a bundle is given as its config.json, without --root");
	r = slash ? str_printf(&dir, "%.*s", (int)(slash - t->what) + 1, t->what)
		  : str_dup(&dir, ".");
	if (r < 0)
		return err_sysf(err, -r, "%s", t->what);
	r = child_find("reaper-runtime", &program, err);
	if (r < 0)
		return r;
	(void)execl(program, "reaper-runtime", "plan", "--bundle", dir, NULL);
	return err_sysf(err, errno, "%s", program);
}

static int test_document(struct test *t, const struct json_ref *root, bool tree, struct err *err)
{
	_cleanup_free_ char *kind = NULL;
	int r = json_get_str(root, "kind", &kind, err);

	if (r < 0)
		return r;
	if (!kind)
		return plan_bundle(t, root, tree, err);
	if (str_eq(kind, "Pod"))
		return policy_pod_each(root, tell, t, err);
	if (!t->other)
		t->other = TAKE_PTR(kind);
	return 0;
}

static int hint(struct err *err)
{
	struct err why = *err;

	return err_setf(err, why.kind, why.errnum,
		"%s; or as JSON: kubectl create -f POD.yaml --dry-run=client -o json | "
		"reaperctl policy test -",
		why.text);
}

static int test_text(struct test *t, const char *text, size_t len, bool tree, struct err *err)
{
	bool json = text[strspn(text, " \t\r\n")] == '{';
	unsigned line = 1;
	int r = 1;

	while (r > 0) {
		_cleanup_json_ struct json_ref root = {.value = NULL};

		r = json ? json_parse(text, len, t->what, &root, err)
			 : yaml_parse(&text, &len, &line, t->what, &root, err);
		if (r < 0 && !json)
			return hint(err);
		if (r > 0 || (r == 0 && json)) {
			int tested = test_document(t, &root, tree, err);

			r = tested < 0 ? tested : r;
		}
	}
	if (r < 0 || t->told)
		return r;
	if (t->other)
		return err_setf(err, ERR_INVALID, EINVAL, "%s: kind %s: only a Pod can be tested",
			t->what, t->other);
	return err_setf(err, ERR_INVALID, EINVAL, "%s: no pod with containers", t->what);
}

int policy_test_command(const struct cli_args *args)
{
	bool file = args->operand && !str_eq(args->operand, "-");
	struct test t = {.policy = POLICY_INIT, .what = file ? args->operand : "standard input"};
	_cleanup_free_ char *text = NULL;
	struct err err = ERR_INIT;
	size_t len = 0;
	int r = load(args, &t.policy, &err);

	if (r == 0)
		r = file ? file_read_at(AT_FDCWD, t.what, INPUT_MAX, &text, &len, &err)
			 : file_read_fd(STDIN_FILENO, t.what, INPUT_MAX, &text, &len, &err);
	if (r == 0)
		r = test_text(&t, text ? text : "", len, args->root != NULL, &err);
	if (r == 0 && t.other)
		(void)fprintf(
			stderr, "reaperctl: policy: %s: kind %s: not tested\n", t.what, t.other);
	policy_done(&t.policy);
	free(t.other);
	if (r < 0)
		return fail(&err);
	return t.denied ? 1 : 0;
}
