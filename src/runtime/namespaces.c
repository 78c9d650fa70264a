#include "runtime/namespaces.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>
#include "base/cleanup.h"
#include "base/fd.h"
#include "base/file.h"
#include "base/str.h"

uint64_t namespaces_own_net(int proc_fd)
{
	struct stat st;

	return fstatat(proc_fd, "self/ns/net", &st, 0) < 0 ? 0 : st.st_ino;
}

void namespaces_done(struct namespaces *ns)
{
	if (!ns)
		return;
	for (size_t i = 0; i < _PLAN_NS_MAX; i++) {
		fd_close(&ns->join[i]);
		fd_close(&ns->host[i]);
	}
}

static int open_own(int proc_fd, enum plan_ns which)
{
	char path[32];

	(void)snprintf(path, sizeof(path), "self/ns/%s", plan_ns_name(which));
	return openat(proc_fd, path, O_RDONLY | O_CLOEXEC);
}

static int open_joined(const struct plan *plan, enum plan_ns which, int *ret_fd, struct err *err)
{
	const char *path = plan->namespaces[which].path;
	/* O_NONBLOCK: the path is from outside and might be a FIFO */
	_cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	struct statfs fs;

	if (fd < 0)
		return err_sysf(err, errno, "%s namespace %s", plan_ns_name(which), path);
	if (fstatfs(fd, &fs) < 0 || (long)fs.f_type != NSFS_MAGIC)
		return err_setf(err, ERR_INVALID, EINVAL,
			"%s namespace %s: this file is no namespace", plan_ns_name(which), path);
	*ret_fd = TAKE_FD(fd);
	return 0;
}

int namespaces_open(
	const struct plan *plan, int proc_fd, struct namespaces *ret_ns, struct err *err)
{
	struct namespaces ns = NAMESPACES_INIT;
	int r = 0;

	for (size_t i = 0; i < _PLAN_NS_MAX && r == 0; i++) {
		ns.host[i] = open_own(proc_fd, (enum plan_ns)i);
		if (ns.host[i] < 0)
			r = err_sysf(err, errno, "own %s namespace", plan_ns_name((enum plan_ns)i));
		else if (plan->namespaces[i].action == PLAN_NS_JOIN)
			r = open_joined(plan, (enum plan_ns)i, &ns.join[i], err);
	}
	if (r < 0)
		namespaces_done(&ns);
	else
		*ret_ns = ns;
	return r;
}

int namespaces_enter(const struct plan *plan, const struct namespaces *ns, struct err *err)
{
	for (size_t i = 0; i < _PLAN_NS_MAX; i++) {
		const struct plan_namespace *p = &plan->namespaces[i];
		int flag = plan_ns_flag((enum plan_ns)i);

		if (p->action == PLAN_NS_JOIN && setns(ns->join[i], flag) < 0)
			return err_sysf(err, errno, "joining the %s namespace %s",
				plan_ns_name((enum plan_ns)i), p->path);
		if (p->action == PLAN_NS_NEW && unshare(flag) < 0)
			return err_sysf(
				err, errno, "a new %s namespace", plan_ns_name((enum plan_ns)i));
	}
	return 0;
}

/* A path can lead to the host's namespace, too: compared by inode. */
static bool is_host(const struct namespaces *ns, enum plan_ns which, int proc_fd)
{
	_cleanup_close_ int now = open_own(proc_fd, which);
	struct stat a, b;

	if (now < 0 || fstat(now, &a) < 0 || fstat(ns->host[which], &b) < 0)
		return true;
	return a.st_dev == b.st_dev && a.st_ino == b.st_ino;
}

/* Which namespace a sysctl belongs to (runc: libcontainer/configs/validate); -1: to none, so that
 * it would be the whole node's. */
static int sysctl_namespace(const char *name)
{
	static const struct {
		const char *prefix;
		enum plan_ns ns;
	} table[] = {
		{"net.", PLAN_NS_NET},
		{"fs.mqueue.", PLAN_NS_IPC},
		{"kernel.msg", PLAN_NS_IPC},
		{"kernel.sem", PLAN_NS_IPC},
		{"kernel.shm", PLAN_NS_IPC},
		{"kernel.domainname", PLAN_NS_UTS},
	};

	for (size_t i = 0; i < ARRAY_LEN(table); i++) {
		if (str_has_prefix(name, table[i].prefix))
			return (int)table[i].ns;
	}
	return -1;
}

/* "net.ipv4.conf.eth0/1.forwarding" → "sys/net/ipv4/conf/eth0.1/forwarding" (sysctl(8)). */
static int sysctl_path(const char *name, char **ret_path)
{
	int r = str_printf(ret_path, "sys/%s", name);

	if (r < 0)
		return r;
	for (char *p = *ret_path + 4; *p; p++)
		*p = *p == '.' ? '/' : *p == '/' ? '.' : *p;
	return strstr(*ret_path, "/../") || strstr(*ret_path, "//") ? -EINVAL : 0;
}

static int set_sysctl(
	const struct json_pair *s, const struct namespaces *ns, int proc_fd, struct err *err)
{
	_cleanup_free_ char *path = NULL;
	int which = sysctl_namespace(s->key);
	int r;

	if (which < 0 || is_host(ns, (enum plan_ns)which, proc_fd))
		return err_setf(err, ERR_INVALID, EPERM,
			"sysctl %s: would change the node, because %s%s", s->key,
			which < 0 ? "it belongs to no namespace" : "the pod is in the host's ",
			which < 0 ? "" : plan_ns_name((enum plan_ns)which));
	r = sysctl_path(s->key, &path);
	if (r < 0)
		return err_sysf(err, -r, "sysctl %s", s->key);
	r = file_put_at(proc_fd, path, s->value, err);
	return r < 0 ? err_wrapf(err, "sysctl %s", s->key) : 0;
}

int namespaces_configure(
	const struct plan *plan, const struct namespaces *ns, int proc_fd, struct err *err)
{
	if (!is_host(ns, PLAN_NS_UTS, proc_fd)) {
		if (plan->hostname && sethostname(plan->hostname, strlen(plan->hostname)) < 0)
			return err_sysf(err, errno, "hostname %s", plan->hostname);
		if (plan->domainname &&
			setdomainname(plan->domainname, strlen(plan->domainname)) < 0)
			return err_sysf(err, errno, "domain name %s", plan->domainname);
	}
	for (size_t i = 0; i < plan->n_sysctl; i++) {
		int r = set_sysctl(&plan->sysctl[i], ns, proc_fd, err);

		if (r < 0)
			return r;
	}
	return 0;
}
