#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "runtime/plan.h"

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

	r = resources_limits(res, &plan->resources, err);
	if (r == 0)
		r = plan_devices(res, plan, err);
	if (r == 0 && in->nodes_dead && plan->devices_restricted)
		r = check_dead_nodes(plan, err);
	return r;
}
