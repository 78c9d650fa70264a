#include <errno.h>
#include <string.h>
#include "base/glob.h"
#include "base/str.h"
#include "policy/policy.h"

static bool matches_any(char *const *globs, const char *text)
{
	if (!globs)
		return true;
	for (size_t i = 0; text && globs[i]; i++) {
		if (glob_match(globs[i], text))
			return true;
	}
	return false;
}

/* A glob without a '/' is about the program's name, wherever it lies. */
static bool matches_command(char *const *globs, const char *command)
{
	const char *slash = command ? strrchr(command, '/') : NULL;

	if (!globs)
		return true;
	for (size_t i = 0; command && globs[i]; i++) {
		const char *text = slash && !strchr(globs[i], '/') ? slash + 1 : command;

		if (glob_match(globs[i], text))
			return true;
	}
	return false;
}

static bool matches_uid(const struct policy_rule *r, uid_t uid)
{
	for (size_t i = 0; i < r->n_uids; i++) {
		if (uid >= r->uids[i].first && uid <= r->uids[i].last)
			return true;
	}
	return r->n_uids == 0;
}

static bool matches(const struct policy_rule *r, const struct policy_subject *s)
{
	if (r->privileged != POLICY_ANY && s->privileged != (r->privileged == POLICY_YES))
		return false;
	if (r->hosts && !(r->hosts & s->hosts))
		return false;
	if (r->caps && !(r->caps & s->caps))
		return false;
	if (r->scopes && !(r->scopes & 1U << s->scope))
		return false;
	return matches_uid(r, s->uid) && matches_any(r->namespaces, s->ns) &&
	       matches_any(r->pods, s->pod) && matches_command(r->commands, s->command);
}

static void force(struct policy_decision *d, const struct policy_rule *r)
{
	if (r->has_user && !d->user)
		d->user = r;
	d->no_new_privileges |= r->no_new_privileges;
	d->private_mounts |= r->private_mounts;
	d->drop_caps |= r->drop_caps;
}

struct policy_decision policy_decide(
	const struct policy *policy, const struct policy_subject *subject)
{
	struct policy_decision d = {.rule = NULL};

	for (size_t i = 0; i < policy->n && !d.rule; i++) {
		const struct policy_rule *r = &policy->v[i];

		if (!matches(r, subject))
			continue;
		if (r->action == POLICY_FORCE)
			force(&d, r);
		else
			d.rule = r;
	}
	return d;
}

int policy_refusal(const struct policy_decision *decision, const struct policy_subject *subject,
	struct err *err)
{
	const struct policy_rule *r = decision->rule;

	if (!r || r->action != POLICY_DENY)
		return 0;
	return err_setf(err, ERR_PERMISSION, EPERM, "%s:%u: this node's policy denies %.200s%s%s",
		r->file, r->line, subject->command ? subject->command : "it",
		r->message ? ": " : "", r->message ? r->message : "");
}

const char *policy_action_name(enum policy_action action)
{
	static const char *const names[] = {
		[POLICY_ALLOW] = "allow", [POLICY_DENY] = "deny", [POLICY_FORCE] = "force"};

	return names[action];
}
