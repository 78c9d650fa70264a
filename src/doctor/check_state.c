/* Probes of what the node around Reaper is in: who drives the cgroups, the time, who was denied
 * what. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/timex.h>
#include <time.h>
#include <unistd.h>
#include "base/buf.h"
#include "base/cleanup.h"
#include "base/file.h"
#include "base/str.h"
#include "cgroup/host.h"
#include "conf/settings.h"
#include "doctor/check.h"

/* ---- cgroup driver ---- */

#define SYSTEMD_SOCKET "/run/systemd/private" /* systemd/call.h */

/* Which drivers' trees of pods are there, at the top or one level below (kubelet's --cgroup-root).
 */
struct drivers {
	bool systemd, cgroupfs;
};

static void look_for_pods(const char *path, int levels, struct drivers *ret)
{
	_cleanup_closedir_ DIR *dir = opendir(path);
	struct dirent *e;

	while (dir && (e = readdir(dir))) {
		_cleanup_free_ char *below = NULL;

		if (e->d_type != DT_DIR || e->d_name[0] == '.')
			continue;
		if (str_eq(e->d_name, "kubepods"))
			ret->cgroupfs = true;
		else if (str_has_suffix(e->d_name, "kubepods.slice"))
			ret->systemd = true;
		else if (levels > 0 && str_printf(&below, "%s/%s", path, e->d_name) == 0)
			look_for_pods(below, levels - 1, ret);
	}
}

/* What is effective, not what a file says: kubelet may ask containerd for its driver. */
enum check_result check_cgroup_driver(struct check_ctx *ctx, const struct check *c, struct err *why)
{
	_cleanup_(cgroup_host_done) struct cgroup_host host = CGROUP_HOST_INIT;
	struct drivers found = {.systemd = false};
	int said = ctx->plan.systemd_cgroup;

	(void)c;
	if (ctx->args->root || cgroup_host_detect(&host, NULL) < 0)
		return CHECK_SKIPPED;
	for (size_t i = 0; i < host.n; i++)
		look_for_pods(host.hierarchies[i].root, 1, &found);
	if (!found.systemd && !found.cgroupfs)
		return CHECK_SKIPPED;
	if (found.systemd && access(SYSTEMD_SOCKET, F_OK) < 0) {
		(void)err_setf(why, ERR_UNAVAILABLE, ENOENT,
			"kubelet has the driver systemd, and there is no " SYSTEMD_SOCKET);
		return CHECK_FAILED;
	}
	if (said < 0 || found.systemd == found.cgroupfs || (said > 0) == found.systemd)
		return CHECK_PASSED;
	(void)err_setf(why, ERR_PRECONDITION, EINVAL,
		"kubelet has the driver %s, and containerd's default runtime SystemdCgroup = %s",
		found.systemd ? "systemd" : "cgroupfs", said ? "true" : "false");
	return CHECK_FAILED;
}

/* ---- clock ---- */

enum { CLOCK_TOLERANCE_S = 60 };

enum check_result check_clock(struct check_ctx *ctx, const struct check *c, struct err *why)
{
	_cleanup_(settings_done) struct settings s = SETTINGS_INIT;
	struct timex state = {.modes = 0};
	struct stat st;
	time_t now = time(NULL);

	(void)c;
	if (ctx->args->root || settings_load(NULL, environ, NULL, 0, &s, NULL) < 0)
		return CHECK_SKIPPED;
	if (s.history_file && stat(s.history_file, &st) == 0 &&
		st.st_mtime > now + CLOCK_TOLERANCE_S) {
		(void)err_setf(why, ERR_PRECONDITION, ETIME,
			"%s was written %lld seconds from now: the clock was set back",
			s.history_file, (long long)(st.st_mtime - now));
		return CHECK_FAILED;
	}
	if (adjtimex(&state) == TIME_ERROR)
		(void)err_setf(
			why, ERR_NONE, 0, "the kernel says that nobody keeps it in step (no NTP)");
	return CHECK_PASSED;
}

/* ---- denials ---- */

enum { KMSG_MAX = 32 << 20, DENIED_WITHIN_S = 24 * 3600 };

/* Of the kernel's log only what is there: /dev/kmsg never ends. A record was overwritten: EPIPE,
 * and the next read goes on. */
static int read_kmsg(struct buf *text)
{
	_cleanup_close_ int fd = open("/dev/kmsg", O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	char record[8192];

	if (fd < 0)
		return -errno;
	for (;;) {
		ssize_t n = read(fd, record, sizeof(record));

		if (n < 0 && errno == EPIPE)
			continue;
		if (n <= 0)
			return 0;
		if (buf_append(text, record, (size_t)n) < 0)
			return -ENOMEM;
	}
}

static int read_audit(struct buf *text)
{
	_cleanup_free_ char *file = NULL;
	size_t len = 0;
	int r = file_read_at(AT_FDCWD, "/var/log/audit/audit.log", KMSG_MAX, &file, &len, NULL);

	return r < 0 || !file ? r : buf_append(text, file, len);
}

/* One of ours was denied something. What workloads are denied is what their profiles are for. */
static bool is_denial(const char *line)
{
	static const char *const programs[] = {
		"comm=\"containerd-shim\"", "comm=\"reaper-runtime\"", "comm=\"reaperctl\""};

	if (!strstr(line, "apparmor=\"DENIED\"") && !strstr(line, "avc:  denied"))
		return false;
	for (size_t i = 0; i < ARRAY_LEN(programs); i++) {
		if (strstr(line, programs[i]))
			return true;
	}
	return false;
}

static bool is_recent(const char *line)
{
	const char *at = strstr(line, "audit(");

	return !at || strtoll(at + strlen("audit("), NULL, 10) > time(NULL) - DENIED_WITHIN_S;
}

enum check_result check_denials(struct check_ctx *ctx, const struct check *c, struct err *why)
{
	_cleanup_(buf_done) struct buf text = BUF_INIT(2UL * KMSG_MAX);
	const char *last = NULL;
	char *rest;
	unsigned n = 0;

	(void)c;
	if (ctx->args->root)
		return CHECK_SKIPPED;
	if (read_kmsg(&text) < 0 && read_audit(&text) < 0)
		return CHECK_SKIPPED;
	(void)read_audit(&text);
	rest = text.data;
	for (char *line; rest && (line = strsep(&rest, "\n"));) {
		if (!is_denial(line) || !is_recent(line))
			continue;
		last = line;
		n++;
	}
	if (!last)
		return CHECK_PASSED;
	(void)err_setf(
		why, ERR_PERMISSION, EACCES, "%u since yesterday, the last: %.600s", n, last);
	return CHECK_FAILED;
}
