#include <grp.h>
#include <sys/resource.h>
#include "base/file.h"
#include "child.h"
#include "confine/creds.h"
#include "confine/lsm.h"
#include "confine/rlimits.h"

static int lower_nofile(void *arg)
{
	const struct confine_rlimit limits[] = {{RLIMIT_NOFILE, 17, 18}, {RLIMIT_CORE, 0, 0}};
	struct rlimit got;

	(void)arg;
	if (confine_rlimits_apply(limits, 2, NULL) < 0 || getrlimit(RLIMIT_NOFILE, &got) < 0)
		return 1;
	return got.rlim_cur == 17 && got.rlim_max == 18 ? 0 : 2;
}

static int raise_beyond(void *arg)
{
	const struct confine_rlimit down = {RLIMIT_CORE, 5, 5}, up = {RLIMIT_CORE, 5, UINT64_MAX};
	const struct confine_creds nobody = {.uid = 1234, .gid = 1234};
	struct err err = ERR_INIT;

	(void)arg;
	if (confine_rlimits_apply(&down, 1, NULL) < 0)
		return 1;
	if (geteuid() == 0 && confine_creds_apply(&nobody, NULL) < 0)
		return 2;
	(void)prctl(PR_SET_KEEPCAPS, 0, 0, 0, 0);
	if (confine_rlimits_apply(&up, 1, &err) != -EPERM)
		return 3;
	return err.kind == ERR_PERMISSION && strstr(err.text, "RLIMIT_CORE") ? 0 : 4;
}

Test(confine_rlimits, limits_are_set_and_a_refusal_names_the_limit)
{
	const struct confine_rlimit upside_down = {RLIMIT_CORE, 6, 5};
	struct err err = ERR_INIT;

	cr_assert_eq(in_child(lower_nofile, NULL), 0);
	cr_assert_eq(in_child(raise_beyond, NULL), 0);
	cr_assert_eq(confine_rlimits_apply(&upside_down, 1, &err), -EINVAL);
	cr_assert_not_null(strstr(err.text, "RLIMIT_CORE"));
}

static int raise_then_lower_oom(void *arg)
{
	_cleanup_close_ int proc = confine_open_proc(NULL);
	_cleanup_free_ char *text = NULL;
	const struct confine_creds nobody = {.uid = 1234, .gid = 1234};
	struct err err = ERR_INIT;
	bool refused = true;

	(void)arg;
	if (proc < 0 || confine_oom_score_adj(proc, 700, &refused, NULL) < 0 || refused)
		return 1;
	if (file_read_at(proc, "self/oom_score_adj", 64, &text, NULL, NULL) < 0 ||
		!str_eq(text, "700\n"))
		return 2;
	if (confine_oom_score_adj(proc, 5000, &refused, NULL) != -EINVAL)
		return 3;
	if (geteuid() != 0)
		return 0;
	/* after the uid change the file belongs to root: refused, and no error */
	if (confine_creds_apply(&nobody, NULL) < 0 || prctl(PR_SET_KEEPCAPS, 0, 0, 0, 0) < 0)
		return 4;
	if (confine_oom_score_adj(proc, -900, &refused, &err) < 0)
		return 5;
	return refused && err.kind == ERR_NONE ? 0 : 6;
}

Test(confine_creds, an_oom_score_that_cannot_be_lowered_is_no_error)
{
	cr_assert_eq(in_child(raise_then_lower_oom, NULL), 0);
}

static int without_groups(void *arg)
{
	const gid_t inherited[] = {0, 6, 33};
	const struct confine_creds plain = {.uid = 1000, .gid = 1000};

	(void)arg;
	if (setgroups(3, inherited) < 0 || confine_creds_apply(&plain, NULL) < 0)
		return 1;
	return getgroups(0, NULL) == 0 ? 0 : 2;
}

Test(confine_creds, an_empty_list_of_groups_is_set_too)
{
	if (geteuid() != 0)
		cr_skip_test("needs root");
	cr_assert_eq(in_child(without_groups, NULL), 0);
}

static int set_no_new_privs(void *arg)
{
	(void)arg;
	if (confine_no_new_privs(NULL) < 0)
		return 1;
	return prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1 ? 0 : 2;
}

Test(confine_creds, no_new_privs_is_set)
{
	cr_assert_eq(in_child(set_no_new_privs, NULL), 0);
}

Test(confine_lsm, no_label_changes_nothing)
{
	_cleanup_close_ int proc = confine_open_proc(NULL);
	struct confine_lsm lsm = {false, false};
	struct err err = ERR_INIT;

	cr_assert_geq(proc, 0);
	confine_lsm_detect(&lsm);
	cr_assert_eq(confine_apparmor_on_exec(proc, NULL, &err), 0);
	cr_assert_eq(confine_selinux_on_exec(proc, "", &err), 0);
	if (!lsm.apparmor)
		cr_assert_eq(confine_apparmor_on_exec(proc, "unconfined", &err), 0, "%s", err.text);
}

/* Applies a label in a directory that looks like /proc. `target`: what its file leads to; NULL: a
 * plain file. */
static int label_in(const char *dir, const char *target, struct err *err)
{
	_cleanup_close_ int proc = -EBADF;
	char path[128];

	cr_assert_eq(mkdir(dir, 0700), 0);
	proc = open(dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
	cr_assert_geq(proc, 0);
	cr_assert_eq(mkdirat(proc, "self", 0700), 0);
	cr_assert_eq(mkdirat(proc, "self/attr", 0700), 0);
	(void)snprintf(path, sizeof(path), "%s/self/attr/exec", dir);
	if (target)
		cr_assert_eq(symlink(target, path), 0);
	else
		cr_assert_geq(mknod(path, S_IFREG | 0600, 0), 0);
	return confine_selinux_on_exec(proc, "system_u:system_r:container_t:s0:c1,c2", err);
}

static void remove_label_dir(const char *dir)
{
	static const char *const parts[] = {"/self/attr/exec", "/self/attr", "/self", ""};
	char path[128];

	for (size_t i = 0; i < ARRAY_LEN(parts); i++) {
		(void)snprintf(path, sizeof(path), "%s%s", dir, parts[i]);
		(void)remove(path);
	}
}

Test(confine_lsm, a_selinux_label_is_for_the_next_exec)
{
	_cleanup_free_ char *text = NULL;
	struct err err = ERR_INIT;
	char dir[64], path[128];

	(void)snprintf(dir, sizeof(dir), "/tmp/reaper-label-%d", (int)getpid());
	cr_assert_eq(label_in(dir, NULL, &err), 0, "%s", err.text);
	(void)snprintf(path, sizeof(path), "%s/self/attr/exec", dir);
	cr_assert_eq(file_read_at(AT_FDCWD, path, 256, &text, NULL, NULL), 0);
	cr_assert_str_eq(text, "system_u:system_r:container_t:s0:c1,c2");
	remove_label_dir(dir);
}

Test(confine_lsm, a_selinux_label_that_is_refused_is_named)
{
	struct err err = ERR_INIT;
	char dir[64];

	(void)snprintf(dir, sizeof(dir), "/tmp/reaper-label-%d", (int)getpid());
	cr_assert_lt(label_in(dir, "/dev/full", &err), 0);
	cr_assert_not_null(strstr(err.text, "SELinux label system_u:system_r:container_t:s0:c1,c2: "
					    "the kernel refuses it"),
		"%s", err.text);
	remove_label_dir(dir);
}
