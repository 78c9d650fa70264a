#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "base/cleanup.h"
#include "base/str.h"
#include "runtime/plan.h"

static int plan_caps(const struct plan_input *in, const struct oci_process *p, struct plan *plan,
	struct err *err)
{
	uint64_t *const sets[_OCI_CAP_MAX] = {
		[OCI_CAP_BOUNDING] = &plan->caps.bounding,
		[OCI_CAP_EFFECTIVE] = &plan->caps.effective,
		[OCI_CAP_INHERITABLE] = &plan->caps.inheritable,
		[OCI_CAP_PERMITTED] = &plan->caps.permitted,
		[OCI_CAP_AMBIENT] = &plan->caps.ambient,
	};
	_cleanup_free_ char *names = NULL;
	uint64_t missing;
	bool all;

	for (size_t i = 0; i < _OCI_CAP_MAX; i++) {
		for (size_t j = 0; p->caps[i] && p->caps[i][j]; j++) {
			int r = confine_caps_add(sets[i], p->caps[i][j], err);

			if (r < 0)
				return err_wrapf(err, "config.json: process.capabilities");
		}
	}
	all = confine_caps_is_all(&plan->caps, in->caps_available);
	confine_caps_fit(&plan->caps, in->caps_available, &missing);
	if (missing == 0)
		return 0;
	if (all) {
		plan->caps_missing = missing;
		return 0;
	}
	if (confine_caps_format(missing, &names) < 0)
		return err_sysf(err, ENOMEM, "capabilities");
	return err_setf(err, ERR_PERMISSION, EPERM,
		"config.json: process.capabilities: %s: containerd itself does not have it, so no "
		"container can get it",
		names);
}

static int plan_rlimits(const struct oci_process *p, struct plan *plan, struct err *err)
{
	if (p->n_rlimits > CONFINE_RLIMITS_MAX)
		return err_setf(err, ERR_INVALID, E2BIG,
			"config.json: process.rlimits: more than %d", CONFINE_RLIMITS_MAX);
	for (size_t i = 0; i < p->n_rlimits; i++) {
		struct confine_rlimit *l = &plan->rlimits[i];
		int r = confine_rlimit_from_name(p->rlimits[i].type, &l->resource, err);

		if (r < 0)
			return err_wrapf(err, "config.json: process.rlimits[%zu]", i);
		l->soft = p->rlimits[i].soft;
		l->hard = p->rlimits[i].hard;
	}
	plan->n_rlimits = p->n_rlimits;
	return 0;
}

int plan_process(const struct plan_input *in, struct plan *plan, struct err *err)
{
	const struct oci_process *p = in->exec ? in->exec : &in->spec->process;
	/* an exec lives in the container: what its process object leaves out is the container's */
	const struct oci_process *adj = p->has_oom_score_adj ? p : &in->spec->process;
	int r = plan_caps(in, p, plan, err);

	if (r == 0)
		r = plan_rlimits(p, plan, err);
	if (r < 0)
		return r;
	plan->creds = (struct confine_creds) {
		.uid = p->uid,
		.gid = p->gid,
		.groups = p->additional_gids,
		.n_groups = p->n_additional_gids,
		.has_umask = p->has_umask,
		.umask = p->umask,
	};
	plan->oom_score_adj = adj->has_oom_score_adj ? adj->oom_score_adj : 0;
	plan->no_new_privs = p->no_new_privileges;
	plan->apparmor = str_empty(p->apparmor_profile) ? NULL : p->apparmor_profile;
	plan->selinux = str_empty(p->selinux_label) ? NULL : p->selinux_label;
	plan->seccomp_json = in->spec->seccomp_json;
	plan->args = p->args;
	plan->env = p->env;
	plan->cwd = p->cwd;
	plan->terminal = p->terminal;
	plan->console_width = p->console_width;
	plan->console_height = p->console_height;
	return 0;
}
