#include "confine/seccomp.h"

#include <errno.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <seccomp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>
#include "base/cleanup.h"
#include "base/file.h"
#include "base/json.h"
#include "base/str.h"
#include "confine/seccomp_enosys.h"
#include "confine/seccomp_names.h"

enum { ENTRIES_MAX = 4096, NAMES_MAX = 4096, ARGS_MAX = 6 * 8, FILTER_MAX = 32768 * 8 };

/* A profile on its way into libseccomp. */
struct build {
	scmp_filter_ctx ctx;
	uint32_t default_action;
	uint32_t archs[ENOSYS_ARCHS_MAX]; /* libseccomp's tokens; the native one first */
	size_t n_archs;
	uint32_t highest[ENOSYS_ARCHS_MAX];
	size_t rules;
	bool notifies;
};

static void build_done(struct build *b)
{
	if (b->ctx)
		seccomp_release(b->ctx);
}

void confine_seccomp_done(struct confine_seccomp *s)
{
	if (!s)
		return;
	free(s->filter);
	*s = (struct confine_seccomp)CONFINE_SECCOMP_INIT;
}

static int read_action(const struct json_ref *object, const char *key, const char *errno_key,
	bool required, uint32_t *ret_action, struct err *err)
{
	_cleanup_free_ char *name = NULL;
	uint32_t errno_ret = EPERM;
	int r = json_get_str(object, key, &name, err);

	if (r == 0 && required)
		return json_errorf(object, err, "%s: missing", key);
	if (r <= 0)
		return r;
	r = json_get_u32(object, errno_key, &errno_ret, err);
	if (r < 0)
		return r;
	/* the specification: "the runtime MUST print an error and fail" */
	if (r > 0 && !str_eq(name, "SCMP_ACT_ERRNO") && !str_eq(name, "SCMP_ACT_TRACE"))
		return json_errorf(object, err, "%s: %.64s has no number", errno_key, name);
	if (errno_ret > 4095)
		return json_errorf(object, err, "%s: %u is no errno", errno_key, errno_ret);
	r = seccomp_action(name, errno_ret, ret_action, err);
	return r < 0 ? r : 1;
}

static int add_archs(struct build *b, const struct json_ref *root, struct err *err)
{
	_cleanup_strv_ char **names = NULL;
	int r = json_get_strv(root, "architectures", 64, &names, err);

	if (r < 0)
		return r;
	b->archs[b->n_archs++] = seccomp_arch_native();
	for (size_t i = 0; names && names[i]; i++) {
		uint32_t arch;

		r = seccomp_arch(names[i], &arch, err);
		if (r < 0)
			return r;
		r = seccomp_arch_add(b->ctx, arch);
		if (r == -EEXIST)
			continue;
		/* -EDOM: of the other byte order, which this machine can never run */
		if (r == -EDOM)
			continue;
		if (r < 0)
			return err_sysf(err, -r, "seccomp: architecture %s", names[i]);
		if (b->n_archs < ENOSYS_ARCHS_MAX)
			b->archs[b->n_archs++] = arch;
	}
	return 0;
}

static int read_flags(const struct json_ref *root, uint32_t *ret_flags, struct err *err)
{
	_cleanup_strv_ char **names = NULL;
	uint32_t flags = 0, flag;
	int r = json_get_strv(root, "flags", 16, &names, err);

	if (r < 0)
		return r;
	if (r == 0) /* as runc: the mitigation costs much and the kernel's own default is off as
		       well */
		flags = SECCOMP_FILTER_FLAG_SPEC_ALLOW;
	for (size_t i = 0; names && names[i]; i++) {
		r = seccomp_flag(names[i], &flag, err);
		if (r < 0)
			return r;
		flags |= flag;
	}
	/* TSYNC is for processes with threads; here it would only turn an error into a thread id */
	*ret_flags = flags & ~(uint32_t)SECCOMP_FILTER_FLAG_TSYNC;
	return 0;
}

static int read_args(
	const struct json_ref *entry, struct scmp_arg_cmp *args, size_t *ret_n, struct err *err)
{
	struct json_ref array;
	size_t n = 0;
	int r = json_get_array(entry, "args", ARGS_MAX, &array, &n, err);

	if (r < 0)
		return r;
	n = r == 0 ? 0 : n;
	for (size_t i = 0; i < n; i++) {
		_cleanup_free_ char *op = NULL;
		struct json_ref arg;
		uint64_t index = 0, value = 0, second = 0;

		r = json_element_object(&array, i, &arg, err);
		if (r == 0)
			r = json_get_u64(&arg, "index", 0, 5, &index, err);
		if (r >= 0)
			r = json_get_u64(&arg, "value", 0, UINT64_MAX, &value, err);
		if (r >= 0)
			r = json_get_u64(&arg, "valueTwo", 0, UINT64_MAX, &second, err);
		if (r >= 0)
			r = json_get_str(&arg, "op", &op, err);
		if (r == 0)
			return json_errorf(&arg, err, "op: missing");
		if (r < 0)
			return r;
		args[i] = (struct scmp_arg_cmp) {
			.arg = (unsigned)index, .datum_a = value, .datum_b = second};
		r = seccomp_operator(op, &args[i].op, err);
		if (r < 0)
			return r;
	}
	*ret_n = n;
	return 0;
}

