/* What of the host a workload must not get hold of. Real containers: needs root. */
#include <criterion/criterion.h>
#include <fcntl.h>
#include <linux/keyctl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>
#include "base/macro.h"
#include "base/str.h"
#include "unit/runtime/bundle.h"

#define FOWNER                                                                              \
	"\"capabilities\":{\"bounding\":[\"CAP_FOWNER\",\"CAP_CHOWN\",\"CAP_MKNOD\",\"CAP_" \
	"DAC_OVERRIDE\"],\"effective\":[\"CAP_FOWNER\",\"CAP_CHOWN\",\"CAP_MKNOD\",\"CAP_"  \
	"DAC_OVERRIDE\"],\"permitted\":[\"CAP_FOWNER\",\"CAP_CHOWN\",\"CAP_MKNOD\",\"CAP_"  \
	"DAC_OVERRIDE\"]},"

/* Standard input without a stream is /dev/null: the one of the view, not the host's inode. */
Test(runtime_reach, the_hosts_null_device_is_not_among_the_streams)
{
	struct stat before, after;
	struct run r;

	own_host();
	cr_assert_eq(stat("/dev/null", &before), 0);
	shell(&r, (struct bundle) {.process = FOWNER},
		"chmod 0602 /proc/self/fd/0 /dev/null; readlink /proc/self/fd/0; cat");
	cr_expect(strstr(r.text, "/dev/null"), "%s", r.text);
	cr_assert_eq(stat("/dev/null", &after), 0);
	cr_expect_eq(before.st_mode, after.st_mode, "%o", after.st_mode);
	(void)chmod("/dev/null", before.st_mode & 07777);
}

/* With a view's pin below it: a copy of a mount namespace must not get into a younger one. */
Test(runtime_reach, the_hosts_whole_root_can_be_a_volume)
{
	struct run r;
	struct bundle b = {.mounts =
				   ",{\"destination\":\"/host\",\"type\":\"bind\",\"source\":\"/\","
				   "\"options\":[\"rbind\",\"rslave\",\"ro\"]}"};

	own_host();
	for (int i = 0; i < 2; i++)
		cr_expect_str_eq(shell(&r, b,
					 "test -d /host/run/unit-bundle && test -x /host/bin/sh && "
					 "! stat -f -c %T /host/run/reaper/ns/* | grep nsfs"),
			"", "%s", r.text);
}

Test(runtime_reach, device_nodes_are_dead_in_every_corner_of_a_volume)
{
	struct run r;

	own_host();
	cr_assert_eq(mkdir("/run/vol", 0755), 0);
	cr_assert_eq(mount("v", "/run/vol", "tmpfs", 0, NULL), 0);
	cr_assert_eq(mkdir("/run/vol/sub", 0755), 0);
	cr_assert_eq(mount("v", "/run/vol/sub", "tmpfs", 0, NULL), 0);
	shell(&r,
		(struct bundle) {
			.mounts = ",{\"destination\":\"/srv/v\",\"type\":\"bind\",\"source\":"
				  "\"/run/vol\",\"options\":[\"rbind\"]}"},
		"for d in /srv/v /srv/v/sub; do mknod $d/mem c 1 1 && "
		"dd if=$d/mem of=/dev/null bs=1 count=1 2>&1 | grep -c 'Permission denied'; done");
	cr_expect_str_eq(r.text, "1\n1\n");
}

Test(runtime_reach, without_a_controller_the_hosts_dev_is_no_volume_and_its_nodes_are_read_only)
{
	struct bundle b = {.dir = BUNDLE,
		.args = "\"/bin/true\"",
		.mounts = ",{\"destination\":\"/dev\",\"type\":\"bind\",\"source\":\"/dev\","
			  "\"options\":[\"rbind\"]}"};
	struct run r;

	own_host();
	bundle_write(&b);
	run_create(&b, &r);
	cr_expect_not(r.ready);
	cr_expect_eq(r.err.kind, (uint32_t)ERR_PRECONDITION);
	cr_expect(strstr(r.err.text, "mount at /dev: "), "%s", r.err.text);
	run_finish(&r);
	shell(&r, (struct bundle) {.process = FOWNER},
		"head -c 2 /dev/zero | wc -c; echo x > /dev/null; chmod 600 /dev/null 2>&1 | "
		"grep -c Read-only");
	cr_expect_str_eq(r.text, "2\n1\n");
}

