#include "cgroup/devices.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <linux/bpf.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/cleanup.h"
#include "base/fd.h"
#include "base/file.h"
#include "cgroup/devices_bpf.h"
#include "cgroup/tree.h"

enum {
	RWM = CGROUP_DEVICE_MKNOD | CGROUP_DEVICE_READ | CGROUP_DEVICE_WRITE,
	RULE_TEXT_MAX = 80,
};

/* The kernel's interface is ours, so that no table has to translate. */
_Static_assert((int)CGROUP_DEVICE_MKNOD == BPF_DEVCG_ACC_MKNOD, "mknod");
_Static_assert((int)CGROUP_DEVICE_READ == BPF_DEVCG_ACC_READ, "read");
_Static_assert((int)CGROUP_DEVICE_WRITE == BPF_DEVCG_ACC_WRITE, "write");

const struct cgroup_device_rule cgroup_device_defaults[] = {
	{true, 'c', CGROUP_DEVICE_ANY, CGROUP_DEVICE_ANY, CGROUP_DEVICE_MKNOD},
	{true, 'b', CGROUP_DEVICE_ANY, CGROUP_DEVICE_ANY, CGROUP_DEVICE_MKNOD},
	{true, 'c', 1, 3, RWM},                   /* null */
	{true, 'c', 1, 5, RWM},                   /* zero */
	{true, 'c', 1, 7, RWM},                   /* full */
	{true, 'c', 1, 8, RWM},                   /* random */
	{true, 'c', 1, 9, RWM},                   /* urandom */
	{true, 'c', 5, 0, RWM},                   /* tty */
	{true, 'c', 5, 2, RWM},                   /* ptmx */
	{true, 'c', 136, CGROUP_DEVICE_ANY, RWM}, /* pts */
};
const size_t cgroup_device_defaults_n = ARRAY_LEN(cgroup_device_defaults);

int cgroup_device_access_parse(const char *access, uint32_t *ret_access)
{
	uint32_t bits = 0;

	for (const char *p = access; *p; p++) {
		if (*p == 'r')
			bits |= CGROUP_DEVICE_READ;
		else if (*p == 'w')
			bits |= CGROUP_DEVICE_WRITE;
		else if (*p == 'm')
			bits |= CGROUP_DEVICE_MKNOD;
		else
			return -EINVAL;
	}
	if (bits == 0)
		return -EINVAL;
	*ret_access = bits;
	return 0;
}

static void format_number(char *out, size_t size, int64_t n)
{
	if (n == CGROUP_DEVICE_ANY)
		(void)snprintf(out, size, "*");
	else
		(void)snprintf(out, size, "%" PRId64, n);
}

/* "c 1:3 rwm", as devices.allow has it. */
static void format_rule(const struct cgroup_device_rule *rule, char out[RULE_TEXT_MAX])
{
	char major[24], minor[24];

	format_number(major, sizeof(major), rule->major);
	format_number(minor, sizeof(minor), rule->minor);
	(void)snprintf(out, RULE_TEXT_MAX, "%c %s:%s %s%s%s", rule->type, major, minor,
		rule->access & CGROUP_DEVICE_READ ? "r" : "",
		rule->access & CGROUP_DEVICE_WRITE ? "w" : "",
		rule->access & CGROUP_DEVICE_MKNOD ? "m" : "");
}

static bool is_number(int64_t n)
{
	return n == CGROUP_DEVICE_ANY || (n >= 0 && n <= INT32_MAX);
}

static int check_rules(const struct cgroup_device_rule *rules, size_t n, struct err *err)
{
	if (n > CGROUP_DEVICE_RULES_MAX)
		return err_setf(err, ERR_INVALID, E2BIG, "%zu device rules, at most %d", n,
			CGROUP_DEVICE_RULES_MAX);
	for (size_t i = 0; i < n; i++) {
		const struct cgroup_device_rule *rule = &rules[i];

		if ((rule->type != 'a' && rule->type != 'b' && rule->type != 'c') ||
			!is_number(rule->major) || !is_number(rule->minor) || rule->access == 0 ||
			(rule->access & ~(uint32_t)RWM))
			return err_setf(err, ERR_INVALID, EINVAL,
				"device rule %zu: not a type, two numbers and an access", i);
	}
	return 0;
}

/* Whether two numbers of rules mean the same device somewhere. */
static bool meets(int64_t a, int64_t b)
{
	return a == CGROUP_DEVICE_ANY || b == CGROUP_DEVICE_ANY || a == b;
}

/*
 * v1 can take back only what was allowed in the same words: "all of major 1" and then "not 1:9"
 * would leave 1:9 open without a word.
 */
