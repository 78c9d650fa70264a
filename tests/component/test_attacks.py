"""What root of a plain pod tries against its node: tests/support/attack, one line each.

Every attack must fail with the errno that its protection gives: another one means that something
else was in the way this time. "plain" is a pod with namespaces of its own, "network" and "pid" are
hostNetwork and hostPID. No seccomp and no AppArmor: the rest must hold alone.
"""

import os
import pathlib
import pty
import socket
import subprocess

import pytest

from machine import BINARIES
from running import DEFAULT_CAPS, bind, said

pytestmark = pytest.mark.submission("the host's secrets and the host itself; a second each")

ATTACK = BINARIES / "tests/support/attack"

# CRI's defaults
MASKED = """/proc/acpi /proc/asound /proc/kcore /proc/keys /proc/latency_stats /proc/timer_list /proc/timer_stats
    /proc/sched_debug /proc/scsi /sys/firmware /sys/devices/virtual/powercap""".split()
READONLY = "/proc/bus /proc/fs /proc/irq /proc/sys /proc/sysrq-trigger".split()
DEVICES = [{"allow": False, "access": "rwm"}, {"allow": True, "type": "c", "access": "m"},
           {"allow": True, "type": "b", "access": "m"}]  # fmt: skip
DEVICES += [{"allow": True, "type": "c", "major": a, "minor": b, "access": "rwm"}
            for a, b in [(1, 3), (1, 5), (1, 7), (1, 8), (1, 9), (5, 0), (5, 2), (136, -1)]]  # fmt: skip
for device in DEVICES:
    if device.get("minor") == -1:
        del device["minor"]


def cri_spec(without=(), more=()):
    """A plain pod's config.json, in the host's namespaces of these types, with more capabilities."""
    namespaces = [{"type": t} for t in ("pid", "ipc", "uts", "mount", "network") if t not in without]
    return {
        "process": {"noNewPrivileges": False,
                    "capabilities": {k: [*DEFAULT_CAPS, *more] for k in ("bounding", "effective", "permitted")}},
        "linux": {"resources": {"devices": DEVICES}, "namespaces": namespaces, "maskedPaths": MASKED,
                  "readonlyPaths": READONLY},
    }  # fmt: skip


@pytest.fixture
def secret(monkeypatch):
    path = pathlib.Path("/usr/local/lib/reaper-attacks")
    path.mkdir()
    (path / "key").write_text("secret\n")
    monkeypatch.setenv("REAPER_FILTER_PATHS", str(path / "key"))
    yield path / "key"
    (path / "key").unlink()
    path.rmdir()


@pytest.fixture
def target(secret):
    """The arguments of the attack: things of this machine."""
    disk = sorted(pathlib.Path("/sys/block").iterdir())[-1]
    server = socket.socket(socket.AF_UNIX)
    server.bind("\0reaper-attacked")
    server.listen()
    master, slave = pty.openpty()
    victim = subprocess.Popen(["setpriv", "--reuid", "12345", "--regid", "12345", "--clear-groups", "sleep", "1000"])
    yield [secret, (disk / "dev").read_text().strip(), "reaper-attacked", os.ttyname(slave).rpartition("/")[2],
           f"{victim.pid}:12345"]  # fmt: skip
    victim.kill()
    victim.wait()
    os.close(master)
    os.close(slave)
    server.close()


def outcomes(bench, target, without=(), more=()):
    words = " ".join(str(word) for word in target)
    cgroup = ("/sys/fs/cgroup", "cgroup", "cgroup", ["nosuid", "noexec", "nodev", "relatime", "ro"])
    text = said(bench, f"exec /tmp/attack {words}", bind(ATTACK, "/tmp/attack", "ro"), cgroup, **cri_spec(without, more))
    return dict(line.split() for line in text.splitlines())


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
    "userns-overlay": "ELOOP EPERM ENOSPC EINVAL",
    "userns-sysfs": "EPERM ENOSPC",
    "userns-cgroup": "ENOENT EPERM ENOSPC EBUSY",
    # the device controller: at mknod where all is forbidden, else at open
    **dict.fromkeys("""mknod-disk mknod-disk-in-dev mknod-mem mknod-port mknod-kmsg mknod-loop-control mknod-kvm
        mknod-console""".split(), "EPERM"),
    "pts": NO_SUCH,
    "mknod-pts": "EIO EPERM",
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
    "userns-overlay": "EPERM ENOSPC ELOOP EINVAL",
}  # fmt: skip
WITH_HOST_NETWORK = {"abstract-socket": "EPERM"}


def differences(got, expected):
    """The attacks that ended in another way, and those that were not made."""
    return {name: (got.get(name), expected.get(name)) for name in got.keys() | expected.keys()
            if got.get(name) not in expected.get(name, "").split()}  # fmt: skip


@pytest.mark.parametrize("without, changes", [
    ((), {}),
    (("network", "uts"), WITH_HOST_NETWORK),
    (("pid",), WITH_HOST_PID),
    (("network", "uts", "pid", "ipc"), {**WITH_HOST_NETWORK, **WITH_HOST_PID}),
], ids=["plain", "network", "pid", "network-pid-ipc"])  # fmt: skip
def test_every_attack_fails(bench, target, without, changes):
    assert differences(outcomes(bench, target, without), {**EXPECTED, **changes}) == {}


def test_the_attacks_are_real(bench, target):
    """With more capabilities, which is what privileged pods have, they work: nothing holds then."""
    got = outcomes(bench, target, ("pid",), more=["CAP_SYS_ADMIN", "CAP_SYS_PTRACE"])
    names = """bind-parent open-tree fsopen-tmpfs mount-namespace proc-1-root proc-each-root victim-root victim-mem
        victim-ptrace setns-1-mnt""".split()
    assert {name: got[name] for name in names} == dict.fromkeys(names, "WORKED")


def test_units_rules_and_jobs_that_a_pod_writes_are_nobodys(bench, secret):
    """The host's systemd, udev, tmpfiles and cron never see them."""
    places = """/run/systemd/system/attack.service /run/systemd/system/ssh.service.d/attack.conf /run/udev/rules.d/00-attack.rules
        /run/tmpfiles.d/attack.conf /run/modprobe.d/attack.conf /etc/systemd/system/attack.service /etc/cron.d/attack
        /etc/udev/rules.d/00-attack.rules /etc/ld.so.preload.attack /etc/profile.d/attack.sh /usr/local/bin/attack
        /root/.ssh/attack /var/spool/cron/crontabs/attack /dev/shm/attack""".split()
    script = "; ".join(f"mkdir -p {os.path.dirname(place)} && echo x >{place} && echo written" for place in places)
    assert said(bench, script, **cri_spec()) == "written\n" * len(places)
    assert [place for place in places if os.path.lexists(place)] == []
