#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "base/cleanup.h"
#include "base/str.h"
#include "runtime/plan.h"

/*
 * An exec lives in its container: what its process object leaves out is the container's, and it can
 * drop privileges but not gain the one to gain some.
 */
static const struct oci_process *either(
	const struct oci_process *p, const struct plan_input *in, bool given)
{
	return given ? p : &in->spec->process;
}

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
	uint64_t missing, raisable;
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
	/* runc and crun ask the kernel for the rest and pass over its EPERM */
	raisable = plan->caps.permitted & plan->caps.inheritable;
	plan->caps_not_raised = plan->caps.ambient & ~raisable;
	plan->caps.ambient &= raisable;
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

static int plan_rlimits(const struct plan_input *in, const struct oci_process *exec,
	struct plan *plan, struct err *err)
{
	const struct oci_process *p = either(exec, in, exec->n_rlimits > 0);

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

static int plan_sched(const struct plan_input *in, const struct oci_process *exec,
	struct plan *plan, struct err *err)
{
	const struct oci_process *p = either(exec, in, exec->scheduler.present);
	const struct oci_process *io = either(exec, in, exec->io_class != NULL);
	const struct oci_scheduler *s = &p->scheduler;
	struct confine_sched *sched = &plan->sched;
	int r = 0;

	*sched = (struct confine_sched)CONFINE_SCHED_INIT;
	if (s->present) {
		sched->nice = s->nice;
		sched->priority = (uint32_t)s->priority;
		sched->runtime = s->runtime;
		sched->deadline = s->deadline;
		sched->period = s->period;
		r = confine_sched_policy(s->policy, &sched->policy, err);
	}
	for (size_t i = 0; r == 0 && s->flags && s->flags[i]; i++)
		r = confine_sched_flag(s->flags[i], &sched->flags, err);
	if (r < 0)
		return err_wrapf(err, "config.json: process.scheduler");
	if (io->io_class)
		r = confine_io_priority(io->io_class, io->io_priority, &sched->io_priority, err);
	if (r < 0)
		return err_wrapf(err, "config.json: process.ioPriority");
	if (in->spec->personality)
		r = confine_persona(in->spec->personality, &sched->persona, err);
	return r < 0 ? err_wrapf(err, "config.json: linux.personality") : 0;
}

/* Lists are checked also where they are not used: the container's first process has no say. */
static int plan_cpus(const struct plan_input *in, const struct oci_process *exec, struct plan *plan,
	struct err *err)
{
	const struct oci_process *p = either(exec, in, exec->cpus_initial || exec->cpus_final);
	int r = 0;

	if (p->cpus_initial)
		r = confine_cpus_parse(p->cpus_initial, &plan->cpus_initial, err);
	if (r == 0 && p->cpus_final)
		r = confine_cpus_parse(p->cpus_final, &plan->cpus_final, err);
	if (r < 0)
		return err_wrapf(err, "config.json: process.execCPUAffinity");
	plan->has_cpus_initial = in->exec && p->cpus_initial;
	plan->has_cpus_final = in->exec && p->cpus_final;
	return 0;
}

/*
 * The annotation's user is the container's. An exec that says another one than the container's spec
 * is an administrator's (`ctr tasks exec --user`): CRI repeats the container's.
 */
static int plan_identity(const struct plan_input *in, const struct oci_process *p,
	struct plan *plan, struct err *err)
{
	const struct oci_process *own = &in->spec->process;
	int r;

	if (!in->identity || p->uid != own->uid || p->gid != own->gid)
		return 0;
	r = identity_decide(in->identity, own, &plan->ids, err);
	if (r < 0)
		return r;
	plan->identity = in->identity;
	plan->creds.uid = plan->ids.uid;
	plan->creds.gid = plan->ids.gid;
	plan->creds.groups = plan->ids.groups;
	plan->creds.n_groups = plan->ids.n_groups;
	return 0;
}

static void plan_creds(const struct plan_input *in, const struct oci_process *p, struct plan *plan)
{
	const struct oci_process *umask = either(p, in, p->has_umask);

	plan->creds = (struct confine_creds) {
		.uid = p->uid,
		.gid = p->gid,
		.groups = p->additional_gids,
		.n_groups = p->n_additional_gids,
		.has_umask = umask->has_umask,
		.umask = umask->umask,
	};
}

int plan_process(const struct plan_input *in, struct plan *plan, struct err *err)
{
	const struct oci_process *own = &in->spec->process;
	const struct oci_process *p = in->exec ? in->exec : own;
	const struct oci_process *oom = either(p, in, p->has_oom_score_adj);
	const char *apparmor = either(p, in, !str_empty(p->apparmor_profile))->apparmor_profile;
	const char *selinux = either(p, in, !str_empty(p->selinux_label))->selinux_label;
	int r = plan_caps(in, either(p, in, p->has_capabilities), plan, err);

	if (r == 0)
		r = plan_rlimits(in, p, plan, err);
	if (r == 0)
		r = plan_sched(in, p, plan, err);
	if (r == 0)
		r = plan_cpus(in, p, plan, err);
	if (r < 0)
		return r;
	plan_creds(in, p, plan);
	r = plan_identity(in, p, plan, err);
	if (r < 0)
		return r;
	plan->oom_score_adj = oom->has_oom_score_adj ? oom->oom_score_adj : 0;
	plan->no_new_privs = p->no_new_privileges || own->no_new_privileges;
	plan->apparmor = str_empty(apparmor) ? NULL : apparmor;
	plan->selinux = str_empty(selinux) ? NULL : selinux;
	plan->seccomp_json = in->spec->seccomp_json;
	plan->args = p->args;
	plan->env = p->env;
	plan->cwd = p->cwd;
	plan->terminal = p->terminal;
	plan->console_width = p->console_width;
	plan->console_height = p->console_height;
	return 0;
}
