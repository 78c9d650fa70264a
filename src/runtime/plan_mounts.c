#include <errno.h>
#include <limits.h>
#include <linux/capability.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include "base/cleanup.h"
#include "base/str.h"
#include "groups/groups.h"
#include "runtime/plan.h"

/* What the walk over the spec's mounts has seen. */
struct mounts_builder {
	const struct plan_input *in;
	struct plan *plan;
	bool nodes_dead; /* device nodes must be bound one by one, everything else is nodev */
	bool private_run;
	struct err *err;
};

static int no_memory(struct mounts_builder *b)
{
	return err_sysf(b->err, ENOMEM, "list of mounts");
}

/* Appends an operation whose options are these words. NULL: b->err says why. */
static struct mount_op *add(struct mounts_builder *b, enum mount_op_kind kind, const char *dest,
	const char *source, const char *fstype, const char *const *words)
{
	struct mount_op *op = mount_ops_add(&b->plan->ops, kind, dest, source, fstype);

	if (!op) {
		(void)no_memory(b);
		return NULL;
	}
	if (words && mount_options_parse((char *const *)words, &op->options, b->err) < 0) {
		(void)err_wrapf(b->err, "%s", dest);
		return NULL;
	}
	return op;
}

static int add_fs(
	struct mounts_builder *b, const char *dest, const char *fstype, const char *const *words)
{
	return add(b, MOUNT_OP_FS, dest, fstype, fstype, words) ? 0 : -b->err->errnum;
}

/*
 * The path as filepath.Clean writes it, and "/var/run" as "/run": however it is spelled, our
 * private trees must be known by it. What is too long stays as it is; nothing can be mounted there.
 */
static const char *canonical_dest(const char *dest, char buf[PATH_MAX])
{
	size_t used = 0;

	if (strlen(dest) >= PATH_MAX)
		return dest;
	for (const char *p = dest + strspn(dest, "/"); *p; p += strspn(p, "/")) {
		size_t len = strcspn(p, "/");

		if (len == 2 && p[0] == '.' && p[1] == '.') {
			while (used > 0 && buf[--used] != '/') {
			}
		} else if (len != 1 || p[0] != '.') {
			buf[used++] = '/';
			memcpy(buf + used, p, len);
			used += len;
		}
		p += len;
	}
	if (used == 0)
		buf[used++] = '/';
	buf[used] = '\0';
	return str_eq(buf, "/var/run") ? "/run" : buf;
}

/* ---- /dev ---- */

static int add_node(struct mounts_builder *b, const char *path, mode_t mode, unsigned major,
	unsigned minor, uid_t uid, gid_t gid)
{
	struct mount_op *op = add(b, MOUNT_OP_NODE, path, path, NULL, NULL);

	if (!op)
		return -b->err->errnum;
	op->mode = mode;
	op->major = major;
	op->minor = minor;
	op->uid = uid;
	op->gid = gid;
	/* a node elsewhere would be written into the group's upper layer, for everybody */
	op->bind_nodes = b->nodes_dead || !str_has_prefix(path, "/dev/");
	return 0;
}

static int add_standard_nodes(struct mounts_builder *b)
{
	static const struct {
		const char *path;
		unsigned major, minor;
	} nodes[] = {
		{"/dev/null", 1, 3},
		{"/dev/zero", 1, 5},
		{"/dev/full", 1, 7},
		{"/dev/random", 1, 8},
		{"/dev/urandom", 1, 9},
		{"/dev/tty", 5, 0},
	};
	static const struct {
		const char *path, *target;
	} links[] = {
		{"/dev/fd", "/proc/self/fd"},
		{"/dev/stdin", "/proc/self/fd/0"},
		{"/dev/stdout", "/proc/self/fd/1"},
		{"/dev/stderr", "/proc/self/fd/2"},
		{"/dev/core", "/proc/kcore"},
		{"/dev/ptmx", "pts/ptmx"},
	};
	int r = 0;

	for (size_t i = 0; i < ARRAY_LEN(nodes) && r == 0; i++)
		r = add_node(
			b, nodes[i].path, S_IFCHR | 0666, nodes[i].major, nodes[i].minor, 0, 0);
	for (size_t i = 0; i < ARRAY_LEN(links) && r == 0; i++) {
		if (!add(b, MOUNT_OP_SYMLINK, links[i].path, links[i].target, NULL, NULL))
			r = -b->err->errnum;
	}
	return r;
}

