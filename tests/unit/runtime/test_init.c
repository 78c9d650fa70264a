/* Real containers, in a mount namespace of the test's own with a private /run: needs root. */
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>
#include "base/macro.h"
#include "base/str.h"
#include "unit/runtime/bundle.h"

Test(runtime_init, the_exit_status_is_that_of_the_command)
{
	struct bundle b = {.dir = BUNDLE, .args = "\"/bin/sh\",\"-c\",\"exit 7\""};
	struct run r;

	own_host();
	cr_expect_eq(run_all(&b, &r), 7U, "%s", r.err.text);
	cr_expect(r.ready);
	cr_expect_str_empty(r.text);
}

static void refused(struct bundle b, enum err_kind kind, uint32_t status, const char *text)
{
	struct run r;

	b.dir = BUNDLE;
	if (!b.args)
		b.args = "\"/bin/true\"";
	cr_expect_eq(run_all(&b, &r), status, "%u: %s", r.status, r.err.text);
	cr_expect_not(r.ready);
	cr_expect_eq(r.err.kind, (uint32_t)kind, "%s: %s", err_kind_name(r.err.kind), r.err.text);
	cr_expect(strstr(r.err.text, text), "%s", r.err.text);
}

Test(runtime_init, a_command_that_is_not_there_is_an_error_of_create_with_the_path)
{
	own_host();
	refused((struct bundle) {.args = "\"no-such-daemon\""}, ERR_NOT_FOUND, 127,
		"no-such-daemon: not found; searched /usr/sbin:/usr/bin:/sbin:/bin");
	refused((struct bundle) {.args = "\"/usr/bin/no-such\""}, ERR_NOT_FOUND, 127,
		"/usr/bin/no-such: not found");
	refused((struct bundle) {.args = "\"/etc/passwd\""}, ERR_PERMISSION, 126,
		"/etc/passwd: is not executable");
	refused((struct bundle) {.args = "\"/usr\""}, ERR_PERMISSION, 126, "/usr: is a directory");
	refused((struct bundle) {.args = "\"/proc/self/exe\""}, ERR_INVALID, 126, "magic link");
}

Test(runtime_init, nothing_is_run_when_the_shim_goes_away_before_the_start)
{
	struct bundle b = {.dir = BUNDLE, .args = "\"/bin/echo\",\"ran\""};
	struct run r;

	own_host();
	bundle_write(&b);
	run_create(&b, &r);
	cr_expect(r.ready, "%s", r.err.text);
	run_finish(&r); /* closes the control socket */
	cr_expect_eq(r.status, 0U);
	cr_expect_str_empty(r.text);
}

Test(runtime_init, the_next_container_sees_what_one_wrote_and_the_host_does_not)
{
	struct run r;

	own_host();
	shell(&r, (struct bundle) {0}, "echo x > /etc/reaper-unit-file; stat -c %a /");
	cr_expect_str_eq(r.text, "755\n");
	cr_expect_eq(access("/etc/reaper-unit-file", F_OK), -1);
	cr_expect_str_eq(shell(&r, (struct bundle) {0}, "cat /etc/reaper-unit-file"), "x\n");
}

Test(runtime_init, proc_dev_sys_and_run_are_private)
{
	struct run r;

	own_host();
	cr_expect_str_eq(
		shell(&r, (struct bundle) {0}, "echo $$; set -- /proc/[0-9]*; echo $#"), "1\n1\n");
	cr_expect_str_eq(shell(&r, (struct bundle) {0}, "cd /dev; echo *"),
		"core fd full mqueue null ptmx pts random shm stderr stdin stdout tty "
		"urandom zero\n");
	cr_expect_str_eq(shell(&r, (struct bundle) {0},
				 "echo a > /dev/null && head -c 2 /dev/zero | wc -c; ls /run"),
		"2\n");
	cr_expect_str_eq(
		shell(&r, (struct bundle) {0}, "ls /sys/class/net; ls /sys/firmware"), "lo\n");
	cr_expect_str_eq(shell(&r, (struct bundle) {0},
				 "(echo 1 > /proc/sys/kernel/panic) 2>&1 | grep -c 'Read-only'; "
				 "mkdir /sys/x 2>&1 | grep -c 'Read-only'; wc -c < /proc/keys"),
		"1\n1\n0\n");
}

