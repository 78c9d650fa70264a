#include "runtime/load.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/sysinfo.h>
#include "base/cleanup.h"
#include "base/file.h"
#include "groups/groups.h"
#include "store/record.h"

int load_cgroup(struct loaded *l, const char *bundle, struct err *err)
{
	_cleanup_close_ int dir = open(bundle, O_DIRECTORY | O_PATH | O_CLOEXEC);
	struct store_record record = STORE_RECORD_INIT;
	int r;

	if (dir < 0)
		return err_sysf(err, errno, "bundle %s", bundle);
	r = store_record_read(dir, &record, err);
	if (r == -ENOENT)
		return err_setf(err, ERR_NOT_FOUND, ENOENT,
			"%s/%s: missing: the shim has recorded no container here", bundle,
			STORE_RECORD_NAME);
	if (r < 0)
		return r;
	r = cgroup_host_detect(&l->cgroup_host, err);
	if (r == 0)
		r = cgroup_from_strv_on(&l->cgroup_host, record.cgroups, &l->cgroup, err);
	l->view = TAKE_PTR(record.view);
	l->unit = TAKE_PTR(record.unit);
	l->slice = TAKE_PTR(record.slice);
	l->snapshot = TAKE_PTR(record.snapshot);
	store_record_done(&record);
	return r;
}

/* As the shim has found, which is in the host's pid namespace; init is in the container's. */
static bool is_powerful(const struct loaded *l)
{
	if (l->view)
		return store_group_is_separate(l->view);
	return groups_is_powerful(&l->spec, &l->settings);
}

int load_bundle(struct loaded *l, const char *bundle, const char *ns, const char *id,
	char *const *env, struct err *err)
{
	int r = oci_spec_load(bundle, &l->spec, err);

	if (r == 0)
		r = settings_load(
			NULL, env, l->spec.annotations.v, l->spec.annotations.n, &l->settings, err);
	if (r == 0)
		r = policy_load(NULL, &l->policy, err);
	if (r == 0)
		r = store_layout_init(&l->layout, NULL, l->settings.overlay_base, err);
	if (r == 0)
		r = groups_choose(
			&l->spec, &l->settings, &l->layout, ns, id, is_powerful(l), &l->group, err);
	if (r == 0 && l->cgroup_host.mode == CGROUP_MODE_NONE) /* not with load_cgroup, or none */
		r = cgroup_host_detect(&l->cgroup_host, err);
	return r;
}

int load_identity(struct loaded *l, const char *bundle, int watch_fd, struct err *err)
{
	_cleanup_close_ int dir = -EBADF;
	int r;

	if (!l->settings.user)
		return 0;
	dir = open(bundle, O_DIRECTORY | O_RDONLY | O_CLOEXEC);
	if (dir < 0)
		return err_sysf(err, errno, "bundle %s", bundle);
	if (l->is_exec) {
		r = identity_read(dir, &l->identity, err);
	} else {
		r = identity_lookup(l->settings.user, watch_fd, &l->identity, err);
		if (r == 0)
			r = identity_write(dir, &l->identity, err);
	}
	l->has_identity = r == 0;
	return r;
}

int load_exec_process(struct loaded *l, int fd, struct err *err)
{
	_cleanup_free_ char *text = NULL;
	size_t len;
	int r = file_read_fd(fd, "process object", OCI_CONFIG_MAX, &text, &len, err);

	if (r == 0)
		r = oci_process_parse(text ? text : "", len, &l->exec, err);
	if (r == 0)
		l->is_exec = true;
	return r;
}

void loaded_done(struct loaded *l)
{
	if (!l)
		return;
	oci_spec_done(&l->spec);
	oci_process_done(&l->exec);
	identity_done(&l->identity);
	settings_done(&l->settings);
	policy_done(&l->policy);
	store_group_done(&l->group);
	store_layout_done(&l->layout);
	cgroup_done(&l->cgroup);
	free(l->view);
	free(l->unit);
	free(l->slice);
	free(l->snapshot);
	l->view = l->unit = l->slice = l->snapshot = NULL;
	cgroup_host_done(&l->cgroup_host);
	l->is_exec = l->has_identity = false;
}

int load_plan_input(
	const struct loaded *l, bool nodes_dead, struct plan_input *ret_in, struct err *err)
{
	struct plan_input in = {
		.spec = &l->spec,
		.exec = l->is_exec ? &l->exec : NULL,
		.identity = l->has_identity ? &l->identity : NULL,
		.settings = &l->settings,
		.policy = &l->policy,
		.layout = &l->layout,
		.group = &l->group,
		.snapshot = l->snapshot,
		.cgroup = &l->cgroup,
		.cgroup_host = &l->cgroup_host,
		.nodes_dead = nodes_dead,
	};
	struct sysinfo info;
	int r = confine_caps_available(&in.caps_available, err);

	if (r < 0)
		return r;
	if (sysinfo(&info) < 0)
		return err_sysf(err, errno, "sysinfo");
	in.memory_bytes = (uint64_t)info.totalram * info.mem_unit;
	*ret_in = in;
	return 0;
}
