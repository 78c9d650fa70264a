#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "runtime/plan.h"

static void set_signed(struct cgroup_limits *l, enum cgroup_limit which, struct oci_i64 v)
{
	if (v.set)
		cgroup_limits_set(l, which, v.v);
}

static void set_unsigned(struct cgroup_limits *l, enum cgroup_limit which, struct oci_u64 v)
{
	if (v.set)
		cgroup_limits_set(l, which, v.v > INT64_MAX ? INT64_MAX : (int64_t)v.v);
}

static void plan_numbers(const struct oci_resources *r, struct cgroup_limits *l)
{
	set_unsigned(l, CGROUP_CPU_SHARES, r->cpu_shares);
	set_signed(l, CGROUP_CPU_QUOTA, r->cpu_quota);
	set_unsigned(l, CGROUP_CPU_PERIOD, r->cpu_period);
	set_unsigned(l, CGROUP_CPU_BURST, r->cpu_burst);
	set_signed(l, CGROUP_CPU_RT_RUNTIME, r->cpu_rt_runtime);
	set_unsigned(l, CGROUP_CPU_RT_PERIOD, r->cpu_rt_period);
	set_signed(l, CGROUP_CPU_IDLE, r->cpu_idle);
	set_signed(l, CGROUP_MEMORY_LIMIT, r->memory_limit);
	set_signed(l, CGROUP_MEMORY_SWAP, r->memory_swap);
	set_signed(l, CGROUP_MEMORY_RESERVATION, r->memory_reservation);
	set_unsigned(l, CGROUP_MEMORY_SWAPPINESS, r->memory_swappiness);
	if (r->memory_disable_oom_killer)
		cgroup_limits_set(l, CGROUP_MEMORY_NO_OOM_KILL, 1);
	set_signed(l, CGROUP_PIDS_LIMIT, r->pids_limit);
	set_unsigned(l, CGROUP_BLKIO_WEIGHT, r->blkio_weight);
	l->cpus = r->cpu_cpus;
	l->mems = r->cpu_mems;
}

static int plan_lists(const struct oci_resources *r, struct plan *plan, struct err *err)
{
	plan->hugetlb = calloc(r->n_hugepages + 1, sizeof(*plan->hugetlb));
	plan->unified = calloc(r->n_unified + 1, sizeof(*plan->unified));
	if (!plan->hugetlb || !plan->unified)
		return err_sysf(err, ENOMEM, "cgroup limits");
	for (size_t i = 0; i < r->n_hugepages; i++)
		plan->hugetlb[i] =
			(struct cgroup_hugetlb) {r->hugepages[i].page_size, r->hugepages[i].limit};
	for (size_t i = 0; i < r->n_unified; i++)
		plan->unified[i] = (struct cgroup_unified) {r->unified[i].key, r->unified[i].value};
	plan->limits.hugetlb = plan->hugetlb;
	plan->limits.n_hugetlb = r->n_hugepages;
	plan->limits.unified = plan->unified;
	plan->limits.n_unified = r->n_unified;
	return 0;
}

enum { ALL_ACCESS = CGROUP_DEVICE_READ | CGROUP_DEVICE_WRITE | CGROUP_DEVICE_MKNOD };

static bool allows_everything(const struct cgroup_device_rule *rule)
{
	return rule->allow && rule->type == 'a' && rule->major < 0 && rule->minor < 0 &&
	       rule->access == ALL_ACCESS;
}

/* A spec without any rule is treated as one that denies everything: the boundary is not opened by
 * leaving a list out. */
static int plan_devices(const struct oci_resources *r, struct plan *plan, struct err *err)
{
	static const struct cgroup_device_rule deny_all = {
		false, 'a', CGROUP_DEVICE_ANY, CGROUP_DEVICE_ANY, ALL_ACCESS};
	size_t n = 0;
	struct cgroup_device_rule *rules =
		calloc(r->n_devices + 1 + cgroup_device_defaults_n, sizeof(*rules));

	plan->device_rules = rules;
	if (!rules)
		return err_sysf(err, ENOMEM, "device rules");
	if (r->n_devices == 0)
		rules[n++] = deny_all;
	for (size_t i = 0; i < r->n_devices; i++) {
		const struct oci_device_rule *from = &r->devices[i];

		rules[n] = (struct cgroup_device_rule) {
			from->allow, from->type, from->major, from->minor, 0};
		if (cgroup_device_access_parse(from->access, &rules[n].access) < 0)
			return err_setf(err, ERR_INVALID, EINVAL,
				"config.json: linux.resources.devices[%zu].access: \"%s\" is none "
				"of "
				"r, w, m",
				i, from->access);
		n++;
	}
	plan->devices_restricted = !allows_everything(&rules[n - 1]);
	if (plan->devices_restricted) {
		memcpy(rules + n, cgroup_device_defaults,
			cgroup_device_defaults_n * sizeof(*rules));
		n += cgroup_device_defaults_n;
	}
	plan->n_device_rules = n;
	return 0;
}

/*
 * Where no controller enforces the rules, only nodes that are bound one by one can be opened: a
 * rule for a whole class of devices cannot be honoured then.
 */
static int check_dead_nodes(const struct plan *plan, struct err *err)
{
	for (size_t i = 0; i < plan->n_device_rules - cgroup_device_defaults_n; i++) {
		const struct cgroup_device_rule *rule = &plan->device_rules[i];

		if (!rule->allow || !(rule->access & ~(uint32_t)CGROUP_DEVICE_MKNOD))
			continue;
		if (rule->major < 0 || (rule->minor < 0 && rule->major != 136))
			return err_setf(err, ERR_PRECONDITION, EOPNOTSUPP,
				"linux.resources.devices[%zu] allows a whole class of devices, and "
				"this "
				"host's kernel cannot enforce device rules for the rest: name the "
				"devices, or make the pod privileged",
				i);
	}
	return 0;
}

int plan_cgroup(const struct plan_input *in, struct plan *plan, struct err *err)
{
	const struct oci_resources *res = &in->spec->resources;
	int r;

	plan_numbers(res, &plan->limits);
	r = plan_lists(res, plan, err);
	if (r == 0)
		r = plan_devices(res, plan, err);
	if (r == 0 && in->nodes_dead && plan->devices_restricted)
		r = check_dead_nodes(plan, err);
	return r;
}