static bool is_standard_node(const char *path)
{
	static const char *const standard[] = {"/dev/null", "/dev/zero", "/dev/full", "/dev/random",
		"/dev/urandom", "/dev/tty", "/dev/ptmx", "/dev/console"};

	for (size_t i = 0; i < ARRAY_LEN(standard); i++) {
		if (str_eq(path, standard[i]))
			return true;
	}
	return false;
}

static int add_spec_nodes(struct mounts_builder *b)
{
	for (size_t i = 0; i < b->in->spec->n_devices; i++) {
		const struct oci_device *d = &b->in->spec->devices[i];
		mode_t type = d->type == 'b' ? S_IFBLK : d->type == 'p' ? S_IFIFO : S_IFCHR;
		char buf[PATH_MAX];
		const char *path = canonical_dest(d->path, buf);
		int r;

		if (is_standard_node(path))
			continue; /* CRI lists all of the host's for privileged pods */
		r = add_node(b, path, type | (d->has_mode ? d->mode & 07777 : 0666), d->major,
			d->minor, d->uid, d->gid);
		if (r < 0)
			return r;
	}
	return 0;
}

/* The private /dev: a tmpfs with the standard nodes and those of the spec. */
static int add_dev(struct mounts_builder *b, const char *const *words)
{
	static const char *const defaults[] = {
		"nosuid", "strictatime", "mode=755", "size=65536k", NULL};
	struct mount_op *op =
		add(b, MOUNT_OP_FS, "/dev", "tmpfs", "tmpfs", words ? words : defaults);
	int r;

	if (!op)
		return -b->err->errnum;
	op->options.set &= ~(unsigned long)MS_RDONLY; /* it is still to be filled */
	if (b->nodes_dead)
		op->options.set |= MS_NODEV;
	r = add_standard_nodes(b);
	return r < 0 ? r : add_spec_nodes(b);
}

/* ---- /run ---- */

/* What is hidden below a path of the host's /run that the site has let in. A plain path only: of
 * the rest of /run nothing is there. */
static int add_run_mask(void *arg, const char *pattern, bool custom UNUSED)
{
	struct mounts_builder *b = arg;
	const struct settings *s = b->in->settings;

	for (size_t i = 0; i < s->n_run_paths && !mask_is_glob(pattern); i++) {
		const char *path = s->run_paths[i].path;

		if (str_has_prefix(pattern, path) && pattern[strlen(path)] == '/')
			return add(b, MOUNT_OP_MASK, pattern, NULL, NULL, NULL) ? 0 : no_memory(b);
	}
	return 0;
}

/* Private, with what the site says is safe bound over it; for privileged pods all that the host
 * has. Our own directory is never part of it. */
static int add_run(struct mounts_builder *b)
{
	static const char *const words[] = {"nosuid", "nodev", "mode=755", "size=65536k", NULL};
	const struct settings *s = b->in->settings;
	int r = add_fs(b, "/run", "tmpfs", words);

	b->private_run = true;
	if (r < 0)
		return r;
	if (b->plan->privileged) {
		struct mount_op *op = add(b, MOUNT_OP_MIRROR, "/run", "/run", NULL, NULL);

		if (!op || str_dup(&op->skip, "reaper") < 0)
			return no_memory(b);
		if (b->nodes_dead)
			op->options.rec_set |= MS_NODEV;
		return 0;
	}
	for (size_t i = 0; i < s->n_run_paths; i++) {
		struct mount_op *op = add(
			b, MOUNT_OP_BIND, s->run_paths[i].path, s->run_paths[i].path, NULL, NULL);

		if (!op)
			return -b->err->errnum;
		op->optional = op->of_host = true;
		op->options.bind = op->options.recursive_bind = true;
		op->options.set = MS_NOSUID | MS_NODEV | (s->run_paths[i].writable ? 0 : MS_RDONLY);
		op->options.propagation = MS_SLAVE;
		op->options.propagation_recursive = true;
	}
	return mask_rules_each(&b->plan->group.mask, add_run_mask, b);
}