/* The rules of the spec cannot be enforced in a container without cgroups. */
Test(runtime_init, without_a_device_controller_made_nodes_are_dead)
{
	struct run r;

	own_host();
	cr_expect_str_eq(shell(&r, (struct bundle) {0},
				 "for d in /dev /tmp /run; do mknod $d/mem c 1 1 && "
				 "dd if=$d/mem of=/dev/null bs=1 count=1 2>&1 | grep -c "
				 "'Permission denied'; done"),
		"1\n1\n1\n");
}

Test(runtime_init, nothing_mounted_or_made_inside_reaches_the_host)
{
	struct run r;
	struct stat st;

	own_host();
	shell(&r,
		(struct bundle) {
			.mounts = ",{\"destination\":\"/dev/termination-log\",\"type\":\"bind\","
				  "\"source\":\"/etc/"
				  "hostname\",\"options\":[\"rbind\",\"rprivate\",\"rw\"]}"
				  ",{\"destination\":\"/var/run/secrets/a/b\",\"type\":\"bind\","
				  "\"source\":\"/usr\",\"options\":[\"rbind\",\"rprivate\",\"ro\"]}"
				  ",{\"destination\":\"/srv/unit/new/place\",\"type\":\"bind\","
				  "\"source\":\"/usr\",\"options\":[\"rbind\",\"ro\"]}",
		},
		"ls -d /run/secrets/a/b/bin /srv/unit/new/place/bin; wc -l < /dev/termination-log; "
		"touch /run/secrets/a/b/x 2>&1 | grep -c Read-only");
	cr_expect_str_eq(r.text, "/run/secrets/a/b/bin\n/srv/unit/new/place/bin\n1\n1\n");
	cr_expect_eq(lstat("/dev/termination-log", &st), -1);
	cr_expect_eq(lstat("/run/secrets", &st), -1);
	cr_expect_eq(lstat("/srv/unit", &st), -1);
}

Test(runtime_init, a_volume_whose_source_is_missing_is_refused_by_name)
{
	own_host();
	refused((struct bundle) {.mounts =
					 ",{\"destination\":\"/data\",\"type\":\"bind\",\"source\":"
					 "\"/no/such\",\"options\":[\"rbind\"]}"},
		ERR_NOT_FOUND, 128, "volume for /data: /no/such does not exist on the host");
	refused((struct bundle) {.mounts =
					 ",{\"destination\":\"/etc\",\"type\":\"bind\",\"source\":"
					 "\"/etc/hostname\",\"options\":[\"rbind\"]}"},
		ERR_INVALID, 128, "/etc is a directory in the host view");
	refused((struct bundle) {.mounts = ",{\"destination\":\"/x\",\"type\":\"ext4\",\"source\":"
					   "\"/dev/vda\"}"},
		ERR_UNIMPLEMENTED, 128, "ext4");
}

/* On many hosts it is a link into /run, which is private here: the link leads nowhere. */
Test(runtime_init, a_file_is_mounted_where_a_dangling_link_leads)
{
	struct run r;

	own_host();
	shell(&r, (struct bundle) {0}, "ln -sf ../run/systemd/resolve/stub.conf /etc/unit.conf");
	shell(&r,
		(struct bundle) {.mounts = ",{\"destination\":\"/etc/unit.conf\",\"type\":\"bind\","
					   "\"source\":\"/etc/hostname\",\"options\":[\"rbind\"]}"},
		"cmp /etc/unit.conf /etc/hostname && readlink /etc/unit.conf; "
		"ls /run/systemd/resolve");
	cr_expect_str_eq(r.text, "../run/systemd/resolve/stub.conf\nstub.conf\n");
}

