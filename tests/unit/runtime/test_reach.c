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
