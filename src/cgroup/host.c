#include "cgroup/host.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include "base/cleanup.h"
#include "base/file.h"
#include "base/str.h"

enum { MOUNTINFO_MAX = 32 << 20, CONTROLLERS_MAX = 4096 };

static const char *const controller_names[_CGROUP_CONTROLLER_MAX] = {
#define X(id, name) [CGROUP_##id] = (name),
	CGROUP_CONTROLLERS(X)
#undef X
};

const char *cgroup_controller_name(enum cgroup_controller c)
{
	return controller_names[c];
}

uint32_t cgroup_controller_bit(const char *name, size_t len)
{
	for (unsigned c = 0; c < _CGROUP_CONTROLLER_MAX; c++)
		if (strlen(controller_names[c]) == len &&
			memcmp(controller_names[c], name, len) == 0)
			return CGROUP_BIT(c);
	return 0;
}

const char *cgroup_mode_name(enum cgroup_mode mode)
{
	static const char *const names[] = {
		[CGROUP_MODE_NONE] = "none",
		[CGROUP_MODE_V1] = "v1",
		[CGROUP_MODE_HYBRID] = "hybrid",
		[CGROUP_MODE_V2] = "v2",
	};

	return names[mode];
}

void cgroup_host_done(struct cgroup_host *host)
{
	if (!host)
		return;
	for (size_t i = 0; i < host->n; i++)
		free(host->hierarchies[i].root);
	*host = (struct cgroup_host)CGROUP_HOST_INIT;
}

/* Undoes mountinfo's \040 and the like, in place. */
static void unescape(char *s)
{
	char *out = s;

	while (*s) {
		if (s[0] == '\\' && s[1] >= '0' && s[1] <= '3' && s[2] >= '0' && s[2] <= '7' &&
			s[3] >= '0' && s[3] <= '7') {
			*out++ = (char)((s[1] - '0') * 64 + (s[2] - '0') * 8 + (s[3] - '0'));
			s += 4;
		} else {
			*out++ = *s++;
		}
	}
	*out = '\0';
}

/* The fields of one line that matter; all point into the line. */
struct mount_line {
	char *point, *type, *super_options;
};

static int split_line(char *line, struct mount_line *ret)
{
	char *fields[5], *save = NULL, *rest;
	size_t n = 0;

	/* 36 35 98:0 /root /point options [optional…] - type source super-options */
	rest = strstr(line, " - ");
	if (!rest)
		return -EINVAL;
	*rest = '\0';
	for (char *f = strtok_r(line, " ", &save); f && n < 5; f = strtok_r(NULL, " ", &save))
		fields[n++] = f;
	if (n < 5)
		return -EINVAL;
	ret->point = fields[4];
	ret->type = strtok_r(rest + 3, " ", &save);
	(void)strtok_r(NULL, " ", &save);
	ret->super_options = strtok_r(NULL, " ", &save);
	if (!ret->type)
		return -EINVAL;
	unescape(ret->point);
	return 0;
}

/* What a v1 mount carries. A named hierarchy without controllers (name=systemd) has none. */
static uint32_t controllers_of_options(const char *options, bool *ret_named)
{
	uint32_t set = 0;

	*ret_named = false;
	while (options && *options) {
		size_t n = strcspn(options, ",");

		set |= cgroup_controller_bit(options, n);
		if (n > 5 && strncmp(options, "name=", 5) == 0)
			*ret_named = true;
		options += n + (options[n] == ',');
	}
	return set;
}

/* Whether mount point `a` is the better place for the same hierarchy. */
static bool better_place(const char *a, const char *b)
{
	bool a_std = str_has_prefix(a, "/sys/fs/cgroup"),
	     b_std = str_has_prefix(b, "/sys/fs/cgroup");

	return a_std != b_std ? a_std : strlen(a) < strlen(b);
}

static void drop_hierarchy(struct cgroup_host *host, size_t i)
{
	free(host->hierarchies[i].root);
	host->n--;
	memmove(&host->hierarchies[i], &host->hierarchies[i + 1],
		(host->n - i) * sizeof(host->hierarchies[0]));
}

/* A mount at, or above, the place of an earlier one hides that one. */
static void drop_covered(struct cgroup_host *host, const char *point)
{
	size_t len = str_eq(point, "/") ? 0 : strlen(point);

	for (size_t i = host->n; i-- > 0;) {
		const char *root = host->hierarchies[i].root;

		if (strncmp(root, point, len) == 0 && (root[len] == '/' || root[len] == '\0'))
			drop_hierarchy(host, i);
	}
}