Test(runtime_init, a_read_only_root_lets_only_volumes_be_written)
{
	struct run r;

	own_host();
	cr_assert_eq(mkdir("/run/volume", 0755), 0);
	shell(&r,
		(struct bundle) {.top = "\"root\":{\"path\":\"r\",\"readonly\":true},",
			.mounts = ",{\"destination\":\"/srv/data\",\"type\":\"bind\",\"source\":"
				  "\"/run/volume\",\"options\":[\"rbind\"]}"},
		"for f in /x /etc/x /usr/x /run/x /tmp/x; do touch $f 2>&1 | grep -c Read-only; "
		"done; "
		"touch /srv/data/x && echo yes > /dev/null && ls /srv/data");
	cr_expect_str_eq(r.text, "1\n1\n1\n1\n1\nx\n");
}

Test(runtime_init, user_groups_environment_and_directory_are_the_specs)
{
	struct run r;

	own_host();
	shell(&r,
		(struct bundle) {
			.process = "\"user\":{\"uid\":1234,\"gid\":77,\"additionalGids\":[5,6],"
				   "\"umask\":18},"
				   "\"cwd\":\"/srv/unit/work\",",
		},
		"id -u; id -g; id -G; pwd; stat -c %u:%g .; echo $HOME; umask; cat "
		"/proc/self/oom_score_adj");
	cr_expect_str_eq(r.text, "1234\n77\n77 5 6\n/srv/unit/work\n1234:77\n/\n0022\n0\n");
}

Test(runtime_init, hostname_and_sysctls_stay_in_the_containers_namespaces)
{
	struct run r;
	char before[256], after[256], *namespaces;

	own_host();
	cr_assert_eq(gethostname(before, sizeof(before)), 0);
	shell(&r,
		(struct bundle) {.top = "\"hostname\":\"unit-host\",",
			.linux_part = "\"sysctl\":{\"net.ipv4.ip_forward\":\"1\"},"},
		"uname -n; cat /proc/sys/net/ipv4/ip_forward");
	cr_expect_str_eq(r.text, "unit-host\n1\n");
	cr_assert_eq(gethostname(after, sizeof(after)), 0);
	cr_expect_str_eq(before, after);
	/* a path to a namespace can lead to the host's, too */
	cr_assert_eq(
		str_printf(&namespaces,
			"{\"type\":\"pid\"},{\"type\":\"mount\"},{\"type\":\"network\",\"path\":"
			"\"/proc/%d/ns/net\"}",
			getpid()),
		0);
	refused((struct bundle) {.namespaces = namespaces,
			.linux_part = "\"sysctl\":{\"net.ipv4.ip_forward\":\"1\"},"},
		ERR_INVALID, 128, "net.ipv4.ip_forward: would change the node");
	free(namespaces);
}

Test(runtime_init, an_exec_joins_its_container)
{
	struct bundle b = {.dir = BUNDLE,
		.args = "\"/bin/sleep\",\"1000\"",
		.top = "\"hostname\":\"unit-host\","};
	struct run r, e;

	own_host();
	b.mounts = ",{\"destination\":\"/srv/unit\",\"type\":\"bind\",\"source\":\"/"
		   "usr\",\"options\":["
		   "\"rbind\",\"ro\"]}";
	bundle_write(&b);
	run_create(&b, &r);
	cr_assert(r.ready, "%s", r.err.text);
	run_start(&r);
	run_exec(&b, &r,
		"{\"args\":[\"/bin/sh\",\"-c\",\"ls /srv/unit/bin/env; "
		"tr '\\\\0' ' ' < /proc/1/cmdline; uname -n; exit 5\"],"
		"\"cwd\":\"/\",\"env\":[\"PATH=/bin\"],\"user\":{\"uid\":0,\"gid\":0}}",
		&e);
	cr_assert(e.ready, "%s", e.err.text);
	run_start(&e);
	run_finish(&e);
	cr_expect_eq(e.status, 5U);
	cr_expect_str_eq(e.text, "/srv/unit/bin/env\n/bin/sleep 1000 unit-host\n");
	cr_expect_eq(proc_signal(&r.proc, SIGKILL), 0);
	run_finish(&r);
	cr_expect_eq(r.status, 137U);
}

