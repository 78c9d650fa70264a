/* The same on this machine's own hierarchies: needs root and a writable cgroup file system. */
#include <errno.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/sysmacros.h>
#include <time.h>
#include "base/clock.h"
#include "base/proc.h"
#include "cgroup/devices.h"
#include "cgroup/kill.h"
#include "cgroup/limits.h"
#include "cgroup/tree.h"
#include "fake.h"

static struct cgroup_host host = CGROUP_HOST_INIT;
static char name[64];

static void setup(void)
{
	struct err err = ERR_INIT;

	if (geteuid() != 0)
		cr_skip("needs root");
	cr_assert_eq(cgroup_host_detect(&host, &err), 0, "%s", err.text);
	if (host.mode == CGROUP_MODE_NONE)
		cr_skip("no cgroup hierarchy is mounted");
	for (size_t i = 0; i < host.n; i++)
		if (access(host.hierarchies[i].root, W_OK) < 0)
			cr_skip("a cgroup hierarchy is read-only");
	(void)snprintf(name, sizeof(name), "/reaper-unit-%d/x", getpid());
}

/* What a test made cgroup2's root hand down goes back; it is the machine's, not ours. */
static void take_back_hugetlb(void)
{
	if (host.n == 1 && host.hierarchies[0].v2 && host.mode == CGROUP_MODE_HYBRID)
		(void)cgroup_file_put(
			host.hierarchies[0].root, "cgroup.subtree_control", "-hugetlb");
}

static void teardown(void)
{
	if (geteuid() == 0)
		take_back_hugetlb();
	cgroup_host_done(&host);
}

TestSuite(cgroup_real, .init = setup, .fini = teardown);

static uint64_t soon(void)
{
	return clock_boot_usec() + 60 * USEC_PER_SEC;
}

/* Plans and makes the test's cgroup; with `without_v2` as on a host that has v1 only. */
static struct cgroup make(bool without_v2)
{
	struct cgroup_path path = CGROUP_PATH_INIT;
	struct cgroup cg = CGROUP_INIT;
	struct err err = ERR_INIT;

	if (without_v2 && host.hierarchies[host.n - 1].v2) {
		if (host.n == 1)
			cr_skip("no v1 hierarchy here");
		free(host.hierarchies[--host.n].root);
	}
	cr_assert_eq(cgroup_path_parse(name, "ns", "id", &path, &err), 0, "%s", err.text);
	cr_assert_eq(cgroup_plan(&host, &path, &cg, &err), 0, "%s", err.text);
	cr_assert_eq(cgroup_create(&cg, NULL, &err), 0, "%s", err.text);
	cgroup_path_done(&path);
	return cg;
}

/* Ends the test's cgroup; nothing of it may be left, parents included. */
static void end(struct cgroup *cg)
{
	struct err err = ERR_INIT;

	cr_assert_eq(cgroup_kill_and_remove(cg, soon(), &err), 0, "%s", err.text);
	for (size_t i = 0; i < cg->n; i++) {
		char *slash = strrchr(cg->dirs[i].path, '/');

		cr_assert_neq(access(cg->dirs[i].path, F_OK), 0, "%s", cg->dirs[i].path);
		*slash = '\0';
		cr_assert_neq(access(cg->dirs[i].path, F_OK), 0, "%s", cg->dirs[i].path);
		*slash = '/';
	}
	cgroup_done(cg);
}

struct child {
	const struct cgroup *cg;
	int ready;          /* written to when it is in place */
	void (*then)(void); /* what it does in there, then it waits to be killed */
};

static int child_main(void *arg)
{
	const struct child *c = arg;
	char byte = 0;

	/* a failed assertion must not leave it behind: Criterion would wait for its descriptors */
	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (cgroup_attach_self(c->cg, false, NULL) < 0)
		return 1;
	if (c->then)
		c->then();
	(void)!write(c->ready, &byte, 1);
	for (;;)
		(void)pause();
}

/* A child that is in the cgroup when this returns. */
static struct proc spawn(const struct cgroup *cg, void (*then)(void))
{
	int pipe_fds[2];
	struct child c = {.cg = cg, .then = then};
	struct proc_spec spec = PROC_SPEC_INIT;
	struct proc p = PROC_INIT;
	struct err err = ERR_INIT;
	char byte;