static bool one_argument_twice(const struct scmp_arg_cmp *args, size_t n)
{
	unsigned seen = 0;

	for (size_t i = 0; i < n; i++) {
		if (seen & (1U << args[i].arg))
			return true;
		seen |= 1U << args[i].arg;
	}
	return false;
}

static int add_rule(struct build *b, uint32_t action, int nr, const char *name,
	const struct scmp_arg_cmp *args, size_t n, struct err *err)
{
	int r;

	if (++b->rules > CONFINE_SECCOMP_RULES_MAX)
		return err_setf(err, ERR_INVALID, E2BIG, "seccomp: more than %d rules",
			CONFINE_SECCOMP_RULES_MAX);
	r = seccomp_rule_add_array(b->ctx, action, nr, (unsigned)n, args);
	/* the same rule twice in one profile says nothing new */
	if (r < 0 && r != -EEXIST)
		return err_sysf(err, -r, "seccomp: rule for %.64s", name);
	return 0;
}

static void note_highest(struct build *b, const char *name)
{
	for (size_t i = 0; i < b->n_archs; i++) {
		int nr = seccomp_syscall_resolve_name_arch(b->archs[i], name);

		if (nr >= 0 && (uint32_t)nr < 0x40000000U && (uint32_t)nr > b->highest[i])
			b->highest[i] = (uint32_t)nr;
	}
}

/* write is how the descriptor leaves the process that the filter is loaded for (runc has the same
 * limit). */
static int check_notify(
	struct build *b, const struct json_ref *entry, char *const *names, struct err *err)
{
	for (size_t i = 0; names && names[i]; i++) {
		if (str_eq(names[i], "write"))
			return json_errorf(entry, err,
				"SCMP_ACT_NOTIFY: not for write, with which the agent is told");
	}
	b->notifies = true;
	return 0;
}

static int add_entry(struct build *b, const struct json_ref *entry, struct err *err)
{
	_cleanup_strv_ char **names = NULL;
	struct scmp_arg_cmp args[ARGS_MAX];
	uint32_t action = 0;
	size_t n = 0;
	int r = json_get_strv(entry, "names", NAMES_MAX, &names, err);

	if (r >= 0)
		r = read_action(entry, "action", "errnoRet", true, &action, err);
	if (r >= 0)
		r = read_args(entry, args, &n, err);
	if (r >= 0 && action == SCMP_ACT_NOTIFY)
		r = check_notify(b, entry, names, err);
	for (size_t i = 0; r >= 0 && names && names[i]; i++) {
		int nr = seccomp_syscall_resolve_name(names[i]);

		note_highest(b, names[i]);
		/* a name of a newer kernel or another machine; and what happens anyway needs no
		 * rule */
		if (nr == __NR_SCMP_ERROR || action == b->default_action)
			continue;
		if (!one_argument_twice(args, n)) {
			r = add_rule(b, action, nr, names[i], args, n, err);
			continue;
		}
		for (size_t k = 0; r >= 0 && k < n; k++)
			r = add_rule(b, action, nr, names[i], &args[k], 1, err);
	}
	return r < 0 ? r : 0;
}

static int add_entries(struct build *b, const struct json_ref *root, struct err *err)
{
	struct json_ref array;
	size_t n = 0;
	int r = json_get_array(root, "syscalls", ENTRIES_MAX, &array, &n, err);

	if (r <= 0)
		return r;
	for (size_t i = 0; i < n; i++) {
		struct json_ref entry;

		r = json_element_object(&array, i, &entry, err);
		if (r == 0)
			r = add_entry(b, &entry, err);
		if (r < 0)
			return r;
	}
	return 0;
}

/* The kernel's number of an architecture; 0 for one whose syscalls are not numbered from 0 (x32 is
 * x86-64 with a bit). */
static uint32_t audit_arch(uint32_t token)
{
	return token == SCMP_ARCH_X32 ? 0 : token;
}

static bool default_is_refusal(uint32_t action)
{
	uint32_t kind = action & SECCOMP_RET_ACTION_FULL;

	if (kind == SECCOMP_RET_ERRNO)
		return (action & SECCOMP_RET_DATA) != ENOSYS;
	return kind == SECCOMP_RET_KILL_PROCESS || kind == SECCOMP_RET_KILL_THREAD;
}

static size_t enosys_stub(const struct build *b, struct sock_filter *out)
{
	struct enosys_arch archs[ENOSYS_ARCHS_MAX];
	size_t n = 0;

	if (!default_is_refusal(b->default_action))
		return 0;
	for (size_t i = 0; i < b->n_archs; i++) {
		uint32_t arch = audit_arch(b->archs[i]);

		if (arch && b->highest[i] > 0)
			archs[n++] = (struct enosys_arch) {arch, b->highest[i]};
	}
	return seccomp_enosys_stub(archs, n, out);
}

