#include "cgroup/path.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include "base/cleanup.h"
#include "base/str.h"

void cgroup_path_done(struct cgroup_path *p)
{
	if (!p)
		return;
	free(p->path);
	free(p->slice);
	free(p->unit);
	*p = (struct cgroup_path)CGROUP_PATH_INIT;
}

/* A byte that would break /proc/PID/cgroup, mountinfo or our own record. */
static bool has_control(const char *s)
{
	for (; *s; s++)
		if ((unsigned char)*s < 0x20 || *s == 0x7f)
			return true;
	return false;
}

static int check_component(const char *part, size_t len, struct err *err)
{
	if (len > NAME_MAX)
		return err_setf(err, ERR_INVALID, ENAMETOOLONG,
			"linux.cgroupsPath: a component of %zu bytes, at most %d are possible", len,
			NAME_MAX);
	if (len == 2 && memcmp(part, "..", 2) == 0)
		return err_setf(
			err, ERR_INVALID, EINVAL, "linux.cgroupsPath: \"..\" is not allowed in it");
	return 0;
}

/* Appends the components of `in` to `out` (of CGROUP_PATH_MAX + 1 bytes), "//" and "." left out. */
static int append_clean(char *out, size_t *len, size_t *depth, const char *in, struct err *err)
{
	while (*in) {
		size_t n = strcspn(in, "/");
		int r = check_component(in, n, err);

		if (r < 0)
			return r;
		if (n > 0 && !(n == 1 && in[0] == '.')) {
			if (*len + 1 + n > CGROUP_PATH_MAX || ++*depth > CGROUP_PATH_DEPTH)
				return err_setf(err, ERR_INVALID, ENAMETOOLONG,
					"linux.cgroupsPath: longer than %d bytes or deeper than %d",
					CGROUP_PATH_MAX, CGROUP_PATH_DEPTH);
			out[(*len)++] = '/';
			memcpy(out + *len, in, n);
			*len += n;
		}
		in += n + (in[n] == '/');
	}
	out[*len] = '\0';
	return 0;
}

/* "/NAMESPACE/ID" (containerd pkg/oci/spec.go populateDefaultUnixSpec). */
static bool is_ctr_default(const char *path, const char *ns, const char *id)
{
	size_t n = strlen(ns);

	return strncmp(path + 1, ns, n) == 0 && path[1 + n] == '/' && str_eq(path + n + 2, id);
}

static int parse_fs(const char *text, const char *ns, const char *id, struct cgroup_path *ret_path,
	struct err *err)
{
	char out[CGROUP_PATH_MAX + 1] = "";
	size_t len = 0, depth = 0;
	int r = 0;

	if (text[0] != '/') {
		r = append_clean(out, &len, &depth, "reaper", err);
		if (r == 0)
			r = append_clean(out, &len, &depth, ns, err);
		if (r == 0 && text[0] == '\0')
			r = append_clean(out, &len, &depth, id, err);
	}
	if (r == 0)
		r = append_clean(out, &len, &depth, text, err);
	if (r < 0)
		return r;
	if (depth == 0 || (text[0] && text[0] != '/' && depth == 2))
		return err_setf(err, ERR_INVALID, EINVAL,
			"linux.cgroupsPath: \"%s\" names no cgroup of its own", text);
	ret_path->own_parents = str_has_prefix(out, "/reaper/") || is_ctr_default(out, ns, id);
	r = str_dup(&ret_path->path, out);
	return r < 0 ? err_sysf(err, -r, "linux.cgroupsPath") : 0;
}

/*
 * Appends the directories of a slice: each dash is a level (systemd.slice(5)): "a-b.slice" lies in
 * "a.slice". "-.slice" is the root.
 */
static int append_slice(char *out, size_t *len, size_t *depth, const char *slice, struct err *err)
{
	size_t stem = strlen(slice) - strlen(".slice");

	if (str_eq(slice, "-.slice"))
		return 0;
	for (size_t i = 0; i <= stem; i++) {
		_cleanup_free_ char *part = NULL;
		int r;

		if (i < stem && slice[i] != '-')
			continue;
		if (i == 0 || slice[i - 1] == '-')
			return err_setf(err, ERR_INVALID, EINVAL,
				"linux.cgroupsPath: \"%s\" is no name of a slice", slice);
		r = str_printf(&part, "%.*s.slice", (int)i, slice);
		if (r < 0)
			return err_sysf(err, -r, "linux.cgroupsPath");
		r = append_clean(out, len, depth, part, err);
		if (r < 0)
			return r;
	}
	return 0;
}

/* "slice:prefix:name", already known to have exactly two colons. */
static int parse_systemd(const char *text, struct cgroup_path *ret_path, struct err *err)
{
	const char *c1 = strchr(text, ':'), *c2 = strchr(c1 + 1, ':');
	int prefix_len = (int)(c2 - c1 - 1);
	const char *name = c2 + 1;
	char out[CGROUP_PATH_MAX + 1] = "";
	size_t len = 0, depth = 0;
	int r;

	if (c1 == text) /* as runc: rootful containers go to system.slice */
		r = str_dup(&ret_path->slice, "system.slice");
	else
		r = str_printf(&ret_path->slice, "%.*s", (int)(c1 - text), text);
	if (r == 0 && str_has_suffix(name, ".slice"))
		r = str_dup(&ret_path->unit, name); /* the unit is a slice itself */
	else if (r == 0)
		r = str_printf(&ret_path->unit, "%.*s%s%s.scope", prefix_len, c1 + 1,
			prefix_len > 0 ? "-" : "", name);
	if (r < 0)
		return err_sysf(err, -r, "linux.cgroupsPath");
	if (!str_has_suffix(ret_path->slice, ".slice") || !name[0])
		return err_setf(err, ERR_INVALID, EINVAL,
			"linux.cgroupsPath: \"%s\" is not of the form slice:prefix:name", text);
	if (strchr(text, '/'))
		return err_setf(err, ERR_INVALID, EINVAL,
			"linux.cgroupsPath: \"%s\": no '/' in names of units", text);
	r = append_slice(out, &len, &depth, ret_path->slice, err);
	if (r == 0)
		r = append_clean(out, &len, &depth, ret_path->unit, err);
	if (r < 0)
		return r;
	r = str_dup(&ret_path->path, out);
	return r < 0 ? err_sysf(err, -r, "linux.cgroupsPath") : 0;
}

/* A cgroupfs path may hold colons too, but then it is absolute or has not just two of them. */
static bool is_systemd_form(const char *text)
{
	size_t colons = 0;

	for (const char *p = text; *p; p++)
		colons += *p == ':';
	return text[0] != '/' && colons == 2;
}

int cgroup_path_parse(const char *cgroups_path, const char *ns, const char *id,
	struct cgroup_path *ret_path, struct err *err)
{
	_cleanup_(cgroup_path_done) struct cgroup_path p = CGROUP_PATH_INIT;
	const char *text = cgroups_path ? cgroups_path : "";
	int r;

	if (strlen(text) > CGROUP_PATH_MAX)
		return err_setf(err, ERR_INVALID, ENAMETOOLONG,
			"linux.cgroupsPath: longer than %d bytes", CGROUP_PATH_MAX);
	if (has_control(text))
		return err_setf(err, ERR_INVALID, EINVAL,
			"linux.cgroupsPath: a control character is in it");
	if (is_systemd_form(text))
		r = parse_systemd(text, &p, err);
	else
		r = parse_fs(text, ns, id, &p, err);
	if (r < 0)
		return r;
	*ret_path = p;
	p = (struct cgroup_path)CGROUP_PATH_INIT;
	return 0;
}