static int check_v1(const struct cgroup_device_rule *rules, size_t n, struct err *err)
{
	bool all = false;
	size_t from = 0;

	for (size_t i = 0; i < n; i++) {
		const struct cgroup_device_rule *deny = &rules[i];

		if (deny->type == 'a') { /* forgets what was before */
			all = deny->allow;
			from = i + 1;
		}
		for (size_t j = from; j < i && !all && !deny->allow; j++) {
			const struct cgroup_device_rule *allow = &rules[j];

			if (!allow->allow || allow->type != deny->type ||
				!(allow->access & deny->access) ||
				!meets(allow->major, deny->major) ||
				!meets(allow->minor, deny->minor) ||
				(allow->major == deny->major && allow->minor == deny->minor))
				continue;
			return err_setf(err, ERR_PRECONDITION, EINVAL,
				"device rule %zu takes back a part of what rule %zu allows, which "
				"cgroup v1 cannot do: allow only what is meant",
				i, j);
		}
	}
	return 0;
}

/* devices.allow and devices.deny of one directory, open from the first rule on. */
struct v1_files {
	const char *dir;
	int fds[2];
};

static void v1_files_done(struct v1_files *f)
{
	fd_close(&f->fds[0]);
	fd_close(&f->fds[1]);
}

/* The kernel takes one rule at a time. */
static int put_v1(struct v1_files *f, bool allow, const char *text, struct err *err)
{
	const char *name = allow ? "devices.allow" : "devices.deny";
	int *fd = &f->fds[allow];
	char path[PATH_MAX];
	int r = 0;

	if (*fd < 0) {
		r = cgroup_file_path(path, sizeof(path), f->dir, name);
		*fd = r < 0 ? -EBADF : open(path, O_WRONLY | O_CLOEXEC | O_NOCTTY);
		if (r == 0 && *fd < 0)
			r = -errno;
	}
	if (r == 0)
		r = file_write_all(*fd, text, strlen(text));
	return r < 0 ? err_sysf(err, -r, "writing \"%s\" to %s/%s", text, f->dir, name) : 0;
}

/* v1 keeps a list of exceptions to "all" or "none" and takes the rules in their order. */
static int apply_v1(
	const char *dir, const struct cgroup_device_rule *rules, size_t n, struct err *err)
{
	_cleanup_(v1_files_done) struct v1_files files = {.dir = dir, .fds = {-EBADF, -EBADF}};
	char text[RULE_TEXT_MAX];
	int r = check_v1(rules, n, err);

	if (r < 0)
		return r;
	/* a fresh cgroup starts with its parent's rules: without this, "no match" would mean those
	 */
	if (rules[0].type != 'a')
		r = put_v1(&files, false, "a", err);
	for (size_t i = 0; r == 0 && i < n; i++) {
		format_rule(&rules[i], text);
		r = put_v1(&files, rules[i].allow, text, err);
	}
	return r;
}

static int apply_v2(
	const struct cgroup *cg, const struct cgroup_device_rule *rules, size_t n, struct err *err)
{
	_cleanup_free_ struct bpf_insn *prog =
		calloc(n * CGROUP_BPF_PER_RULE + CGROUP_BPF_FRAME, sizeof(*prog));
	_cleanup_close_ int dir = cgroup_open_v2(cg);
	int r;

	if (!prog)
		return err_sysf(err, ENOMEM, "device rules");
	if (dir == -ENOENT && (cg->n == 0 || !cg->dirs[cg->n - 1].v2))
		return err_setf(err, ERR_UNIMPLEMENTED, EOPNOTSUPP,
			"device rules: this host has neither a devices hierarchy nor cgroup2");
	if (dir < 0)
		return err_sysf(err, -dir, "device rules: %s", cg->dirs[cg->n - 1].path);
	r = cgroup_bpf_attach(dir, prog, cgroup_bpf_assemble(rules, n, prog));
	if (r == -EPERM || r == -EACCES || r == -ENOSYS || r == -EINVAL || r == -EOPNOTSUPP)
		return err_setf(err, ERR_UNIMPLEMENTED, EOPNOTSUPP,
			"device rules: the kernel refuses a BPF program on %s (errno %d)",
			cg->dirs[cg->n - 1].path, -r);
	return r < 0 ? err_sysf(err, -r, "device rules on %s", cg->dirs[cg->n - 1].path) : 0;
}

int cgroup_devices_apply(
	const struct cgroup *cg, const struct cgroup_device_rule *rules, size_t n, struct err *err)
{
	size_t i;
	int r = check_rules(rules, n, err);

	if (r < 0 || n == 0)
		return r;
	if (cgroup_has(cg, CGROUP_DEVICES, &i) && !cg->dirs[i].v2)
		return apply_v1(cg->dirs[i].path, rules, n, err);
	return apply_v2(cg, rules, n, err);
}