	cr_assert_eq(pipe2(pipe_fds, O_CLOEXEC), 0);
	c.ready = pipe_fds[1];
	spec.run = child_main;
	spec.run_arg = &c;
	cr_assert_eq(proc_spawn(&spec, &p, &err), 0, "%s", err.text);
	(void)close(pipe_fds[1]);
	cr_assert_eq(read(pipe_fds[0], &byte, 1), 1, "the child did not get into its cgroup");
	(void)close(pipe_fds[0]);
	return p;
}

/* It was killed, and by nothing else. */
static void expect_killed(struct proc *p)
{
	uint32_t status = 0;

	cr_assert_eq(proc_wait(p, &status), 0);
	cr_assert_eq(status, 128 + SIGKILL, "status %u", status);
	proc_done(p);
}

Test(cgroup_real, a_child_is_born_listed_killed_and_nothing_is_left)
{
	struct cgroup cg = make(false);
	struct proc p = spawn(&cg, NULL);
	pid_t *pids = NULL;
	size_t n = 0;

	cr_assert_eq(cgroup_is_empty(&cg, NULL), 0);
	cr_assert_eq(cgroup_pids(&cg, &pids, &n, NULL), 0);
	cr_assert_eq(n, 1);
	cr_assert_eq(pids[0], p.pid);
	free(pids);
	cr_assert_eq(cgroup_remove(&cg, NULL), -EBUSY);
	end(&cg);
	expect_killed(&p);
}

Test(cgroup_real, an_empty_one_is_empty_and_removing_twice_is_fine)
{
	struct cgroup cg = make(false);
	struct proc *members = NULL;
	pid_t *pids = NULL;
	size_t n = 1;

	cr_assert_eq(cgroup_is_empty(&cg, NULL), 1);
	cr_assert_eq(cgroup_pids(&cg, &pids, &n, NULL), 0);
	cr_assert_eq(n, 0);
	cr_assert_eq(cgroup_signal_all(&cg, SIGTERM, NULL), -ESRCH);
	cr_assert_eq(cgroup_kill_round(&cg, &members, &n, NULL), 0);
	cr_assert_eq(n, 0);
	cr_assert_null(members);
	cr_assert_eq(cgroup_remove(&cg, NULL), 0);
	cr_assert_eq(cgroup_remove(&cg, NULL), 0);
	cr_assert_eq(cgroup_is_empty(&cg, NULL), 1);
	end(&cg);
}

/* Children that replace themselves all the time: each forks its successor and goes. */
static void fork_away(void)
{
	for (int i = 0; i < 6; i++) {
		pid_t pid = fork();

		if (pid != 0)
			continue;
		for (;;) {
			pid = fork();
			if (pid > 0)
				_exit(0);
			if (pid < 0)
				(void)poll(NULL, 0, 1);
		}
	}
}

static void bomb(bool without_v2)
{
	struct cgroup cg = make(without_v2);
	struct cgroup_limits l = CGROUP_LIMITS_INIT;
	struct proc p;

	cgroup_limits_set(&l, CGROUP_PIDS_LIMIT, 64);
	cr_assert_eq(cgroup_limits_apply(&cg, &l, NULL, NULL), 0);
	p = spawn(&cg, fork_away);
	end(&cg);
	expect_killed(&p);
}

Test(cgroup_real, children_that_fork_away_do_not_escape_on_v1)
{
	bomb(true);
}

Test(cgroup_real, children_that_fork_away_do_not_escape)
{
	bomb(false);
}

Test(cgroup_real, a_paused_one_can_be_killed_on_v1)
{
	struct cgroup cg = make(true);
	struct proc p;
	size_t i;

	if (!cgroup_has(&cg, CGROUP_FREEZER, &i)) {
		end(&cg);
		cr_skip("no freezer hierarchy");
	}
	p = spawn(&cg, NULL);
	fake_file(cg.dirs[i].path, "freezer.state", "FROZEN");
	end(&cg);
	expect_killed(&p);
}