/* ---- /sys/fs/cgroup ---- */

static const char *last_component(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? slash + 1 : path;
}

/* The name under which the host mounts the hierarchy that holds `dir`: "cpu,cpuacct". */
static const char *hierarchy_name(const struct cgroup_host *host, const char *dir)
{
	for (size_t i = 0; host && i < host->n; i++) {
		size_t len = strlen(host->hierarchies[i].root);

		if (strncmp(dir, host->hierarchies[i].root, len) == 0 &&
			(dir[len] == '/' || dir[len] == '\0'))
			return last_component(host->hierarchies[i].root);
	}
	return NULL;
}

static int bind_cgroup(
	struct mounts_builder *b, const char *source, const char *dest, unsigned long flags)
{
	struct mount_op *op = add(b, MOUNT_OP_BIND, dest, source, NULL, NULL);

	if (!op)
		return -b->err->errnum;
	op->of_host = true;
	op->options.bind = true;
	op->options.set = MS_NOSUID | MS_NODEV | MS_NOEXEC | flags;
	return 0;
}

/* v1: one directory per hierarchy below a tmpfs, and links for hierarchies of several controllers,
 * as every distribution has them. */
static int add_cgroup_v1(struct mounts_builder *b, const char *dest, unsigned long flags)
{
	static const char *const words[] = {
		"nosuid", "nodev", "noexec", "mode=755", "size=64k", NULL};
	int r = add_fs(b, dest, "tmpfs", words);

	for (size_t i = 0; i < b->in->cgroup->n && r == 0; i++) {
		const char *dir = b->in->cgroup->dirs[i].path;
		const char *name = hierarchy_name(b->in->cgroup_host, dir);
		_cleanup_strv_ char **controllers = NULL;
		_cleanup_free_ char *place = NULL;

		if (!name)
			continue;
		if (str_printf(&place, "%s/%s", dest, name) < 0 ||
			strv_split(&controllers, name, ",") < 0)
			return no_memory(b);
		r = bind_cgroup(b, dir, place, flags);
		for (size_t j = 0; r == 0 && strv_len(controllers) > 1 && controllers[j]; j++) {
			_cleanup_free_ char *link = NULL;

			if (str_printf(&link, "%s/%s", dest, controllers[j]) < 0 ||
				!add(b, MOUNT_OP_SYMLINK, link, name, NULL, NULL))
				return no_memory(b);
		}
	}
	if (r == 0 && !add(b, MOUNT_OP_SEAL, dest, NULL, NULL, NULL))
		return no_memory(b);
	return r;
}

/*
 * The container's own cgroup, never a new mount of the hierarchy: that would change the options of
 * the host's superblock. Writable and without a cgroup namespace (privileged pods) it is the
 * host's whole tree, as with every other runtime.
 */
static int add_cgroup(struct mounts_builder *b, const char *dest, const struct mount_options *o)
{
	const struct cgroup *cg = b->in->cgroup;
	bool own = b->plan->namespaces[PLAN_NS_CGROUP].action != PLAN_NS_HOST;
	unsigned long flags = o->set & MS_RDONLY;
	struct mount_op *op;

	if (!flags && !own && b->plan->privileged) {
		op = add(b, MOUNT_OP_BIND, dest, "/sys/fs/cgroup", NULL, NULL);
		if (!op)
			return -b->err->errnum;
		op->of_host = true;
		op->options.bind = op->options.recursive_bind = true;
		op->options.propagation = MS_SLAVE;
		op->options.propagation_recursive = true;
		return 0;
	}
	if (b->in->cgroup_host && b->in->cgroup_host->mode == CGROUP_MODE_V2 && cg && cg->n > 0)
		return bind_cgroup(b, cg->dirs[0].path, dest, flags);
	if (cg && cg->n > 0)
		return add_cgroup_v1(b, dest, flags);
	return 0; /* this host has no cgroups: an empty directory says so */
}

