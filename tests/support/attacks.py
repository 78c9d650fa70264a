"""tests/support/attack, and the errno with which each of its attacks must end."""

from machine import BINARIES

ATTACK = BINARIES / "tests/support/attack"

# what a kubelet asks for in every pod (procMount: Default)
MASKED = """/proc/acpi /proc/asound /proc/kcore /proc/keys /proc/latency_stats /proc/timer_list /proc/timer_stats
    /proc/sched_debug /proc/scsi /sys/firmware /sys/devices/virtual/powercap""".split()
READONLY = "/proc/bus /proc/fs /proc/irq /proc/sys /proc/sysrq-trigger".split()

# What stops each attack on a plain pod's node. Where kernels differ (a file or a call that one does
# not have) there are several.
NO_SUCH = "ENOENT"
EXPECTED = {
    "read": NO_SUCH,
    **dict.fromkeys("""umount remount remount-root bind-parent bind-root open-tree fsopen-tmpfs fsopen-ext4 fspick fsmount
        mount-setattr mount-overlay mount-namespace pivot-root open-by-handle""".split(), "EPERM"),
    "leave-chroot": NO_SUCH,
    "dot-dot": NO_SUCH,
    # a user namespace is to be had on most nodes: it sees the same view, and the mounts are locked
    "userns-umount": "ENOENT EPERM ENOSPC",
    "userns-overlay": "ENOENT ELOOP EPERM ENOSPC EINVAL",
    "userns-sysfs": "EPERM ENOSPC",
    "userns-cgroup": "ENOENT EPERM ENOSPC EBUSY",
    # the device controller (EPERM: at mknod where all is forbidden, else at open), or a view that is nodev (EACCES)
    **dict.fromkeys("""mknod-disk mknod-disk-in-dev mknod-mem mknod-port mknod-kmsg mknod-loop-control mknod-kvm
        mknod-console""".split(), "EPERM EACCES"),
    "pts": NO_SUCH,
    "mknod-pts": "EIO EPERM EACCES",
    **dict.fromkeys("""proc-1-root proc-each-root proc-each-cwd victim-root victim-mem victim-environ victim-mount-namespace
        overwrite-exe""".split(), NO_SUCH),
    **dict.fromkeys("victim-ptrace victim-pidfd-getfd setns-pidfd".split(), "ESRCH"),
    "setns-1-mnt": "EPERM",
    "abstract-socket": "ECONNREFUSED",
    **dict.fromkeys("systemd-private systemd-notify dbus udev-control containerd-socket docker-socket".split(), NO_SUCH),
    **dict.fromkeys("""core-pattern modprobe-path sysrq sysctl-vm uevent-helper power-state hugepages profiling
        module-parameters irq-affinity release-agent cgroup-procs""".split(), "EROFS ENOENT"),
    "kcore": "ENOENT ENODATA EPERM",
    **dict.fromkeys("init-module kexec iopl".split(), "EPERM ENOSYS"),
    **dict.fromkeys("bpf swapoff reboot set-time set-hostname console-log".split(), "EPERM"),
    "perf": "EACCES EPERM",
}  # fmt: skip
# The host's processes are seen, and are in another Landlock domain.
WITH_HOST_PID = {
    **dict.fromkeys("""proc-1-root proc-each-root proc-each-cwd victim-root victim-mem victim-environ victim-mount-namespace
        setns-1-mnt overwrite-exe""".split(), "EACCES"),
    **dict.fromkeys("victim-ptrace victim-pidfd-getfd setns-pidfd".split(), "EPERM"),
    # and so is who mounts
    "userns-overlay": "EPERM ENOSPC",
}  # fmt: skip
WITH_HOST_NETWORK = {"abstract-socket": "EPERM"}


def differences(got, expected):
    """The attacks that ended in another way, and those that were not made."""
    return {name: (got.get(name), expected.get(name)) for name in got.keys() | expected.keys()
            if got.get(name) not in expected.get(name, "").split()}  # fmt: skip