Test(cgroup_real, a_level_that_the_workload_froze_itself_can_be_killed)
{
	struct cgroup cg = make(true), inner = CGROUP_INIT;
	_cleanup_free_ char *below = NULL;
	struct proc p;
	size_t i;

	if (!cgroup_has(&cg, CGROUP_FREEZER, &i)) {
		end(&cg);
		cr_skip("no freezer hierarchy");
	}
	cr_assert_eq(str_printf(&below, "%s/below", cg.dirs[i].path), 0);
	cr_assert_eq(mkdir(below, 0755), 0);
	inner = fake_cgroup(below, 0, false);
	p = spawn(&inner, NULL);
	fake_file(below, "freezer.state", "FROZEN");
	end(&cg);
	expect_killed(&p);
}

Test(cgroup_real, a_round_returns_members_that_can_be_waited_for)
{
	struct cgroup cg = make(false);
	struct proc p = spawn(&cg, NULL), *members = NULL;
	struct pollfd pfd = {.events = POLLIN};
	size_t n = 0;

	cr_assert_eq(cgroup_kill_round(&cg, &members, &n, NULL), 0);
	cr_assert_eq(n, 1);
	cr_assert_eq(members[0].pid, p.pid);
	pfd.fd = members[0].pidfd;
	cr_assert_eq(poll(&pfd, 1, -1), 1);
	members = cgroup_members_free(members, n);
	expect_killed(&p);
	cr_assert_eq(cgroup_kill_round(&cg, &members, &n, NULL), 0);
	cr_assert_eq(n, 0);
	end(&cg);
}

Test(cgroup_real, a_signal_reaches_everybody)
{
	struct cgroup cg = make(false);
	struct proc a = spawn(&cg, NULL), b = spawn(&cg, NULL);
	uint32_t status = 0;

	cr_assert_eq(cgroup_signal_all(&cg, SIGTERM, NULL), 0);
	cr_assert_eq(proc_wait(&a, &status), 0);
	cr_assert_eq(status, 128 + SIGTERM);
	cr_assert_eq(proc_wait(&b, &status), 0);
	cr_assert_eq(status, 128 + SIGTERM);
	proc_done(&a);
	proc_done(&b);
	end(&cg);
}

Test(cgroup_real, a_cgroup_with_processes_is_not_taken_over)
{
	struct cgroup_path path = CGROUP_PATH_INIT;
	struct cgroup cg = make(false), second = CGROUP_INIT;
	struct proc p = spawn(&cg, NULL);
	struct err err = ERR_INIT;

	cr_assert_eq(cgroup_path_parse(name, "ns", "id", &path, NULL), 0);
	cr_assert_eq(cgroup_plan(&host, &path, &second, NULL), 0);
	cr_assert_eq(cgroup_create(&second, NULL, &err), -EEXIST);
	cr_assert_not_null(strstr(err.text, "processes are in it"), "%s", err.text);
	cgroup_done(&second);
	cgroup_path_done(&path);
	cr_assert_eq(cgroup_is_empty(&cg, NULL), 0);
	end(&cg);
	expect_killed(&p);
}

Test(cgroup_real, what_a_record_says_is_enough_to_end_it)
{
	struct cgroup cg = make(false), again = CGROUP_INIT;
	_cleanup_strv_ char **dirs = NULL;
	struct proc p = spawn(&cg, NULL);
	struct err err = ERR_INIT;

	cr_assert_eq(cgroup_to_strv(&cg, &dirs), 0);
	cr_assert_eq(strv_len(dirs), cg.n);
	cr_assert_eq(access(dirs[0], F_OK), 0, "%s is no valid path", dirs[0]);
	cr_assert_eq(cgroup_from_strv(dirs, &again, &err), 0, "%s", err.text);
	cr_assert_eq(again.n, cg.n);
	for (size_t i = 0; i < cg.n; i++) {
		cr_assert_str_eq(again.dirs[i].path, cg.dirs[i].path);
		cr_assert_eq(again.dirs[i].keep, cg.dirs[i].keep);
		cr_assert_eq(again.dirs[i].v2, cg.dirs[i].v2);
		cr_assert_eq(again.dirs[i].controllers, cg.dirs[i].controllers);
	}
	end(&again);
	expect_killed(&p);
	/* gone: still no error */
	cr_assert_eq(cgroup_from_strv(dirs, &again, &err), 0, "%s", err.text);
	cr_assert_eq(cgroup_kill_and_remove(&again, soon(), &err), 0, "%s", err.text);
	cgroup_done(&again);
	cgroup_done(&cg);
}