/* ---- the spec's list ---- */

/* A hostPath of /dev or /run at the same place: its entries over a private tmpfs, so that mount
 * points made below it (/dev/termination-log) stay out of the host. */
static int add_host_tree(
	struct mounts_builder *b, const char *dest, const struct mount_options *options)
{
	static const char *const words[] = {"nosuid", "mode=755", "size=65536k", NULL};
	struct mount_op *op;
	int r;

	if (b->nodes_dead && str_eq(dest, "/dev"))
		return err_setf(b->err, ERR_PRECONDITION, EOPNOTSUPP,
			"mount at /dev: this host's kernel cannot enforce the pod's device rules, "
			"so that all of the host's devices would be open to it: name the devices, "
			"or make the pod privileged");
	r = add_fs(b, dest, "tmpfs", words);
	if (r < 0)
		return r;
	op = add(b, MOUNT_OP_MIRROR, dest, dest, NULL, NULL);
	if (!op || (str_eq(dest, "/run") && str_dup(&op->skip, "reaper") < 0))
		return no_memory(b);
	op->options.set = options->set;
	if (b->nodes_dead)
		op->options.rec_set |= MS_NODEV;
	return 0;
}

static int add_bind(struct mounts_builder *b, const struct oci_mount *m, const char *dest)
{
	struct mount_options o;
	struct mount_op *op;
	char buf[PATH_MAX];
	int r = mount_options_parse(m->options, &o, b->err);

	if (r < 0)
		return err_wrapf(b->err, "mount at %s", dest);
	if (o.data.len > 0) {
		r = err_setf(b->err, ERR_INVALID, EINVAL,
			"mount at %s: \"%s\" is no option of a bind mount", dest, o.data.data);
		mount_options_done(&o);
		return r;
	}
	if (str_empty(m->source) || m->source[0] != '/')
		return err_setf(b->err, ERR_INVALID, EINVAL,
			"mount at %s: the source \"%s\" is not absolute", dest,
			m->source ? m->source : "");
	if ((str_eq(dest, "/dev") || str_eq(dest, "/run")) &&
		str_eq(canonical_dest(m->source, buf), dest) && o.propagation != MS_SHARED)
		return add_host_tree(b, dest, &o);
	op = add(b, MOUNT_OP_BIND, dest, m->source, NULL, NULL);
	if (!op)
		return -b->err->errnum;
	op->options = o;
	if (b->nodes_dead && o.recursive_bind)
		op->options.rec_set |= MS_NODEV;
	else if (b->nodes_dead)
		op->options.set |= MS_NODEV;
	return 0;
}

static int add_new_fs(struct mounts_builder *b, const struct oci_mount *m, const char *dest)
{
	static const char *const types[] = {
		"proc", "sysfs", "tmpfs", "devpts", "mqueue", "ramfs", "hugetlbfs"};
	struct mount_op *op = NULL;

	for (size_t i = 0; i < ARRAY_LEN(types) && !op; i++) {
		if (!str_eq(m->type, types[i]))
			continue;
		op = add(b, MOUNT_OP_FS, dest, m->source ? m->source : m->type, types[i],
			(const char *const *)m->options);
		if (!op)
			return -b->err->errnum;
	}
	if (!op)
		return err_setf(b->err, ERR_UNIMPLEMENTED, EOPNOTSUPP,
			"mount at %s: file systems of type \"%s\" are not mounted for pods", dest,
			m->type);
	if (b->nodes_dead && !str_eq(m->type, "devpts"))
		op->options.set |= MS_NODEV;
	return 0;
}

