#include "mount/submounts.h"

#include <errno.h>
#include <string.h>
#include "base/cleanup.h"
#include "base/file.h"
#include "base/macro.h"
#include "base/str.h"

enum { TABLE_MAX = 64 * 1024 * 1024 };

bool submount_is_below(const char *path, const char *dir)
{
	size_t len = strlen(dir);

	if (str_eq(dir, "/"))
		return true;
	return strncmp(path, dir, len) == 0 && (path[len] == '\0' || path[len] == '/');
}

struct place {
	const char *dir;
	const char *why;
};

static const struct place private_dirs[] = {
	/* made anew for each container, from its own namespaces */
	{"/proc", "private to each container"},
	{"/sys", "private to each container"},
	{"/dev", "private to each container"},
	{"/run", "private to each container"},
};

static const struct place omitted_dirs[] = {
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
	const char *type; /* a trailing '*' matches any end; first match wins */
	struct submount_decision decision;
} types[] = {
	/* writes there are the point, and the kernel takes none of them as a lower layer of use */
	{"nfs*", {SUBMOUNT_BIND, "network file system", NULL}},
	{"cifs", {SUBMOUNT_BIND, "network file system", NULL}},
	{"smb3", {SUBMOUNT_BIND, "network file system", NULL}},
	{"ceph", {SUBMOUNT_BIND, "network file system", NULL}},
	{"afs", {SUBMOUNT_BIND, "network file system", NULL}},
	{"9p", {SUBMOUNT_BIND, "network file system", NULL}},
	{"virtiofs", {SUBMOUNT_BIND, "network file system", NULL}},
	{"lustre*", {SUBMOUNT_BIND, "cluster file system", NULL}},
	{"gpfs", {SUBMOUNT_BIND, "cluster file system", NULL}},
	{"beegfs", {SUBMOUNT_BIND, "cluster file system", NULL}},
	{"orangefs", {SUBMOUNT_BIND, "cluster file system", NULL}},
	{"wekafs", {SUBMOUNT_BIND, "cluster file system", NULL}},
	{"ocfs2", {SUBMOUNT_BIND, "cluster file system", NULL}},
	{"gfs2", {SUBMOUNT_BIND, "cluster file system", NULL}},
	{"fuse*", {SUBMOUNT_BIND, "FUSE", NULL}}, /* also fuseblk */
	{"autofs", {SUBMOUNT_BIND, "automounter", NULL}},
	{"hugetlbfs", {SUBMOUNT_BIND, "pseudo file system", NULL}},
	{"rpc_pipefs", {SUBMOUNT_BIND, "pseudo file system", NULL}},
	/* names that are compared in a way of their own: overlayfs refuses such a lower layer */
	{"vfat", {SUBMOUNT_BIND_READONLY, "cannot be a lower layer", NULL}},
	{"msdos", {SUBMOUNT_BIND_READONLY, "cannot be a lower layer", NULL}},
	{"exfat", {SUBMOUNT_BIND_READONLY, "cannot be a lower layer", NULL}},
	{"ntfs*", {SUBMOUNT_BIND_READONLY, "cannot be a lower layer", NULL}},
	{"hfs*", {SUBMOUNT_BIND_READONLY, "cannot be a lower layer", NULL}},
	/* outside /proc and /sys these sit in somebody's chroot, and a writable one is a way out */
	{"proc", {SUBMOUNT_OMIT, "kernel interface in a chroot", NULL}},
	{"sysfs", {SUBMOUNT_OMIT, "kernel interface in a chroot", NULL}},
	{"cgroup*", {SUBMOUNT_OMIT, "kernel interface in a chroot", NULL}},
	{"devtmpfs", {SUBMOUNT_OMIT, "kernel interface in a chroot", NULL}},
	{"devpts", {SUBMOUNT_OMIT, "kernel interface in a chroot", NULL}},
	{"debugfs", {SUBMOUNT_OMIT, "kernel interface", NULL}},
	{"tracefs", {SUBMOUNT_OMIT, "kernel interface", NULL}},
	{"securityfs", {SUBMOUNT_OMIT, "kernel interface", NULL}},
	{"configfs", {SUBMOUNT_OMIT, "kernel interface", NULL}},
	{"bpf", {SUBMOUNT_OMIT, "kernel interface", NULL}},
	{"binfmt_misc", {SUBMOUNT_OMIT, "kernel interface", NULL}},
	{"mqueue", {SUBMOUNT_OMIT, "private to each container", NULL}},
	{"nsfs", {SUBMOUNT_OMIT, "a namespace, no files", NULL}},
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

/* The rule's action; its left side has *ret_len bytes. Rules were checked where they were read: one
 * that is none shows nothing. */
static enum submount_action rule_action(const char *rule, size_t *ret_len)
{
	const char *equals = strrchr(rule, '=');

	*ret_len = equals ? (size_t)(equals - rule) : 0;
	if (equals && str_eq(equals, "=layer"))
		return SUBMOUNT_LAYER;
	return equals && str_eq(equals, "=bind") ? SUBMOUNT_BIND : SUBMOUNT_OMIT;
}

static const char *find_path_rule(char *const *rules, const char *point)
{
	const char *best = NULL;
	size_t best_len = 0;

	for (char *const *r = rules; r && *r; r++) {
		size_t len;

		(void)rule_action(*r, &len);
		if (**r != '/' || len <= best_len || strncmp(point, *r, len) != 0 ||
			(point[len] != '/' && point[len] != '\0'))
			continue;
		best = *r;
		best_len = len;
	}
	return best;
}

static const char *find_type_rule(char *const *rules, const char *type)
{
	for (char *const *r = rules; r && *r; r++) {
		_cleanup_free_ char *pattern = NULL;
		size_t len;

		(void)rule_action(*r, &len);
		if (**r == '/')
			continue;
		pattern = strndup(*r, len);
		if (pattern && matches(pattern, type))
			return *r;
	}
	return NULL;
}

static struct submount_decision by_rule(const char *rule)
{
	size_t len;

	return (struct submount_decision) {rule_action(rule, &len), "REAPER_SUBMOUNTS", rule};
}

static const char *find_place(const struct place *places, size_t n, const char *point)
{
	for (size_t i = 0; i < n; i++) {
		if (submount_is_below(point, places[i].dir))
			return places[i].why;
	}
	return NULL;
}

/* Whether the place alone decides that it is not shown; *ret_why says why. */
static bool is_left_out(
	const char *point, const char *own_dir, char *const *rules, const char **ret_why)
{
	if (submount_is_below(point, own_dir)) {
		*ret_why = "the view's own";
		return true;
	}
	*ret_why = find_place(private_dirs, ARRAY_LEN(private_dirs), point);
	if (!*ret_why && !find_path_rule(rules, point))
		*ret_why = find_place(omitted_dirs, ARRAY_LEN(omitted_dirs), point);
	return *ret_why != NULL;
}

struct submount_decision submount_decide(
	const struct mountinfo_entry *e, const char *own_dir, char *const *rules)
{
	const char *why, *rule;

	if (is_left_out(e->point, own_dir, rules, &why))
		return (struct submount_decision) {SUBMOUNT_OMIT, why, NULL};
	/* wherever another group has its tmpfs: REAPER_OVERLAY_BASE need not be below /run */
	if (str_eq(e->fstype, "tmpfs") && e->source && str_eq(e->source, "reaper"))
		return (struct submount_decision) {SUBMOUNT_OMIT, "another group's own", NULL};
	rule = find_path_rule(rules, e->point);
	if (!rule)
		rule = find_type_rule(rules, e->fstype);
	if (rule)
		return by_rule(rule);
	for (size_t i = 0; i < ARRAY_LEN(types); i++) {
		if (matches(types[i].type, e->fstype))
			return types[i].decision;
	}
	if (is_container_root(e))
		return (struct submount_decision) {SUBMOUNT_OMIT, "a container's root", NULL};
	if (mountinfo_has_option(e->options, "ro") || mountinfo_has_option(e->super, "ro"))
		return (struct submount_decision) {SUBMOUNT_BIND, "read-only anyway", NULL};
	return (struct submount_decision) {SUBMOUNT_LAYER, "local file system", NULL};
}

/* The mount point in a line of mountinfo, its fifth word; the line ends at `end`. */
static const char *point_of_line(const char *line, const char *end, size_t *ret_len)
{
	const char *stop;

	for (int i = 0; i < 4; i++) {
		line = memchr(line, ' ', (size_t)(end - line));
		if (!line)
			return NULL;
		line++;
	}
	stop = memchr(line, ' ', (size_t)(end - line));
	*ret_len = (size_t)((stop ? stop : end) - line);
	return line;
}

/* Takes the lines out whose place is left out. What lies elsewhere they do not cover, so that the
 * others' visibility stays what it is. Names with escapes are kept: they are looked at later. */
static int drop_left_out(char *text, const char *own_dir, char *const *rules)
{
	char *out = text, *line = text;

	while (*line) {
		char *end = strchrnul(line, '\n'), *next = *end ? end + 1 : end;
		_cleanup_free_ char *name = NULL;
		const char *point, *why;
		size_t len = 0;

		point = point_of_line(line, end, &len);
		name = strndup(point ? point : "", len);
		if (!name)
			return -ENOMEM;
		if (!point || !is_left_out(name, own_dir, rules, &why)) {
			memmove(out, line, (size_t)(next - line));
			out += next - line;
		}
		line = next;
	}
	*out = '\0';
	return 0;
}

static void keep_shown(struct mountinfo *t, const char *own_dir, char *const *rules)
{
	size_t kept = 0;

	for (size_t i = 0; i < t->n; i++) {
		struct mountinfo_entry *e = &t->entries[i];

		if (str_eq(e->point, "/") ||
			submount_decide(e, own_dir, rules).action == SUBMOUNT_OMIT)
			continue;
		if (i != kept) {
			struct mountinfo_entry left_out = t->entries[kept];

			t->entries[kept] = *e;
			*e = left_out; /* freed with the table's end */
		}
		kept++;
	}
	mountinfo_truncate(t, kept);
}

int submounts_read(int proc_fd, const char *own_dir, char *const *rules,
	struct mountinfo *ret_table, struct err *err)
{
	_cleanup_(mountinfo_done) struct mountinfo t = MOUNTINFO_INIT;
	_cleanup_free_ char *text = NULL;
	int r = file_read_at(proc_fd, "self/mountinfo", TABLE_MAX, &text, NULL, err);

	if (r < 0)
		return r;
	if (drop_left_out(text, own_dir, rules) < 0)
		return err_sysf(err, ENOMEM, "mount table");
	r = mountinfo_parse(text, &t, err);
	if (r == 0)
		r = mountinfo_keep_visible(&t, err);
	if (r < 0)
		return r;
	keep_shown(&t, own_dir, rules);
	*ret_table = t;
	t = (struct mountinfo)MOUNTINFO_INIT;
	return 0;
}