Test(runtime_init, a_terminal_is_the_containers_own_and_goes_to_the_shim)
{
	struct bundle b = {.dir = BUNDLE,
		.args = "\"/bin/sh\",\"-c\",\"tty; stty size; test -c /dev/console && echo "
			"console; "
			"echo hi > /dev/tty\"",
		.process = "\"terminal\":true,\"consoleSize\":{\"height\":24,\"width\":80},"};
	char text[4096];
	struct run r;
	size_t used = 0;
	ssize_t n;

	own_host();
	bundle_write(&b);
	run_create(&b, &r);
	cr_assert(r.ready, "%s", r.err.text);
	cr_assert_geq(r.console, 0);
	run_start(&r);
	while (used < sizeof(text) - 1 &&
		(n = read(r.console, text + used, sizeof(text) - 1 - used)) > 0)
		used += (size_t)n;
	text[used] = '\0';
	run_finish(&r);
	cr_expect_eq(r.status, 0U);
	cr_expect_str_eq(text, "/dev/pts/0\r\n24 80\r\nconsole\r\nhi\r\n");
}

/* One descriptor of init is the host's /proc, another the lock, ... */
Test(runtime_init, no_working_directory_leads_out_of_the_view)
{
	struct bundle b = {.dir = BUNDLE, .args = "\"/bin/sleep\",\"1000\""};
	struct run r, e;

	own_host();
	refused((struct bundle) {.process = "\"cwd\":\"/proc/self/fd/5\","}, ERR_INVALID, 128,
		"/proc/self/fd/5");
	bundle_write(&b);
	run_create(&b, &r);
	run_start(&r);
	for (int fd = 3; fd < 12; fd++) {
		char process[256];

		(void)snprintf(process, sizeof(process),
			"{\"args\":[\"/bin/pwd\"],\"cwd\":\"/proc/self/fd/%d\",\"user\":{\"uid\":0,"
			"\"gid\":0}}",
			fd);
		run_exec(&b, &r, process, &e);
		cr_expect_not(e.ready);
		run_finish(&e);
		cr_expect_eq(e.status, 128U);
	}
	cr_expect_eq(proc_signal(&r.proc, SIGKILL), 0);
	run_finish(&r);
}

/* What the kernel 5.10 does not have. */
static void deny_mount_setattr(void)
{
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_mount_setattr, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | ENOSYS),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog program = {.len = ARRAY_LEN(code), .filter = code};

	cr_assert_eq(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), 0);
	cr_assert_eq(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program), 0);
}

Test(runtime_init, without_mount_setattr_everything_but_recursive_options_works)
{
	struct run r;

	own_host();
	deny_mount_setattr();
	shell(&r,
		(struct bundle) {.top = "\"root\":{\"path\":\"r\",\"readonly\":true},",
			.mounts = ",{\"destination\":\"/srv/ro\",\"type\":\"bind\",\"source\":\"/"
				  "usr\","
				  "\"options\":[\"rbind\",\"ro\",\"nosuid\"]},{\"destination\":\"/"
				  "srv/file\","
				  "\"type\":\"bind\",\"source\":\"/etc/"
				  "hostname\",\"options\":[\"bind\",\"ro\"]}"},
		"for f in /x /srv/ro/x /srv/file /proc/sys/kernel/panic /run/x; do "
		"(echo > $f) 2>&1 | grep -c Read-only; done");
	cr_expect_str_eq(r.text, "1\n1\n1\n1\n1\n");
	/* the host's root has mounts below it, /usr has none */
	refused((struct bundle) {.mounts = ",{\"destination\":\"/srv/ro\",\"type\":\"bind\","
					   "\"source\":\"/\",\"options\":[\"rbind\",\"rro\"]}"},
		ERR_UNIMPLEMENTED, 128, "need Linux 5.12");
}

