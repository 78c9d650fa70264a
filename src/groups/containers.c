#include "groups/containers.h"

#include <ctype.h>
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/cleanup.h"
#include "base/file.h"
#include "base/num.h"
#include "base/proc.h"
#include "base/str.h"
#include "cgroup/freeze.h"

#define SHIM_NAME    "containerd-shim-reaper-v2"
#define RUNTIME_NAME "reaper-runtime"

enum { CMDLINE_MAX = 4 << 20 };

static const char *base_name(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? slash + 1 : path;
}

/* readlink of DIR/NAME as a string; "" when there is none. An upgrade leaves " (deleted)". */
static void read_link(int dir, const char *name, char *buf, size_t size)
{
	ssize_t n = readlinkat(dir, name, buf, size - 1);
	char *gone;

	buf[n > 0 ? n : 0] = '\0';
	gone = strstr(buf, " (deleted)");
	if (gone)
		*gone = '\0';
}

/* ---- one container ---- */

/* init waits at its gate until it is started: it still has the arguments that the runtime was
 * given. Its program tells less: the shim runs it from a mount that has no path. */
bool containers_waits_at_gate(pid_t pid)
{
	static const char args[] = RUNTIME_NAME "\0init";
	_cleanup_free_ char *path = NULL, *text = NULL;
	size_t len;

	if (str_printf(&path, "/proc/%d/cmdline", (int)pid) < 0 ||
		file_read_at(AT_FDCWD, path, CMDLINE_MAX, &text, &len, NULL) < 0)
		return false;
	return len >= sizeof(args) && memcmp(text, args, sizeof(args)) == 0;
}

static bool stands_still(const struct store_record *record)
{
	_cleanup_(cgroup_done) struct cgroup cgroup = CGROUP_INIT;

	return record->cgroups && cgroup_from_strv(record->cgroups, &cgroup, NULL) == 0 &&
	       cgroup_is_frozen(&cgroup, NULL) > 0;
}

static enum container_status status_of(const struct store_record *record)
{
	_cleanup_(proc_done) struct proc init = PROC_INIT;

	if (record->exited || record->init_pid <= 0 ||
		proc_open(record->init_pid, record->init_start_ticks, &init, NULL) < 0)
		return CONTAINER_STOPPED;
	if (containers_waits_at_gate(record->init_pid))
		return CONTAINER_CREATED;
	return stands_still(record) ? CONTAINER_PAUSED : CONTAINER_RUNNING;
}

/* Whether it was looked at before: several descriptors lead to the same bundles. */
static bool is_seen(char *const *seen, const char *bundle)
{
	for (; seen && *seen; seen++) {
		if (str_eq(*seen, bundle))
			return true;
	}
	return false;
}

struct search {
	struct containers *found;
	char **seen;
	const char *ns;
	bool is_run; /* the process that is looked at is a `run`, not a shim */
};