/* A session keyring is inherited; who possesses it may read what containerd's service keeps. */
Test(runtime_reach, the_keys_of_the_session_stay_outside)
{
	struct run r;
	long key;

	own_host();
	if (syscall(SYS_keyctl, KEYCTL_JOIN_SESSION_KEYRING, NULL) < 0)
		cr_skip_test("no keyrings here");
	key = syscall(SYS_add_key, "user", "unit-reach", "x", 1, KEY_SPEC_SESSION_KEYRING);
	cr_assert_gt(key, 0);
	/* all rights for who possesses it, none for its user */
	cr_assert_eq(syscall(SYS_keyctl, KEYCTL_SETPERM, key, 0x3f000000), 0);
	shell(&r,
		(struct bundle) {
			.mounts = ",{\"destination\":\"/srv/p\",\"type\":\"proc\",\"source\":"
				  "\"proc\"}"},
		"grep -c unit-reach /srv/p/keys");
	cr_expect_str_eq(r.text, "0\n");
}

/* The first mount of a sysfs in a network namespace makes its superblock, for everybody. */
Test(runtime_reach, a_read_only_sys_is_so_only_for_the_container_that_asked)
{
	struct run r;
	char *namespaces;
	int net;

	own_host();
	cr_assert_eq(unshare(CLONE_NEWNET), 0);
	net = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
	cr_assert_geq(net, 0);
	cr_assert_eq(str_printf(&namespaces,
			     "{\"type\":\"pid\"},{\"type\":\"mount\"},{\"type\":\"network\","
			     "\"path\":\"/proc/%d/fd/%d\"}",
			     getpid(), net),
		0);
	shell(&r, (struct bundle) {.namespaces = namespaces}, "mkdir /sys/x 2>&1");
	cr_expect(strstr(r.text, "Read-only"), "%s", r.text);
	shell(&r,
		(struct bundle) {.namespaces = namespaces,
			.process = "\"capabilities\":{\"bounding\":[\"CAP_NET_ADMIN\"],"
				   "\"effective\":[\"CAP_NET_ADMIN\"],\"permitted\":[\"CAP_"
				   "NET_ADMIN\"]},",
			.mounts = ",{\"destination\":\"/srv/sys\",\"type\":\"sysfs\",\"source\":"
				  "\"sysfs\",\"options\":[\"rw\"]}"},
		"echo 1500 > /srv/sys/class/net/lo/mtu && echo written");
	cr_expect_str_eq(r.text, "written\n");
	free(namespaces);
}

/* "/run/." is /run: mount points below it are not made on the host. */
Test(runtime_reach, a_destination_that_is_spelled_oddly_is_the_same_place)
{
	static const char *const spellings[] = {
		"/run/.", "//run", "/run//", "/srv/../run", "/var/./run"};
	struct run r;

	own_host();
	for (size_t i = 0; i < ARRAY_LEN(spellings); i++) {
		char *mounts;
		struct stat st;

		cr_assert_eq(
			str_printf(&mounts,
				",{\"destination\":\"%s\",\"type\":\"bind\",\"source\":\"/run\","
				"\"options\":[\"rbind\"]},{\"destination\":\"/run/unit-log\","
				"\"type\":\"bind\",\"source\":\"/etc/hostname\",\"options\":["
				"\"bind\"]}",
				spellings[i]),
			0);
		shell(&r, (struct bundle) {.mounts = mounts}, "cat /run/unit-log > /dev/null");
		cr_expect_eq(lstat("/run/unit-log", &st), -1, "%s", spellings[i]);
		(void)unlink("/run/unit-log");
		free(mounts);
	}
}

Test(runtime_reach, an_exec_without_arguments_is_refused)
{
	struct bundle b = {.dir = BUNDLE, .args = "\"/bin/sleep\",\"1000\""};
	struct run r, e;

	own_host();
	bundle_write(&b);
	run_create(&b, &r);
	run_start(&r);
	run_exec(&b, &r, "{\"args\":[],\"cwd\":\"/\",\"user\":{\"uid\":0,\"gid\":0}}", &e);
	cr_expect_not(e.ready);
	cr_expect(strstr(e.err.text, "args"), "%s", e.err.text);
	run_finish(&e);
	cr_expect_eq(proc_signal(&r.proc, SIGKILL), 0);
	run_finish(&r);
}