/* Our private /run, and with dns-mode host what the view shows anyhow. */
static bool is_there_already(
	const struct mounts_builder *b, const struct oci_mount *m, const char *dest, bool bind)
{
	if (str_eq(dest, "/etc/resolv.conf"))
		return b->in->settings->dns_mode == DNS_HOST;
	return !bind && str_eq(dest, "/run") && m->type && str_eq(m->type, "tmpfs");
}

static int add_mount(struct mounts_builder *b, const struct oci_mount *m)
{
	char buf[PATH_MAX];
	const char *dest = canonical_dest(m->destination, buf);
	struct mount_options o;
	bool bind;
	int r = mount_options_parse(m->options, &o, b->err);

	if (r < 0)
		return err_wrapf(b->err, "mount at %s", dest);
	bind = o.bind || (m->type && str_eq(m->type, "bind"));
	if (is_there_already(b, m, dest, bind))
		r = 0;
	else if (str_eq(dest, "/"))
		r = err_setf(b->err, ERR_INVALID, EINVAL,
			"mount at /: the root is the host's view; mount at a place below it");
	else if (bind)
		r = add_bind(b, m, dest);
	else if (str_empty(m->type))
		r = err_setf(b->err, ERR_INVALID, EINVAL, "mount at %s has no type", dest);
	else if (str_eq(m->type, "cgroup") || str_eq(m->type, "cgroup2"))
		r = add_cgroup(b, dest, &o);
	else if (str_eq(dest, "/dev") && str_eq(m->type, "tmpfs"))
		r = add_dev(b, (const char *const *)m->options);
	else
		r = add_new_fs(b, m, dest);
	mount_options_done(&o);
	return r;
}

static const struct oci_mount *find_mount(const struct oci_spec *spec, const char *dest)
{
	char buf[PATH_MAX];

	for (size_t i = spec->n_mounts; i-- > 0;) {
		if (str_eq(canonical_dest(spec->mounts[i].destination, buf), dest))
			return &spec->mounts[i];
	}
	return NULL;
}

static bool is_bind(const struct oci_mount *m)
{
	if (m->type && str_eq(m->type, "bind"))
		return true;
	for (size_t i = 0; m->options && m->options[i]; i++) {
		if (str_eq(m->options[i], "bind") || str_eq(m->options[i], "rbind"))
			return true;
	}
	return false;
}

/* The private trees that every container has, also when its spec does not speak of them. */
static int add_missing(struct mounts_builder *b)
{
	static const char *const proc_words[] = {"nosuid", "noexec", "nodev", NULL};
	static const char *const sys_words[] = {"nosuid", "noexec", "nodev", "ro", NULL};
	static const char *const pts_words[] = {
		"nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5", NULL};
	const struct oci_spec *spec = b->in->spec;
	const struct oci_mount *run = find_mount(spec, "/run");
	int r = 0;

	if (!find_mount(spec, "/proc"))
		r = add_fs(b, "/proc", "proc", proc_words);
	if (r == 0 && !find_mount(spec, "/sys"))
		r = add_fs(b, "/sys", "sysfs", sys_words);
	if (r == 0 && !find_mount(spec, "/dev"))
		r = add_dev(b, NULL);
	if (r == 0 && !find_mount(spec, "/dev") && !find_mount(spec, "/dev/pts"))
		r = add_fs(b, "/dev/pts", "devpts", pts_words);
	if (r == 0 && (!run || !is_bind(run)))
		r = add_run(b);
	return r;
}