/* libseccomp 2.5 exports to a descriptor only. */
static int export(struct build *b, struct confine_seccomp *s, struct err *err)
{
	_cleanup_close_ int fd = memfd_create("seccomp", MFD_CLOEXEC);
	_cleanup_free_ char *program = NULL;
	struct sock_filter *filter;
	size_t len = 0, stub;
	int r;

	if (fd < 0)
		return err_sysf(err, errno, "memfd");
	r = seccomp_export_bpf(b->ctx, fd);
	if (r < 0)
		return err_sysf(err, -r, "seccomp: compiling the profile");
	if (lseek(fd, 0, SEEK_SET) < 0)
		return err_sysf(err, errno, "memfd");
	r = file_read_fd(fd, "seccomp program", FILTER_MAX, &program, &len, err);
	if (r < 0)
		return r;
	filter = malloc(len + ENOSYS_ARCHS_MAX * ENOSYS_INSNS_PER_ARCH * sizeof(*filter));
	if (!filter)
		return err_sysf(err, ENOMEM, "seccomp program");
	stub = enosys_stub(b, filter);
	if (stub + len / sizeof(*filter) > BPF_MAXINSNS) {
		free(filter);
		return err_setf(err, ERR_INVALID, E2BIG,
			"linux.seccomp: %zu instructions, the kernel takes %d",
			stub + len / sizeof(*filter), BPF_MAXINSNS);
	}
	memcpy(filter + stub, program, len);
	s->filter = filter;
	s->n = stub + len / sizeof(*filter);
	return 0;
}

/* Without an agent every call that is to be notified would wait for ever. */
static int check_listener(const struct build *b, const struct json_ref *root, struct err *err)
{
	bool path = json_has(root, "listenerPath");

	if (!path && b->notifies)
		return json_errorf(root, err, "SCMP_ACT_NOTIFY: needs listenerPath");
	if (!path && json_has(root, "listenerMetadata"))
		return json_errorf(root, err, "listenerMetadata: needs listenerPath");
	return 0;
}

static int build_filter(const struct json_ref *root, struct confine_seccomp *s, struct err *err)
{
	_cleanup_(build_done) struct build b = {0};
	int r = read_action(root, "defaultAction", "defaultErrnoRet", true, &b.default_action, err);

	if (r >= 0 && b.default_action == SCMP_ACT_NOTIFY)
		r = json_errorf(root, err,
			"defaultAction: SCMP_ACT_NOTIFY: not for every call, the agent is told "
			"with "
			"some of them");
	if (r < 0)
		return r;
	b.ctx = seccomp_init(b.default_action);
	if (!b.ctx)
		return err_sysf(err, ENOMEM, "seccomp");
	r = add_archs(&b, root, err);
	if (r == 0)
		r = read_flags(root, &s->flags, err);
	if (r == 0)
		r = add_entries(&b, root, err);
	if (r == 0)
		r = check_listener(&b, root, err);
	if (b.notifies)
		s->flags |= SECCOMP_FILTER_FLAG_NEW_LISTENER;
	return r < 0 ? r : export(&b, s, err);
}

int confine_seccomp_compile(
	const char *json, size_t len, struct confine_seccomp *ret_s, struct err *err)
{
	_cleanup_json_ struct json_ref root = {0};
	struct confine_seccomp s = CONFINE_SECCOMP_INIT;
	int r;

	if (len > CONFINE_SECCOMP_JSON_MAX)
		return err_setf(err, ERR_INVALID, EFBIG, "linux.seccomp: %zu bytes, at most %d",
			len, CONFINE_SECCOMP_JSON_MAX);
	r = json_parse(json, len, "linux.seccomp", &root, err);
	if (r < 0)
		return r;
	r = build_filter(&root, &s, err);
	if (r < 0) {
		confine_seccomp_done(&s);
		return r;
	}
	*ret_s = s;
	return 0;
}

int confine_seccomp_load(const struct confine_seccomp *s, int *ret_listener, struct err *err)
{
	struct sock_fprog program = {.len = (unsigned short)s->n, .filter = s->filter};
	const uint32_t listener = s->flags & SECCOMP_FILTER_FLAG_NEW_LISTENER;
	long r;

	*ret_listener = -EBADF;
	if (!s->filter)
		return 0;
	if (s->n > UINT16_MAX)
		return err_setf(err, ERR_INVALID, E2BIG, "seccomp program: %zu instructions", s->n);
	r = syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, s->flags, &program);
	/* EINVAL: a flag that this kernel does not have; none of them changes what is allowed */
	if (r < 0 && errno == EINVAL && s->flags != listener)
		r = syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, listener, &program);
	if (r < 0)
		return err_sysf(err, errno, "loading the seccomp filter");
	if (listener)
		*ret_listener = (int)r;
	return 0;
}
