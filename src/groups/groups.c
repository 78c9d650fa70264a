#include "groups/groups.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include "base/cleanup.h"
#include "base/macro.h"
#include "base/str.h"
#include "oci/annotations.h"
#include "view/snapshot.h"
#include "view/sweep.h"

/* What containerd gives a container that asks for nothing (oci/spec.go, defaultUnixCaps). */
static const char *const default_caps[] = {"CAP_CHOWN", "CAP_DAC_OVERRIDE", "CAP_FSETID",
	"CAP_FOWNER", "CAP_MKNOD", "CAP_NET_RAW", "CAP_SETGID", "CAP_SETUID", "CAP_SETFCAP",
	"CAP_SETPCAP", "CAP_NET_BIND_SERVICE", "CAP_SYS_CHROOT", "CAP_KILL", "CAP_AUDIT_WRITE",
	NULL};

const char *const *groups_default_caps(void)
{
	return default_caps;
}

static bool is_default_cap(const char *name)
{
	for (size_t i = 0; default_caps[i]; i++) {
		if (str_eq(default_caps[i], name))
			return true;
	}
	return false;
}

static bool has_more_caps(const struct oci_spec *spec)
{
	for (int set = 0; set < _OCI_CAP_MAX; set++) {
		char *const *names = spec->process.caps[set];

		for (; names && *names; names++) {
			if (!is_default_cap(*names))
				return true;
		}
	}
	return false;
}

/* A namespace is a number: two paths may lead to one. One that cannot be asked is taken for the
 * host's: that separates, and never joins. */
static bool is_own_pidns(const char *path)
{
	struct stat theirs, own;

	if (stat(path, &theirs) < 0 || stat("/proc/self/ns/pid", &own) < 0)
		return true;
	return theirs.st_dev == own.st_dev && theirs.st_ino == own.st_ino;
}

static bool has_host_pidns(const struct oci_spec *spec, const struct settings *settings)
{
	const struct oci_namespace *ns = oci_spec_namespace(spec, OCI_NS_PID);

	if (!ns || (settings->host_namespaces & HOST_NS_PID))
		return true;
	return !str_empty(ns->path) && is_own_pidns(ns->path);
}

bool groups_is_powerful(const struct oci_spec *spec, const struct settings *settings)
{
	return has_more_caps(spec) || has_host_pidns(spec, settings);
}

static enum store_group_scope scope_of(
	const struct settings *settings, const char *kube_ns, bool powerful)
{
	if (powerful && settings->trust == OVERLAY_TRUST_SEPARATE)
		return STORE_GROUP_SEPARATE;
	switch (settings->isolation) {
	case OVERLAY_NODE:
		return STORE_GROUP_NODE;
	case OVERLAY_NAMESPACE:
		return kube_ns ? STORE_GROUP_NAMESPACE : STORE_GROUP_POD;
	case OVERLAY_POD:
		break;
	}
	return STORE_GROUP_POD;
}

static int name_pod(const struct oci_annotations *annotations, const char *kube_ns, char **ret_pod)
{
	const char *name = oci_annotation_get(annotations, OCI_ANNOTATION_SANDBOX_NAME);

	return kube_ns && name ? str_printf(ret_pod, "%s/%s", kube_ns, name) : 0;
}

int groups_choose(const struct oci_spec *spec, const struct settings *settings,
	const struct store_layout *layout, const char *ns, const char *id, bool powerful,
	struct store_group *ret_group, struct err *err)
{
	_cleanup_(store_group_done) struct store_group g = STORE_GROUP_INIT;
	const char *kube_ns =
		oci_annotation_get(&spec->annotations, OCI_ANNOTATION_SANDBOX_NAMESPACE);
	const char *pod = id;
	bool of_pod;
	int r = oci_group_key(&spec->annotations, id, &pod, err);