/* By the table of mounts, and by the directories themselves for who does not know it. */
Test(cgroup_real, what_a_hierarchy_has_is_found_both_ways)
{
	struct cgroup cg = make(false), by_table = CGROUP_INIT, by_files = CGROUP_INIT;
	const struct cgroup_host nothing = CGROUP_HOST_INIT;
	_cleanup_strv_ char **dirs = NULL;
	struct err err = ERR_INIT;

	cr_assert_eq(cgroup_to_strv(&cg, &dirs), 0);
	cr_assert_eq(cgroup_from_strv_on(&host, dirs, &by_table, &err), 0, "%s", err.text);
	cr_assert_eq(cgroup_from_strv_on(&nothing, dirs, &by_files, &err), 0, "%s", err.text);
	for (size_t i = 0; i < cg.n; i++) {
		cr_expect_eq(by_table.dirs[i].v2, cg.dirs[i].v2);
		cr_expect_eq(by_table.dirs[i].controllers, cg.dirs[i].controllers);
		cr_expect_eq(by_files.dirs[i].v2, cg.dirs[i].v2);
		cr_expect_eq(by_files.dirs[i].controllers, cg.dirs[i].controllers);
	}
	cgroup_done(&by_table);
	cgroup_done(&by_files);
	end(&cg);
}

Test(cgroup_real, a_damaged_record_leads_nowhere_else)
{
	static const char *const bad[] = {"/tmp", "/tmp/./x", "tmp", "", "/",
		"/sys/fs/cgroup/../../tmp", "/sys/fs/cgroup/memory/./../../x", "/./x"};

	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		char *dirs[] = {(char *)bad[i], NULL};
		struct cgroup cg = CGROUP_INIT;
		struct err err = ERR_INIT;

		cr_assert_eq(cgroup_from_strv(dirs, &cg, &err), -EINVAL, "%s", bad[i]);
		cr_assert_eq(cg.n, 0);
	}
}

Test(cgroup_real, the_default_chain_goes_when_it_is_empty)
{
	struct cgroup_path path = CGROUP_PATH_INIT;
	struct cgroup a = CGROUP_INIT, b = CGROUP_INIT;
	char ns[32];

	(void)snprintf(ns, sizeof(ns), "unit%d", getpid());
	cr_assert_eq(cgroup_path_parse("", ns, "a", &path, NULL), 0);
	cr_assert_eq(cgroup_plan(&host, &path, &a, NULL), 0);
	cgroup_path_done(&path);
	cr_assert_eq(cgroup_path_parse("", ns, "b", &path, NULL), 0);
	cr_assert_eq(cgroup_create(&a, NULL, NULL), 0);
	cr_assert_eq(cgroup_plan(&host, &path, &b, NULL), 0);
	cgroup_path_done(&path);
	cr_assert_eq(cgroup_create(&b, NULL, NULL), 0);
	cr_assert_eq(cgroup_remove(&a, NULL), 0);
	cr_assert_eq(access(b.dirs[0].path, F_OK), 0);
	cr_assert_eq(cgroup_remove(&b, NULL), 0);
	*strrchr(b.dirs[0].path, '/') = '\0';
	cr_assert_neq(access(b.dirs[0].path, F_OK), 0, "%s", b.dirs[0].path);
	cgroup_done(&a);
	cgroup_done(&b);
}

