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
import tempfile

import pytest

from attacks import ATTACK, EXPECTED, MASKED, READONLY, WITH_HOST_NETWORK, WITH_HOST_PID, differences
from running import DEFAULT_CAPS, bind, said

pytestmark = pytest.mark.submission("the host's secrets and the host itself; a second each")

# CRI's defaults
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
    path = pathlib.Path(tempfile.mkdtemp(prefix="reaper-test-", dir="/usr/local/lib"))
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
    # not those on process 1, which may have capabilities that nobody here can have
    names = """bind-parent open-tree fsopen-tmpfs mount-namespace proc-each-root victim-root victim-mem
        victim-ptrace""".split()
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