	if (r < 0)
		return r;
	g.scope = scope_of(settings, kube_ns, powerful);
	of_pod = g.scope == STORE_GROUP_POD || g.scope == STORE_GROUP_SEPARATE;
	if (g.scope == STORE_GROUP_NAMESPACE)
		r = str_dup(&g.ns, kube_ns);
	else if (of_pod)
		r = str_dup(&g.ns, ns);
	if (r == 0 && of_pod)
		r = str_dup(&g.id, pod);
	if (r == 0 && of_pod)
		r = name_pod(&spec->annotations, kube_ns, &g.pod);
	/* trust is not the pod's to give */
	if (r == 0 && g.scope != STORE_GROUP_SEPARATE)
		r = str_dup(&g.name, settings->overlay_name);
	if (r < 0)
		return err_sysf(err, -r, "group of container %s", id);
	r = store_group_place(layout, &g, err);
	if (r < 0)
		return r;
	*ret_group = g;
	g = (struct store_group)STORE_GROUP_INIT;
	return 0;
}

bool groups_share_mounts(const struct settings *settings, const struct store_group *group)
{
	if (settings->mounts == MOUNTS_BY_SCOPE)
		return group->scope == STORE_GROUP_NODE;
	return settings->mounts == MOUNTS_SHARED;
}

/* kubelet's directory of a pod, wherever its root directory is, and containerd's of a sandbox. */
static bool is_of_pod(const struct oci_mount *m)
{
	return m->source && m->source[0] == '/' &&
	       (strstr(m->source, "/pods/") || strstr(m->source, "/sandboxes/"));
}

int groups_swept_volumes(const struct oci_spec *spec, const struct settings *settings,
	const struct store_group *group, char ***ret_sources)
{
	_cleanup_strv_ char **sources = NULL;

	*ret_sources = NULL;
	if (!groups_share_mounts(settings, group) ||
		!strv_has(spec->process.caps[OCI_CAP_BOUNDING], "CAP_SYS_ADMIN"))
		return 0;
	for (size_t i = 0; i < spec->n_mounts; i++) {
		if (is_of_pod(&spec->mounts[i]) &&
			strv_append(&sources, spec->mounts[i].source) < 0)
			return -ENOMEM;
	}
	*ret_sources = TAKE_PTR(sources);
	return 0;
}

int groups_sweep(
	const struct store_layout *layout, const char *key, char *const *sources, struct err *err)
{
	_cleanup_(store_group_done) struct store_group g = STORE_GROUP_INIT;
	struct mount_group_spec spec;
	int r;

	if (!sources || !key)
		return 0;
	r = store_group_load(layout, key, &g, err);
	if (r < 0)
		return r;
	spec = groups_mount_spec(layout, &g);
	return mount_group_sweep(&spec, sources, err);
}

bool groups_use_snapshot(const struct settings *settings, const struct store_group *group,
	const char *snapshot, const char *home)
{
	return snapshot && home && store_group_is_of_pod(group->key) && !settings->upper_base &&
	       !settings->upper_no_disk && settings->upper_size_asked == 0 &&
	       snapshot_can_hold(snapshot, home);
}

int groups_move_snapshot(
	const struct store_layout *layout, const char *from, const char *to, struct err *err)
{
	return snapshot_move(layout->groups, from, to, err);
}

struct mount_group_spec groups_mount_spec(
	const struct store_layout *layout, const struct store_group *group)
{
	return (struct mount_group_spec) {
		.name = group->key,
		.run_dir = layout->root,
		.ns_dir = layout->ns,
		.dir = group->dir,
		.base_dir = group->base_dir,
	};
}

struct mask_rules groups_mask(const struct settings *settings)
{
	return (struct mask_rules) {
		.off = !settings->filter_enabled,
		.replace = settings->filter_mode == FILTER_REPLACE,
		.paths = settings->filter_paths,
		.allow = settings->filter_allowlist,
		.uppers = settings->upper_base,
	};
}

int groups_remove(const struct store_layout *layout, const char *key, struct err *err)
{
	_cleanup_(store_group_done) struct store_group g = STORE_GROUP_INIT;
	struct mount_group_spec spec;
	int r = store_group_load(layout, key, &g, err);

	if (r < 0)
		return r;
	spec = groups_mount_spec(layout, &g);
	return mount_group_gc(&spec, err);
}