Test(cgroup_real, pids_memory_and_cpu_limits_hold)
{
	struct cgroup cg = make(false);
	struct cgroup_limits l = CGROUP_LIMITS_INIT;
	_cleanup_strv_ char **notes = NULL;
	struct err err = ERR_INIT;
	size_t i;

	cgroup_limits_set(&l, CGROUP_PIDS_LIMIT, 7);
	cgroup_limits_set(&l, CGROUP_MEMORY_LIMIT, 64 << 20);
	cgroup_limits_set(&l, CGROUP_CPU_SHARES, 512);
	cgroup_limits_set(&l, CGROUP_CPU_QUOTA, 20000);
	cgroup_limits_set(&l, CGROUP_CPU_PERIOD, 50000);
	cr_assert_eq(cgroup_limits_apply(&cg, &l, &notes, &err), 0, "%s", err.text);
	if (cgroup_has(&cg, CGROUP_PIDS, &i))
		fake_expect(cg.dirs[i].path, "pids.max", "7");
	if (cgroup_has(&cg, CGROUP_MEMORY, &i))
		fake_expect(cg.dirs[i].path, cg.dirs[i].v2 ? "memory.max" : "memory.limit_in_bytes",
			"67108864");
	if (cgroup_has(&cg, CGROUP_CPU, &i) && !cg.dirs[i].v2) {
		fake_expect(cg.dirs[i].path, "cpu.shares", "512");
		fake_expect(cg.dirs[i].path, "cpu.cfs_quota_us", "20000");
		fake_expect(cg.dirs[i].path, "cpu.cfs_period_us", "50000");
	}
	/* both ways past each other: the kernel refuses one order of each pair */
	cgroup_limits_set(&l, CGROUP_MEMORY_LIMIT, 32 << 20);
	cgroup_limits_set(&l, CGROUP_MEMORY_SWAP, 32 << 20);
	cr_assert_eq(cgroup_limits_apply(&cg, &l, NULL, &err), 0, "%s", err.text);
	cgroup_limits_set(&l, CGROUP_MEMORY_LIMIT, 128 << 20);
	cgroup_limits_set(&l, CGROUP_MEMORY_SWAP, 128 << 20);
	cr_assert_eq(cgroup_limits_apply(&cg, &l, NULL, &err), 0, "%s", err.text);
	end(&cg);
}

static void open_null_and_full(void)
{
	if (open("/dev/null", O_RDWR | O_CLOEXEC) < 0)
		_exit(10);
	if (open("/dev/full", O_RDWR | O_CLOEXEC) >= 0 || errno != EPERM)
		_exit(11);
	if (open("/dev/zero", O_RDONLY | O_CLOEXEC) < 0)
		_exit(12);
	if (open("/dev/zero", O_RDWR | O_CLOEXEC) >= 0 || errno != EPERM)
		_exit(13);
	if (mknod("/tmp/reaper-unit-node", S_IFCHR | 0600, makedev(1, 7)) == 0)
		_exit(14);
}

static void devices_hold(struct cgroup *cg)
{
	static const struct cgroup_device_rule rules[] = {
		{false, 'a', CGROUP_DEVICE_ANY, CGROUP_DEVICE_ANY, 7},
		{true, 'c', 1, 3, 7},
		{true, 'c', 1, 5, CGROUP_DEVICE_READ},
		{true, 'c', 1, 7, 7},
		{false, 'c', 1, 7, 7},
	};
	struct err err = ERR_INIT;
	struct proc p;
	int r;

	/* twice: the second time in place of the first */
	for (int i = 0; i < 2; i++) {
		r = cgroup_devices_apply(cg, rules, ARRAY_LEN(rules), &err);
		if (r == -EOPNOTSUPP) {
			end(cg);
			cr_skip("device rules cannot be enforced here");
		}
		cr_assert_eq(r, 0, "%s", err.text);
	}
	p = spawn(cg, open_null_and_full);
	end(cg);
	expect_killed(&p);
}

Test(cgroup_real, device_rules_hold)
{
	struct cgroup cg = make(false);

	devices_hold(&cg);
}

/* As on a host that has cgroup2 only. */
static void only_v2(void)
{
	while (host.n > 0 && !host.hierarchies[0].v2) { /* only cgroup2 */
		free(host.hierarchies[0].root);
		host.n--;
		memmove(&host.hierarchies[0], &host.hierarchies[1],
			host.n * sizeof(host.hierarchies[0]));
	}
	if (host.n == 0)
		cr_skip("no cgroup2 here");
}

