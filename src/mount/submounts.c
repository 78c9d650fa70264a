#include "mount/submounts.h"

#include <string.h>
#include "base/macro.h"
#include "base/str.h"

bool submount_is_below(const char *path, const char *dir)
{
	size_t len = strlen(dir);

	if (str_eq(dir, "/"))
		return true;
	return strncmp(path, dir, len) == 0 && (path[len] == '\0' || path[len] == '/');
}

/* First match wins. */
static const struct {
	const char *dir;
	const char *why;
} omitted_dirs[] = {
	/* made anew for each container, from its own namespaces */
	{"/proc", "private to each container"},
	{"/sys", "private to each container"},
	{"/dev", "private to each container"},
	{"/run", "private to each container"},
	/* volumes and root file systems of other pods: they come and go, and are not the host */
	{"/var/lib/kubelet", "kubelet's data"},
	{"/var/lib/containerd", "container engine's data"},
	{"/var/lib/docker", "container engine's data"},
	{"/var/lib/containers", "container engine's data"},
	{"/var/lib/rancher", "container engine's data"},
	{"/var/lib/k0s", "container engine's data"},
	{"/var/snap/microk8s", "container engine's data"},
};

static const struct {
	const char *type; /* a trailing '*' matches any end */
	struct submount_decision decision;
} types[] = {
	/* writes there are the point, and the kernel takes none of them as a lower layer of use */
	{"nfs*", {SUBMOUNT_BIND, "network file system"}},
	{"cifs", {SUBMOUNT_BIND, "network file system"}},
	{"smb3", {SUBMOUNT_BIND, "network file system"}},
	{"ceph", {SUBMOUNT_BIND, "network file system"}},
	{"afs", {SUBMOUNT_BIND, "network file system"}},
	{"9p", {SUBMOUNT_BIND, "network file system"}},
	{"virtiofs", {SUBMOUNT_BIND, "network file system"}},
	{"lustre*", {SUBMOUNT_BIND, "cluster file system"}},
	{"gpfs", {SUBMOUNT_BIND, "cluster file system"}},
	{"beegfs", {SUBMOUNT_BIND, "cluster file system"}},
	{"orangefs", {SUBMOUNT_BIND, "cluster file system"}},
	{"wekafs", {SUBMOUNT_BIND, "cluster file system"}},
	{"ocfs2", {SUBMOUNT_BIND, "cluster file system"}},
	{"gfs2", {SUBMOUNT_BIND, "cluster file system"}},
	{"fuse*", {SUBMOUNT_BIND, "FUSE"}}, /* also fuseblk */
	{"autofs", {SUBMOUNT_BIND, "automounter"}},
	{"hugetlbfs", {SUBMOUNT_BIND, "pseudo file system"}},
	{"rpc_pipefs", {SUBMOUNT_BIND, "pseudo file system"}},
	/* outside /proc and /sys these sit in somebody's chroot, and a writable one is a way out */
	{"proc", {SUBMOUNT_OMIT, "kernel interface in a chroot"}},
	{"sysfs", {SUBMOUNT_OMIT, "kernel interface in a chroot"}},
	{"cgroup*", {SUBMOUNT_OMIT, "kernel interface in a chroot"}},
	{"devtmpfs", {SUBMOUNT_OMIT, "kernel interface in a chroot"}},
	{"devpts", {SUBMOUNT_OMIT, "kernel interface in a chroot"}},
	{"debugfs", {SUBMOUNT_OMIT, "kernel interface"}},
	{"tracefs", {SUBMOUNT_OMIT, "kernel interface"}},
	{"securityfs", {SUBMOUNT_OMIT, "kernel interface"}},
	{"configfs", {SUBMOUNT_OMIT, "kernel interface"}},
	{"bpf", {SUBMOUNT_OMIT, "kernel interface"}},
	{"binfmt_misc", {SUBMOUNT_OMIT, "kernel interface"}},
	{"mqueue", {SUBMOUNT_OMIT, "private to each container"}},
	{"nsfs", {SUBMOUNT_OMIT, "a namespace, no files"}},
};

static bool matches(const char *pattern, const char *type)
{
	size_t len = strlen(pattern);

	if (len > 0 && pattern[len - 1] == '*')
		return strncmp(pattern, type, len - 1) == 0;
	return str_eq(pattern, type);
}

/* What a container engine of whatever name mounts for its containers. */
static bool is_container_root(const struct mountinfo_entry *e)
{
	const char *last = strrchr(e->point, '/');

	return str_eq(e->fstype, "overlay") && last &&
	       (str_eq(last, "/merged") || str_eq(last, "/rootfs"));
}

struct submount_decision submount_decide(const struct mountinfo_entry *e, const char *own_dir)
{
	if (submount_is_below(e->point, own_dir))
		return (struct submount_decision) {SUBMOUNT_OMIT, "the view's own"};
	for (size_t i = 0; i < ARRAY_LEN(omitted_dirs); i++) {
		if (submount_is_below(e->point, omitted_dirs[i].dir))
			return (struct submount_decision) {SUBMOUNT_OMIT, omitted_dirs[i].why};
	}
	/* wherever another group has its tmpfs: REAPER_OVERLAY_BASE need not be below /run */
	if (str_eq(e->fstype, "tmpfs") && e->source && str_eq(e->source, "reaper"))
		return (struct submount_decision) {SUBMOUNT_OMIT, "another group's own"};
	for (size_t i = 0; i < ARRAY_LEN(types); i++) {
		if (matches(types[i].type, e->fstype))
			return types[i].decision;
	}
	if (is_container_root(e))
		return (struct submount_decision) {SUBMOUNT_OMIT, "a container's root"};
	if (mountinfo_has_option(e->options, "ro") || mountinfo_has_option(e->super, "ro"))
		return (struct submount_decision) {SUBMOUNT_BIND, "read-only anyway"};
	return (struct submount_decision) {SUBMOUNT_LAYER, "local file system"};
}
