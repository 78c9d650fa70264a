#include <stdlib.h>
#include "policy/subject.h"
#include "runtime/plan.h"

/* A user of the policy's replaces what the pod says, also by name: no group of the former one is
 * left, and neither are its home and shell. */
static void force_user(struct plan *plan, const struct policy_rule *rule)
{
	free(plan->ids.groups);
	plan->ids = (struct identity_ids) {.uid = rule->uid, .gid = rule->gid};
	plan->identity = NULL;
	plan->creds.uid = rule->uid;
	plan->creds.gid = rule->gid;
	plan->creds.groups = NULL;
	plan->creds.n_groups = 0;
}

static void drop_caps(struct confine_caps *caps, uint64_t drop)
{
	caps->bounding &= ~drop;
	caps->effective &= ~drop;
	caps->inheritable &= ~drop;
	caps->permitted &= ~drop;
	caps->ambient &= ~drop;
}

/* What the node's rules say of this process: after its user is known, before anything is mounted.
 */
int plan_policy(const struct plan_input *in, struct plan *plan, struct err *err)
{
	const struct oci_process *p = in->exec ? in->exec : &in->spec->process;
	struct policy_subject subject;
	struct policy_decision d;
	int r;

	if (!in->policy || in->policy->n == 0)
		return 0;
	r = policy_subject(in->spec, p, in->settings, plan->privileged, &subject, err);
	if (r < 0)
		return err_wrapf(err, "policy");
	subject.uid = plan->creds.uid;
	d = policy_decide(in->policy, &subject);
	r = policy_refusal(&d, &subject, err);
	if (r < 0)
		return r;
	if (d.user)
		force_user(plan, d.user);
	plan->no_new_privs |= d.no_new_privileges;
	plan->private_mounts = d.private_mounts;
	drop_caps(&plan->caps, d.drop_caps);
	return 0;
}
