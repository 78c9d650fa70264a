#include <errno.h>
#include <stdio.h>
#include "base/buf.h"
#include "base/cleanup.h"
#include "runtime/plan.h"

static const char *const action_names[] = {
	[PLAN_NS_HOST] = "the host's", [PLAN_NS_NEW] = "new", [PLAN_NS_JOIN] = "join"};

static int format_namespaces(const struct plan *p, struct buf *b)
{
	int r = 0;

	for (size_t i = 0; i < _PLAN_NS_MAX && r == 0; i++)
		r = buf_printf(b, "namespace %s: %s%s%s\n", plan_ns_name((enum plan_ns)i),
			action_names[p->namespaces[i].action], p->namespaces[i].path ? " " : "",
			p->namespaces[i].path ? p->namespaces[i].path : "");
	if (r == 0 && p->hostname)
		r = buf_printf(b, "hostname: %s\n", p->hostname);
	for (size_t i = 0; i < p->n_sysctl && r == 0; i++)
		r = buf_printf(b, "sysctl: %s=%s\n", p->sysctl[i].key, p->sysctl[i].value);
	return r;
}

static int format_rules(const struct plan *p, struct buf *b)
{
	int r = buf_printf(b, "devices: %s\n", p->devices_restricted ? "restricted" : "all");

	for (size_t i = 0; i < p->n_device_rules && r == 0 && p->devices_restricted; i++) {
		const struct cgroup_device_rule *d = &p->device_rules[i];
		char major[24] = "*", minor[24] = "*";

		if (d->major >= 0)
			(void)snprintf(major, sizeof(major), "%lld", (long long)d->major);
		if (d->minor >= 0)
			(void)snprintf(minor, sizeof(minor), "%lld", (long long)d->minor);
		r = buf_printf(b, "device rule: %s %c %s:%s %s%s%s\n", d->allow ? "allow" : "deny",
			d->type, major, minor, d->access & CGROUP_DEVICE_READ ? "r" : "",
			d->access & CGROUP_DEVICE_WRITE ? "w" : "",
			d->access & CGROUP_DEVICE_MKNOD ? "m" : "");
	}
	return r;
}

static const char *reach_name(enum mount_reach reach)
{
	switch (reach) {
	case MOUNT_REACH_NONE:
		break;
	case MOUNT_REACH_RECEIVE:
		return "the group's appear here";
	case MOUNT_REACH_BOTH:
		return "shared with the group";
	}
	return "private";
}

static int format_mounts(const struct plan *p, struct buf *b)
{
	int r = buf_printf(b, "view: group %s, upper %s/upper, %llu MiB\n", p->group.name,
		p->group.base_dir, (unsigned long long)(p->group.size_bytes >> 20));

	if (r == 0)
		r = buf_printf(b, "mounts at run time: %s\n", reach_name(p->reach));

	for (size_t i = 0; i < p->ops.n && r == 0; i++) {
		_cleanup_free_ char *line = NULL;

		r = mount_op_format(&p->ops.v[i], &line);
		if (r == 0)
			r = buf_printf(b, "  %s\n", line);
	}
	return r;
}

static int format_process(const struct plan *p, struct buf *b)
{
	_cleanup_free_ char *caps = NULL;
	int r = confine_caps_format(p->caps.permitted, &caps);

	if (r == 0)
		r = buf_printf(b,
			"privileged: %s\nuser: %u:%u, %zu further groups\ncapabilities: %s\n",
			p->privileged ? "yes" : "no", p->creds.uid, p->creds.gid, p->creds.n_groups,
			caps);
	if (r == 0)
		r = p->identity ? buf_printf(b, "user's name: %s\n", p->identity->name) : 0;
	if (r == 0)
		r = buf_printf(b, "no new privileges: %s\nseccomp: %s\noom score: %d\n",
			p->no_new_privs ? "yes" : "no", p->seccomp_json ? "profile" : "none",
			p->oom_score_adj);
	for (size_t i = 0; i < p->n_rlimits && r == 0; i++)
		r = buf_printf(b, "limit: %s %llu %llu\n",
			confine_rlimit_name(p->rlimits[i].resource),
			(unsigned long long)p->rlimits[i].soft,
			(unsigned long long)p->rlimits[i].hard);
	if (r == 0)
		r = buf_printf(b,
			"terminal: %s\nworking directory: %s\ncommand:", p->terminal ? "yes" : "no",
			p->cwd);
	for (char *const *arg = p->args; arg && *arg && r == 0; arg++)
		r = buf_printf(b, " %s", *arg);
	return r == 0 ? buf_append_str(b, "\n") : r;
}

int plan_format(const struct plan *plan, char **ret_text, struct err *err)
{
	_cleanup_(buf_done) struct buf b = BUF_INIT(16 << 20);
	int r = format_process(plan, &b);

	if (r == 0)
		r = format_namespaces(plan, &b);
	if (r == 0)
		r = format_rules(plan, &b);
	if (r == 0)
		r = format_mounts(plan, &b);
	if (r < 0)
		return err_sysf(err, -r, "plan");
	*ret_text = TAKE_PTR(b.data);
	return 0;
}
