#include "oci/features.h"

#include <errno.h>
#include "base/cleanup.h"
#include "base/macro.h"
#include "oci/spec.h"

/* Every list ends with NULL. */
static const char *const namespaces[] = {"cgroup", "ipc", "mount", "network", "pid", "uts", NULL};

static const char *const capabilities[] = {"CAP_CHOWN", "CAP_DAC_OVERRIDE", "CAP_DAC_READ_SEARCH",
	"CAP_FOWNER", "CAP_FSETID", "CAP_KILL", "CAP_SETGID", "CAP_SETUID", "CAP_SETPCAP",
	"CAP_LINUX_IMMUTABLE", "CAP_NET_BIND_SERVICE", "CAP_NET_BROADCAST", "CAP_NET_ADMIN",
	"CAP_NET_RAW", "CAP_IPC_LOCK", "CAP_IPC_OWNER", "CAP_SYS_MODULE", "CAP_SYS_RAWIO",
	"CAP_SYS_CHROOT", "CAP_SYS_PTRACE", "CAP_SYS_PACCT", "CAP_SYS_ADMIN", "CAP_SYS_BOOT",
	"CAP_SYS_NICE", "CAP_SYS_RESOURCE", "CAP_SYS_TIME", "CAP_SYS_TTY_CONFIG", "CAP_MKNOD",
	"CAP_LEASE", "CAP_AUDIT_WRITE", "CAP_AUDIT_CONTROL", "CAP_SETFCAP", "CAP_MAC_OVERRIDE",
	"CAP_MAC_ADMIN", "CAP_SYSLOG", "CAP_WAKE_ALARM", "CAP_BLOCK_SUSPEND", "CAP_AUDIT_READ",
	"CAP_PERFMON", "CAP_BPF", "CAP_CHECKPOINT_RESTORE", NULL};

/* Words that mount/options.c takes for flags. "rro" is what CRI looks for before it lets a pod ask
 * for recursively read-only volumes. */
static const char *const mount_options[] = {"async", "atime", "bind", "defaults", "dev", "diratime",
	"dirsync", "exec", "iversion", "lazytime", "loud", "mand", "noatime", "nodev", "nodiratime",
	"noexec", "noiversion", "nolazytime", "nomand", "norelatime", "nostrictatime", "nosuid",
	"nosymfollow", "private", "ratime", "rbind", "rdev", "rdiratime", "relatime", "rexec",
	"rnoatime", "rnodev", "rnodiratime", "rnoexec", "rnorelatime", "rnostrictatime", "rnosuid",
	"rnosymfollow", "ro", "rprivate", "rrelatime", "rro", "rrw", "rshared", "rslave",
	"rstrictatime", "rsuid", "rsymfollow", "runbindable", "rw", "shared", "silent", "slave",
	"strictatime", "suid", "symfollow", "sync", "unbindable", NULL};

static const char *const seccomp_actions[] = {"SCMP_ACT_ALLOW", "SCMP_ACT_ERRNO", "SCMP_ACT_KILL",
	"SCMP_ACT_KILL_PROCESS", "SCMP_ACT_KILL_THREAD", "SCMP_ACT_LOG", "SCMP_ACT_NOTIFY",
	"SCMP_ACT_TRACE", "SCMP_ACT_TRAP", NULL};

static const char *const seccomp_operators[] = {"SCMP_CMP_EQ", "SCMP_CMP_GE", "SCMP_CMP_GT",
	"SCMP_CMP_LE", "SCMP_CMP_LT", "SCMP_CMP_MASKED_EQ", "SCMP_CMP_NE", NULL};

static const char *const seccomp_flags[] = {"SECCOMP_FILTER_FLAG_TSYNC", "SECCOMP_FILTER_FLAG_LOG",
	"SECCOMP_FILTER_FLAG_SPEC_ALLOW", "SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV", NULL};

static const char *const seccomp_archs[] = {"SCMP_ARCH_AARCH64", "SCMP_ARCH_ARM", "SCMP_ARCH_MIPS",
	"SCMP_ARCH_MIPS64", "SCMP_ARCH_MIPS64N32", "SCMP_ARCH_MIPSEL", "SCMP_ARCH_MIPSEL64",
	"SCMP_ARCH_MIPSEL64N32", "SCMP_ARCH_PPC", "SCMP_ARCH_PPC64", "SCMP_ARCH_PPC64LE",
	"SCMP_ARCH_RISCV64", "SCMP_ARCH_S390", "SCMP_ARCH_S390X", "SCMP_ARCH_X32", "SCMP_ARCH_X86",
	"SCMP_ARCH_X86_64", NULL};

/* json_put_strv takes a vector of the heap's kind; it only reads. */
static int put_list(struct json_object *o, const char *key, const char *const *list)
{
	return json_put_strv(o, key, (char *const *)(uintptr_t)list);
}

static int put_switch(struct json_object *o, const char *key, bool enabled)
{
	struct json_object *child = json_new_object();
	int r = json_put_bool(child, "enabled", enabled);

	return json_put_consume(o, key, child) < 0 ? -ENOMEM : r;
}

static int put_cgroup(struct json_object *o)
{
	struct json_object *child = json_new_object();
	int r = json_put_bool(child, "v1", true);

	r |= json_put_bool(child, "v2", true);
	r |= json_put_bool(child, "systemd", true);
	r |= json_put_bool(child, "systemdUser", false);
	r |= json_put_bool(child, "rdma", false);
	return json_put_consume(o, "cgroup", child) < 0 ? -ENOMEM : r;
}

static int put_seccomp(struct json_object *o)
{
	struct json_object *child = json_new_object();
	int r = json_put_bool(child, "enabled", true);

	r |= put_list(child, "actions", seccomp_actions);
	r |= put_list(child, "operators", seccomp_operators);
	r |= put_list(child, "archs", seccomp_archs);
	r |= put_list(child, "knownFlags", seccomp_flags);
	r |= put_list(child, "supportedFlags", seccomp_flags);
	return json_put_consume(o, "seccomp", child) < 0 ? -ENOMEM : r;
}

static int put_linux(struct json_object *o)
{
	struct json_object *child = json_new_object(), *extensions = json_new_object();
	int r = put_list(child, "namespaces", namespaces);

	r |= put_list(child, "capabilities", capabilities);
	r |= put_cgroup(child);
	r |= put_seccomp(child);
	r |= put_switch(child, "apparmor", true);
	r |= put_switch(child, "selinux", true);
	r |= put_switch(child, "intelRdt", false);
	r |= put_switch(extensions, "idmap", false);
	if (json_put_consume(child, "mountExtensions", extensions) < 0)
		r = -ENOMEM;
	return json_put_consume(o, "linux", child) < 0 ? -ENOMEM : r;
}

int oci_features_write(enum json_style style, char **ret_text, size_t *ret_len, struct err *err)
{
	const char *hooks[_OCI_HOOK_MAX + 1] = {NULL};
	_cleanup_(json_object_freep) struct json_object *o = json_new_object();
	int r = json_put_str(o, "ociVersionMin", OCI_VERSION_MIN);

	r |= json_put_str(o, "ociVersionMax", OCI_VERSION_MAX);
	for (size_t i = 0; i < _OCI_HOOK_MAX; i++)
		hooks[i] = oci_hook_name((enum oci_hook_point)i);
	r |= put_list(o, "hooks", hooks);
	r |= put_list(o, "mountOptions", mount_options);
	r |= put_linux(o);
	if (r < 0 || json_write(o, style, ret_text, ret_len) < 0)
		return err_sysf(err, ENOMEM, "features");
	return 0;
}