/* One test and not two: they would take the controller away from each other at the root. */
Test(cgroup_real, v2_hands_controllers_down_and_device_rules_hold_through_bpf)
{
	struct cgroup cg = CGROUP_INIT;
	uint32_t root;

	only_v2();
	root = host.hierarchies[0].controllers;
	cg = make(false);
	if (root & CGROUP_BIT(CGROUP_HUGETLB))
		cr_assert(cgroup_has(&cg, CGROUP_HUGETLB, NULL));
	if (host.mode == CGROUP_MODE_V2 && (root & CGROUP_BIT(CGROUP_PIDS)))
		cr_assert(cgroup_has(&cg, CGROUP_PIDS, NULL));
	devices_hold(&cg);
}

Test(cgroup_real, a_child_can_be_born_in_the_v2_directory)
{
	struct cgroup cg = make(false);
	_cleanup_close_ int fd = cgroup_open_v2(&cg);
	struct proc_spec spec = PROC_SPEC_INIT;
	struct cgroup v2 = CGROUP_INIT;
	struct proc p = PROC_INIT;
	struct child c = {.cg = &v2, .ready = -1}; /* attaches to nothing by itself */
	struct err err = ERR_INIT;

	if (fd < 0) {
		end(&cg);
		cr_skip("no cgroup2 here");
	}
	spec.run = child_main;
	spec.run_arg = &c;
	spec.cgroup_fd = fd;
	cr_assert_eq(proc_spawn(&spec, &p, &err), 0, "%s", err.text);
	cr_assert_eq(cgroup_is_empty(&cg, NULL), 0);
	end(&cg);
	expect_killed(&p);
}

/* Plans and makes one, with the parent that is in the path. */
static void make_at(const char *cgroups_path, struct cgroup *cg)
{
	struct cgroup_path path = CGROUP_PATH_INIT;
	struct err err = ERR_INIT;

	cr_assert_eq(cgroup_path_parse(cgroups_path, "ns", "id", &path, &err), 0, "%s", err.text);
	cr_assert_eq(cgroup_plan(&host, &path, cg, &err), 0, "%s", err.text);
	cr_assert_eq(cgroup_create(cg, NULL, &err), 0, "%s", err.text);
	cgroup_path_done(&path);
}

Test(cgroup_real, a_parent_that_two_share_goes_with_the_last_whoever_made_it)
{
	struct cgroup a = CGROUP_INIT, b = CGROUP_INIT;
	char first[64], second[64], parent[PATH_MAX];

	(void)snprintf(first, sizeof(first), "/reaper-unit-%d/pod/a", getpid());
	(void)snprintf(second, sizeof(second), "/reaper-unit-%d/pod/b", getpid());
	make_at(first, &a);
	make_at(second, &b);
	cr_assert_eq(cgroup_remove(&a, NULL), 0);
	cr_assert_eq(access(b.dirs[0].path, F_OK), 0);
	cr_assert_eq(cgroup_remove(&b, NULL), 0);
	for (size_t i = 0; i < b.n; i++) {
		(void)snprintf(parent, sizeof(parent), "%s", b.dirs[i].path);
		*strrchr(parent, '/') = '\0';
		*strrchr(parent, '/') = '\0';
		cr_assert_neq(access(parent, F_OK), 0, "%s", parent);
	}
	cgroup_done(&a);
	cgroup_done(&b);
}

Test(cgroup_real, a_parent_of_somebody_elses_stays)
{
	struct cgroup cg = CGROUP_INIT;
	char path[64], parent[PATH_MAX];

	(void)snprintf(path, sizeof(path), "/reaper-unit-%d/pod", getpid());
	(void)snprintf(
		parent, sizeof(parent), "%s/reaper-unit-%d", host.hierarchies[0].root, getpid());
	cr_assert_eq(mkdir(parent, 0755), 0);
	make_at(path, &cg);
	cr_assert_eq(cgroup_remove(&cg, NULL), 0);
	cr_assert_eq(rmdir(parent), 0);
	cgroup_done(&cg);
}