static int add_hierarchy(struct cgroup_host *host, const char *point, uint32_t set, bool v2)
{
	struct cgroup_hierarchy *h;

	for (size_t i = 0; i < host->n; i++) {
		h = &host->hierarchies[i];
		if (h->v2 != v2 || (!v2 && h->controllers != set))
			continue;
		if (!better_place(point, h->root))
			return 0;
		free(h->root);
		h->root = NULL;
		return str_dup(&h->root, point);
	}
	if (host->n == CGROUP_HIERARCHY_MAX)
		return 0; /* the kernel has fewer hierarchies than that */
	h = &host->hierarchies[host->n];
	h->controllers = set;
	h->v2 = v2;
	if (str_dup(&h->root, point) < 0)
		return -ENOMEM;
	host->n++;
	return 0;
}

static int parse_line(struct cgroup_host *host, char *line)
{
	struct mount_line m = {0};
	bool named;
	uint32_t set;
	int r = split_line(line, &m);

	if (r < 0)
		return r;
	drop_covered(host, m.point);
	if (str_eq(m.type, "cgroup2"))
		return add_hierarchy(host, m.point, 0, true);
	if (!str_eq(m.type, "cgroup"))
		return 0;
	set = controllers_of_options(m.super_options, &named);
	/* name=systemd only: other named hierarchies (elogind, openrc) are not for containers */
	if (set == 0 && !(named && strstr(m.super_options, "name=systemd")))
		return 0;
	return add_hierarchy(host, m.point, set, false);
}

static void move_v2_last(struct cgroup_host *host)
{
	for (size_t i = 0; i + 1 < host->n; i++) {
		if (host->hierarchies[i].v2) {
			struct cgroup_hierarchy h = host->hierarchies[i];

			host->hierarchies[i] = host->hierarchies[i + 1];
			host->hierarchies[i + 1] = h;
		}
	}
}

int cgroup_host_parse(const char *mountinfo, struct cgroup_host *ret_host, struct err *err)
{
	_cleanup_(cgroup_host_done) struct cgroup_host host = CGROUP_HOST_INIT;
	_cleanup_free_ char *copy = strdup(mountinfo);
	char *save = NULL;
	bool v1 = false, v2 = false;

	if (!copy)
		return err_sysf(err, ENOMEM, "mountinfo");
	for (char *line = strtok_r(copy, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
		int r = parse_line(&host, line);

		if (r == -EINVAL)
			return err_setf(err, ERR_INVALID, EINVAL,
				"mountinfo: not a line of it: %.64s", line);
		if (r < 0)
			return err_sysf(err, -r, "mountinfo");
	}
	move_v2_last(&host);
	for (size_t i = 0; i < host.n; i++)
		*(host.hierarchies[i].v2 ? &v2 : &v1) = true;
	if (v1)
		host.mode = v2 ? CGROUP_MODE_HYBRID : CGROUP_MODE_V1;
	else
		host.mode = v2 ? CGROUP_MODE_V2 : CGROUP_MODE_NONE;
	*ret_host = host;
	host.n = 0;
	return 0;
}

int cgroup_host_detect(struct cgroup_host *ret_host, struct err *err)
{
	_cleanup_(cgroup_host_done) struct cgroup_host host = CGROUP_HOST_INIT;
	_cleanup_free_ char *text = NULL;
	int r = file_read_at(AT_FDCWD, "/proc/self/mountinfo", MOUNTINFO_MAX, &text, NULL, err);

	if (r == 0)
		r = cgroup_host_parse(text, &host, err);
	if (r < 0)
		return r;
	for (size_t i = 0; i < host.n; i++) {
		_cleanup_free_ char *path = NULL, *names = NULL;

		if (!host.hierarchies[i].v2)
			continue;
		r = str_printf(&path, "%s/cgroup.controllers", host.hierarchies[i].root);
		if (r == 0)
			r = file_read_at(AT_FDCWD, path, CONTROLLERS_MAX, &names, NULL, err);
		if (r < 0)
			return r == -ENOMEM ? err_sysf(err, ENOMEM, "cgroups") : r;
		for (const char *p = names; p && *p;) {
			size_t n = strcspn(p, " \n");

			host.hierarchies[i].controllers |= cgroup_controller_bit(p, n);
			p += n + (p[n] != '\0');
		}
	}
	*ret_host = host;
	host.n = 0;
	return 0;
}