/* Last: what is closed again when everything is in its place. */
static int add_restrictions(struct mounts_builder *b)
{
	const struct oci_spec *spec = b->in->spec;
	struct mount_op *op;

	if (spec->process.cwd && !str_eq(spec->process.cwd, "/")) {
		op = add(b, MOUNT_OP_DIR, spec->process.cwd, NULL, NULL, NULL);
		if (!op)
			return no_memory(b);
		op->uid = spec->process.uid;
		op->gid = spec->process.gid;
	}
	for (size_t i = 0; spec->readonly_paths && spec->readonly_paths[i]; i++) {
		if (!add(b, MOUNT_OP_READONLY, spec->readonly_paths[i], NULL, NULL, NULL))
			return no_memory(b);
	}
	for (size_t i = 0; spec->masked_paths && spec->masked_paths[i]; i++) {
		if (!add(b, MOUNT_OP_MASK, spec->masked_paths[i], NULL, NULL, NULL))
			return no_memory(b);
	}
	if (!spec->root_readonly)
		return 0;
	if (!add(b, MOUNT_OP_VIEW_READONLY, NULL, NULL, NULL, NULL))
		return no_memory(b);
	if (b->private_run && !add(b, MOUNT_OP_SEAL, "/run", NULL, NULL, NULL))
		return no_memory(b);
	return 0;
}

/*
 * Who cannot mount has nothing to send. Where device nodes have to be dead they are alive in what
 * others mount.
 */
static void plan_reach(const struct plan_input *in, struct plan *plan)
{
	bool share = groups_share_mounts(in->settings, in->group) && !plan->private_mounts;
	bool dead = in->nodes_dead && plan->devices_restricted;

	plan->reach_refused = share && dead;
	if (!share || dead)
		plan->reach = MOUNT_REACH_NONE;
	else if (plan->caps.bounding & (1ULL << CAP_SYS_ADMIN))
		plan->reach = MOUNT_REACH_BOTH;
	else
		plan->reach = MOUNT_REACH_RECEIVE;
}

/* The annotation narrows, and only what is not everybody's. */
static int plan_upper_size(const struct plan_input *in, struct plan *plan, struct err *err)
{
	uint64_t asked = in->settings->upper_size_asked;
	uint64_t most = setting_size_bytes(&in->settings->upper_size, in->memory_bytes);

	plan->group.size_bytes = most;
	plan->group.snapshot = in->snapshot;
	plan->group.upper_base = in->settings->upper_base;
	plan->group.upper_keep = in->settings->upper_boot == UPPER_BOOT_KEEP &&
				 !store_group_is_of_pod(in->group->key);
	if (asked == 0)
		return 0;
	if (in->group->scope == STORE_GROUP_NODE && !in->group->name)
		return err_setf(err, ERR_PERMISSION, EPERM,
			"annotation reaper.runtime/upper-size: this pod writes where all pods of "
			"the node write: give it a group with reaper.runtime/overlay-name");
	if (asked > most)
		return err_setf(err, ERR_PERMISSION, EPERM,
			"annotation reaper.runtime/upper-size: %llu bytes are more than the node's "
			"REAPER_UPPER_SIZE, %llu",
			(unsigned long long)asked, (unsigned long long)most);
	plan->group.size_bytes = plan->group.most_bytes = asked;
	return 0;
}

static int plan_group(const struct plan_input *in, struct plan *plan, struct err *err)
{
	plan->group = groups_mount_spec(in->layout, in->group);
	plan->group.inodes = in->settings->upper_inodes;
	plan->group.submounts = in->settings->submounts;
	plan->group.mask = groups_mask(in->settings);
	return plan_upper_size(in, plan, err);
}

int plan_mounts(const struct plan_input *in, struct plan *plan, struct err *err)
{
	struct err reason = ERR_INIT;
	struct mounts_builder b = {
		.in = in,
		.plan = plan,
		.nodes_dead = in->nodes_dead && plan->devices_restricted,
		.err = err ? err : &reason,
	};
	int r = plan_group(in, plan, b.err);

	if (r < 0)
		return r;
	plan_reach(in, plan);
	if (in->exec) /* its container has them */
		return 0;
	if (b.nodes_dead && !add(&b, MOUNT_OP_VIEW_NODEV, NULL, NULL, NULL, NULL))
		return no_memory(&b);
	r = add_missing(&b);
	for (size_t i = 0; i < in->spec->n_mounts && r == 0; i++)
		r = add_mount(&b, &in->spec->mounts[i]);
	if (r == 0)
		r = add_restrictions(&b);
	return r;
}
