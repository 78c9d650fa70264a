#include "systemd/scope.h"

#include "base/clock.h"

static int run(struct systemd_call *c, int r, uint64_t deadline_usec, struct err *err)
{
	if (r == 0)
		r = systemd_call_run(c, deadline_usec, err);
	systemd_call_end(c);
	return r;
}

int systemd_join_scope(
	const struct systemd_scope *scope, struct cgroup *cg, char ***notes, struct err *err)
{
	uint64_t deadline = clock_boot_usec() + SYSTEMD_SCOPE_SECONDS * USEC_PER_SEC;
	struct systemd_call c;
	int fd = systemd_connect(err), r;

	if (fd < 0)
		return fd;
	r = run(&c, systemd_start_scope(&c, fd, scope, err), deadline, err);
	if (r == 0)
		r = cgroup_create_inside(cg, notes, err);
	return r < 0 ? r : cgroup_attach_self(cg, false, err);
}

int systemd_limit_scope(const char *unit, const struct cgroup *cg,
	const struct cgroup_limits *limits, uint64_t deadline_usec, struct err *err)
{
	struct systemd_call c;
	int fd = systemd_connect(err), r;

	if (fd < 0)
		return fd;
	r = run(&c, systemd_set_limits(&c, fd, unit, cg, limits, err), deadline_usec, err);
	return r < 0 ? r : 0;
}

int systemd_end_scope(const char *unit, uint64_t deadline_usec, struct err *err)
{
	struct systemd_call c;
	int fd = systemd_connect(err);

	if (fd < 0)
		return fd;
	return run(&c, systemd_stop_unit(&c, fd, unit, err), deadline_usec, err);
}