Test(runtime_init, a_slave_volume_shows_what_the_host_mounts_later)
{
	struct bundle b = {.dir = BUNDLE,
		.args = "\"/bin/sleep\",\"1000\"",
		.mounts = ",{\"destination\":\"/srv/slave\",\"type\":\"bind\",\"source\":\"/run/"
			  "vol\","
			  "\"options\":[\"rbind\",\"rslave\"]},{\"destination\":\"/srv/"
			  "private\",\"type\":"
			  "\"bind\",\"source\":\"/run/vol\",\"options\":[\"rbind\"]}"};
	struct run r, e;

	own_host();
	cr_assert_eq(mkdir("/run/vol", 0755), 0);
	cr_assert_eq(mount("v", "/run/vol", "tmpfs", 0, NULL), 0);
	cr_assert_eq(mount(NULL, "/run/vol", NULL, MS_SHARED, NULL), 0);
	cr_assert_eq(mkdir("/run/vol/sub", 0755), 0);
	bundle_write(&b);
	run_create(&b, &r);
	cr_assert(r.ready, "%s", r.err.text);
	run_start(&r);
	cr_assert_eq(mount("later", "/run/vol/sub", "tmpfs", 0, NULL), 0);
	cr_assert_eq(mknod("/run/vol/sub/there", S_IFREG | 0644, 0), 0);
	run_exec(&b, &r,
		"{\"args\":[\"/bin/sh\",\"-c\",\"cd /srv; ls slave/sub; ls "
		"private/sub\"],\"cwd\":\"/\","
		"\"user\":{\"uid\":0,\"gid\":0}}",
		&e);
	run_start(&e);
	run_finish(&e);
	cr_expect_str_eq(e.text, "there\n");
	cr_expect_eq(proc_signal(&r.proc, SIGKILL), 0);
	run_finish(&r);
}

/* Two mounts by one who may: only the Bidirectional volume hands its one to the host. */
Test(runtime_init, only_a_shared_volume_hands_mounts_to_the_host)
{
	struct run r;

	own_host();
	cr_assert_eq(mkdir("/run/vol", 0755), 0);
	cr_assert_eq(mount("v", "/run/vol", "tmpfs", 0, NULL), 0);
	cr_assert_eq(mount(NULL, "/run/vol", NULL, MS_SHARED, NULL), 0);
	cr_assert_eq(mkdir("/run/vol/a", 0755), 0);
	cr_assert_eq(mkdir("/run/vol/b", 0755), 0);
	shell(&r,
		(struct bundle) {
			.process =
				"\"capabilities\":{\"bounding\":[\"CAP_SYS_ADMIN\"],\"effective\":["
				"\"CAP_SYS_ADMIN\"],\"permitted\":[\"CAP_SYS_ADMIN\"]},",
			.mounts = ",{\"destination\":\"/srv/"
				  "shared\",\"type\":\"bind\",\"source\":\"/run/vol\","
				  "\"options\":[\"rbind\",\"rshared\"]},{\"destination\":\"/srv/"
				  "private\","
				  "\"type\":\"bind\",\"source\":\"/run/"
				  "vol\",\"options\":[\"rbind\",\"rslave\"]}"},
		"mount -t tmpfs t /srv/shared/a && mount -t tmpfs t /srv/private/b && "
		"mount -t tmpfs t /mnt && touch /srv/shared/a/x /srv/private/b/x && echo ok");
	cr_expect_str_eq(r.text, "ok\n");
	cr_expect_eq(access("/run/vol/a/x", F_OK), 0);
	cr_expect_eq(access("/run/vol/b/x", F_OK), -1);
}

Test(runtime_init, what_cannot_be_enforced_is_said_and_no_reason_to_refuse)
{
	/* the bundle's record has no cgroup: no limit can hold */
	struct bundle b = {.dir = BUNDLE,
		.args = "\"/bin/true\"",
		.resources = "\"memory\":{\"limit\":67108864},\"pids\":{\"limit\":10},"};
	struct run r;

	own_host();
	cr_assert_eq(run_all(&b, &r), 0U, "%s", r.err.text);
	cr_expect(strstr(r.notes, "memory"), "%s", r.notes);
	cr_expect(strstr(r.notes, "pids"), "%s", r.notes);
	cr_expect(strstr(r.notes, "cannot be enforced"), "%s", r.notes);
}