/* Adds the container of a bundle; one without a record is none of ours. */
static int add_bundle(struct search *s, const char *bundle, struct err *err)
{
	struct containers *c = s->found;
	_cleanup_close_ int dir = open(bundle, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct container_info info = {.record = STORE_RECORD_INIT}, *v;
	struct err why = ERR_INIT;
	int r;

	if (dir < 0 || is_seen(s->seen, bundle))
		return 0;
	if (strv_append(&s->seen, bundle) < 0)
		goto nomem;
	r = store_record_read(dir, &info.record, &why);
	if (r == -ENOENT)
		return 0;
	if (r != 0 && strv_appendf(&c->warnings, "%s: %s", bundle, why.text) < 0)
		goto nomem;
	if (r < 0)
		return 0;
	if (!info.record.id || !info.record.ns || (s->ns && !str_eq(s->ns, info.record.ns))) {
		store_record_done(&info.record);
		return 0;
	}
	v = reallocarray(c->v, c->n + 1, sizeof(*v));
	if (v)
		c->v = v;
	if (!v || str_dup(&info.bundle, bundle) < 0)
		goto nomem;
	info.status = status_of(&info.record);
	c->v[c->n++] = info;
	return 0;
nomem:
	store_record_done(&info.record);
	return err_sysf(err, ENOMEM, "list of containers");
}

/* ---- where they are ---- */

typedef int (*visit_fn)(const char *path, void *arg, struct err *err);

/* Calls `visit` for each entry of a directory; one that is not there has none. */
static int for_entries(const char *dir, visit_fn visit, void *arg, struct err *err)
{
	_cleanup_closedir_ DIR *d = opendir(dir);
	struct dirent *e;
	int r = 0;

	while (r == 0 && d && (e = readdir(d))) {
		_cleanup_free_ char *path = NULL;

		if (e->d_name[0] == '.')
			continue;
		if (str_printf(&path, "%s/%s", dir, e->d_name) < 0)
			return err_sysf(err, ENOMEM, "list of containers");
		r = visit(path, arg, err);
	}
	return r;
}

static int visit_bundle(const char *path, void *arg, struct err *err)
{
	return add_bundle(arg, path, err);
}

static int visit_namespace(const char *path, void *arg, struct err *err)
{
	return for_entries(path, visit_bundle, arg, err);
}

/*
 * A shim keeps BUNDLE/log of the first container of its pod open: the others are its neighbours. A
 * `run` keeps the bundle itself.
 */
static int visit_descriptor(const char *path, void *arg, struct err *err)
{
	struct search *s = arg;
	char target[4096];
	char *slash;

	read_link(AT_FDCWD, path, target, sizeof(target));
	if (target[0] != '/')
		return 0;
	if (s->is_run)
		return add_bundle(s, target, err);
	if (!str_has_suffix(target, "/log"))
		return 0;
	for (int up = 0; up < 2; up++) {
		slash = strrchr(target, '/');
		if (!slash || slash == target)
			return 0;
		*slash = '\0';
	}
	return for_entries(target, visit_bundle, s, err);
}

static int add_shim(struct containers *c, const char *pid)
{
	pid_t *v = reallocarray(c->shims, c->n_shims + 1, sizeof(*v));
	uint64_t number;

	if (!v)
		return -ENOMEM;
	c->shims = v;
	if (num_parse_u64(pid, INT32_MAX, &number) == 0)
		c->shims[c->n_shims++] = (pid_t)number;
	return 0;
}

enum program { OTHER, SHIM, RUN };

/* What of ours a process runs. */
static enum program program_of(const char *proc_dir)
{
	_cleanup_free_ char *exe = NULL;
	char program[4096];

	if (str_printf(&exe, "%s/exe", proc_dir) < 0)
		return OTHER;
	read_link(AT_FDCWD, exe, program, sizeof(program));
	if (str_eq(base_name(program), SHIM_NAME))
		return SHIM;
	return str_eq(base_name(program), RUNTIME_NAME) ? RUN : OTHER;
}

bool containers_is_keeper(pid_t pid)
{
	char path[32];

	(void)snprintf(path, sizeof(path), "/proc/%d", (int)pid);
	return program_of(path) != OTHER;
}

static int visit_process(const char *path, void *arg, struct err *err)
{
	_cleanup_free_ char *fds = NULL;
	struct search *s = arg;
	enum program program = OTHER;

	if (isdigit((unsigned char)base_name(path)[0]))
		program = program_of(path);
	if (program == OTHER)
		return 0;
	if (str_printf(&fds, "%s/fd", path) < 0)
		return err_sysf(err, ENOMEM, "list of containers");
	s->is_run = program == RUN;
	if (!s->is_run && add_shim(s->found, base_name(path)) < 0)
		return err_sysf(err, ENOMEM, "list of containers");
	return for_entries(fds, visit_descriptor, s, err);
}

static int compare(const void *a, const void *b)
{
	const struct container_info *x = a, *y = b;
	int r = strcmp(x->record.ns, y->record.ns);

	return r ? r : strcmp(x->record.id, y->record.id);
}

int containers_find(const char *ns, struct containers *ret_containers, struct err *err)
{
	struct containers found = CONTAINERS_INIT;
	struct search search = {.found = &found, .ns = ns};
	int r;

	if (geteuid() != 0)
		return err_setf(err, ERR_PERMISSION, EPERM,
			"bundles and processes are root's: run this as root");
	r = for_entries(CONTAINERS_ROOT, visit_namespace, &search, err);
	if (r == 0)
		r = for_entries("/proc", visit_process, &search, err);
	search.seen = strv_free(search.seen);
	if (r < 0) {
		containers_done(&found);
		return r;
	}
	if (found.n > 0)
		qsort(found.v, found.n, sizeof(*found.v), compare);
	*ret_containers = found;
	return 0;
}

void containers_done(struct containers *c)
{
	for (size_t i = 0; i < c->n; i++) {
		store_record_done(&c->v[i].record);
		free(c->v[i].bundle);
	}
	free(c->v);
	free(c->shims);
	(void)strv_free(c->warnings);
	*c = (struct containers)CONTAINERS_INIT;
}

int containers_get(const struct containers *c, const char *id,
	const struct container_info **ret_info, struct err *err)
{
	const struct container_info *found = NULL;

	for (size_t i = 0; i < c->n; i++) {
		if (!str_eq(c->v[i].record.id, id))
			continue;
		if (found)
			return err_setf(err, ERR_INVALID, EINVAL,
				"container %s: in the namespaces %s and %s, choose with "
				"--namespace",
				id, found->record.ns, c->v[i].record.ns);
		found = &c->v[i];
	}
	if (!found)
		return err_setf(err, ERR_NOT_FOUND, ENOENT,
			"container %.100s: not found on this node; see reaper-runtime list", id);
	*ret_info = found;
	return 0;
}
