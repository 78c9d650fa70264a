"""The fault of each row of `reaperctl doctor`: it is told by its own id and text, and --fix mends what is nobody's."""

import errno
import json
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import time

import pytest

from bench import POD
from cgroups import is_v1
from machine import BINARIES, SOURCE, run
from waiting import until

REAPERCTL = BINARIES / "reaperctl"
DENY = SOURCE / "tests/support/deny.py"

pytestmark = pytest.mark.submission("a row that cannot fail says nothing; under a second each")


def doctor(*options, before="", deny=None, **environment):
    """{id: check}: in a mount namespace of its own, in which the script `before` has run."""
    command = [REAPERCTL, "doctor", "--json", *options]
    if deny:
        command = [sys.executable, DENY, *map(str, deny), "--", *command]
    result = run(["unshare", "--mount", "sh", "-ec", f'{before}\nexec "$@"', "sh", *command], check=False,
                 env={**os.environ, "PATH": f"{BINARIES}:{os.environ['PATH']}", **environment})  # fmt: skip
    assert not result.stderr, result.stderr
    checks = json.loads(result.stdout)["checks"]
    failed = [check for check in checks.values() if check["result"] == "failed"]
    classes = ["node", "install", "config", "daemon", "task", "left"]
    assert result.returncode == (11 + classes.index(failed[0]["class"]) if failed else 0)
    return checks


# pidfd_open, openat2, open_tree, seccomp: number, argument, bits of it, errno
@pytest.mark.parametrize("row, deny, why", [
    ("pidfd", (434, 0, 0xFFFFFFFF, errno.EPERM), "pidfd_open is refused: "),
    ("openat2", (437, 0, 0xFFFFFFFF, errno.ENOSYS), "openat2 is refused: "),
    ("mount-api", (428, 2, 1, errno.EPERM), "open_tree or fsopen is refused: "),
    ("seccomp", (317, 0, 2, errno.EINVAL), "seccomp filters are refused: "),
])  # fmt: skip
def test_what_no_pod_runs_without(row, deny, why):
    found = doctor(deny=deny)[row]
    assert found["result"] == "failed" and found["why"].startswith(why) and found["next"]
    assert doctor()[row]["result"] == "passed"


# mount_setattr, move_mount, bpf
@pytest.mark.parametrize("row, deny, before, lost", [
    ("mount-setattr", (442, 0, 0xFFFFFFFF, errno.ENOSYS), "", "volumes that are read-only"),
    ("mount-groups", (429, 4, 0x100, errno.EINVAL), "", "what one container mounts"),
    ("device-rules", (321, 0, 0xFFFFFFFF, errno.EPERM), "umount --recursive --lazy /sys/fs/cgroup", "the kernel takes no device rules"),
])  # fmt: skip
def test_what_is_lost_is_told(row, deny, before, lost):
    found = doctor(deny=deny, before=before)[row]
    assert found["result"] == "passed" and found["why"].startswith(f"lost: {lost}")
    assert "why" not in doctor()[row]


def test_a_controller_that_is_away(tmp_path):
    before = "umount --lazy /sys/fs/cgroup/pids"
    if not is_v1():
        (tmp_path / "controllers").write_text("cpuset cpu io memory\n")
        before = f"mount --bind {tmp_path}/controllers /sys/fs/cgroup/cgroup.controllers"
    assert doctor(before=before)["controllers"]["why"] == "lost: limits of processes (pids)"
    assert "why" not in doctor()["controllers"]


def test_which_security_module_there_is():
    before = """mount -t tmpfs none /sys/module
        mkdir -p /sys/module/apparmor/parameters
        echo %s >/sys/module/apparmor/parameters/enabled
        if [ -d /sys/fs/selinux ]; then mount -t tmpfs none /sys/fs/selinux; fi"""
    assert doctor(before=before % "Y")["lsm"]["why"] == "AppArmor: profiles of pods are in force"
    assert doctor(before=before % "N")["lsm"]["why"].startswith("lost: profiles and labels")


@pytest.mark.parametrize("line, seen", [
    ('apparmor="DENIED" operation="mount" profile="/usr/bin/containerd-shim-reaper-v2" comm="containerd-shim"', True),
    ('avc:  denied  { mounton } for  pid=7 comm="reaper-runtime" path="/"', True),
    ('apparmor="DENIED" operation="open" profile="cri-containerd.apparmor.d" comm="nginx"', False),
    ('apparmor="ALLOWED" operation="mount" comm="reaper-runtime"', False),
])  # fmt: skip
@pytest.mark.parametrize("age", [60, 90000])
def test_denials(tmp_path, line, seen, age):
    log = tmp_path / "kmsg"
    log.write_text(f"5,1,1,-;audit: type=1400 audit({int(time.time()) - age}.5:7): {line}\n")
    found = doctor(before=f"mount --bind {log} /dev/kmsg")["denials"]
    assert (found["result"] == "failed") == (seen and age == 60)
    if found["result"] == "failed":
        assert line in found["why"]


def test_the_clock_was_set_back(tmp_path):
    history = tmp_path / "history.jsonl"
    history.touch()
    assert doctor(REAPER_HISTORY_FILE=str(history))["clock"]["result"] == "passed"
    os.utime(history, (time.time() + 7200,) * 2)
    found = doctor(REAPER_HISTORY_FILE=str(history))["clock"]
    assert found["result"] == "failed" and "the clock was set back" in found["why"]


@pytest.mark.parametrize("options, why", [("size=4m", "MiB left"), ("size=100m,nr_inodes=50", "room for ")])
@pytest.mark.parametrize("row", ["run-room", "disk-room"])
def test_no_room(tmp_path, row, options, why):
    place = "/run" if row == "run-room" else tmp_path
    found = doctor(before=f"mount -t tmpfs -o {options} none {place}", REAPER_HISTORY_FILE=f"{tmp_path}/history.jsonl")[row]
    assert found["result"] == "failed" and why in found["why"] and str(place) in found["why"]


@pytest.fixture
def pod(bench):
    bench.settings["REAPER_UPPER_SIZE"] = "16M"
    made = bench.container("/bin/sleep", "600", annotations=POD, linux={"namespaces": [{"type": "mount"}]})
    made.pid = made.create()
    made.call("Start")
    yield made
    if made.shim_pid:
        made.call("Kill", signal=9)
        made.call("Wait")
        made.end()


def test_no_room_to_write(bench, pod):
    assert doctor(**bench.settings)["upper-room"]["result"] == "passed"
    (pathlib.Path(f"/proc/{pod.pid}/root/var/tmp") / "reaper-much").write_bytes(bytes(15 << 20))
    found = doctor(**bench.settings)["upper-room"]
    assert found["result"] == "failed" and re.match(r"group \S+ has written 1\d of 16 MiB", found["why"])


# without cgroups: those of other tests are none of this one's business
STRAY = "umount --recursive --lazy /sys/fs/cgroup; mount -t tmpfs none /run; mkdir -p /run/reaper/stray; mount -t tmpfs none /run/reaper/stray"
LOOK = 'if mountpoint -q /run/reaper/stray; then echo there; else echo gone; fi'


def test_a_mount_of_no_group():
    found = doctor(before=STRAY)["mounts-left"]
    assert (found["result"], found["why"]) == ("failed", "/run/reaper/stray is a mount of no group")
    would = doctor("--fix", "--dry-run", before=STRAY)["mounts-left"]
    assert (would["result"], would["fix"]) == ("failed", "would unmount /run/reaper/stray")
    did = doctor("--fix", before=STRAY)["mounts-left"]
    assert (did["result"], did["fix"]) == ("passed", "unmounted /run/reaper/stray")
    for options, state in ((["--fix", "--dry-run"], "there"), (["--fix"], "gone")):
        script = f"{STRAY}\n{REAPERCTL} doctor \"$@\" >/dev/null || true\n{LOOK}"
        assert run(["unshare", "--mount", "sh", "-ec", script, "sh", *options]).stdout.strip() == state


# A cgroup2 of its own as all that there is: what $FAULT makes at its top, no other test sees.
ALONE = """
mount -t cgroup2 none "$PLACE"
mkdir "$PLACE/reaper-doctor-$$"
trap 'echo $$ >"$PLACE/cgroup.procs"; find "$PLACE/reaper-doctor-$$" -depth -type d -exec rmdir {} +' EXIT
echo $$ >"$PLACE/reaper-doctor-$$/cgroup.procs"
unshare --cgroup --mount sh -ec '
    umount --recursive --lazy /sys/fs/cgroup
    mount -t cgroup2 none /sys/fs/cgroup
    eval "$FAULT"
    exec "$@"' sh "$@"
"""
MARKED = f"""mkdir -p /sys/fs/cgroup/stray/below
{sys.executable} -c 'import os; os.setxattr("/sys/fs/cgroup/stray", "trusted.reaper", b""); os.utime("/sys/fs/cgroup/stray", (0, 0))'
"""


@pytest.fixture
def alone(tmp_path):
    def ask(fault, *options):
        command = ["unshare", "--mount", "sh", "-ec", ALONE, "sh", REAPERCTL, "doctor", "--json", *options]
        result = run(command, check=False, env={**os.environ, "PATH": f"{BINARIES}:{os.environ['PATH']}",
                                                "PLACE": str(tmp_path), "FAULT": fault})  # fmt: skip
        return json.loads(result.stdout)["checks"]

    return ask


def test_a_cgroup_of_no_container(alone):
    found = alone(MARKED)["cgroups-left"]
    assert (found["result"], found["why"]) == ("failed", "/sys/fs/cgroup/stray is a cgroup of no container")
    would = alone(MARKED, "--fix", "--dry-run")["cgroups-left"]
    assert (would["result"], would["fix"]) == ("failed", "would remove /sys/fs/cgroup/stray")
    did = alone(MARKED, "--fix")["cgroups-left"]
    assert (did["result"], did["fix"]) == ("passed", "removed /sys/fs/cgroup/stray")
    young = alone(f"{MARKED}touch /sys/fs/cgroup/stray")["cgroups-left"]
    assert young["result"] == "passed"
    used = alone(f"{MARKED}echo $$ >/sys/fs/cgroup/stray/below/cgroup.procs", "--fix")["cgroups-left"]
    assert used["result"] == "failed" and "fix" not in used
    assert alone("")["cgroups-left"]["result"] == "passed"


def test_nobody_makes_the_scopes(alone):
    found = alone("mkdir /sys/fs/cgroup/kubepods.slice; mount -t tmpfs none /run")["cgroup-driver"]
    assert found["result"] == "failed" and "there is no /run/systemd/private" in found["why"]
    assert alone("")["cgroup-driver"]["result"] == "skipped"


@pytest.mark.parametrize("tree, says, why", [
    ("kubepods.slice", "false", "kubelet has the driver systemd, and containerd's default runtime SystemdCgroup = false"),
    ("kubelet/kubepods", "true", "kubelet has the driver cgroupfs, and containerd's default runtime SystemdCgroup = true"),
    ("kubelet/kubelet-kubepods.slice", "true", None),
    ("kubepods", "false", None),
    ("kubepods", None, None),
])  # fmt: skip
def test_two_drivers(alone, tmp_path, tree, says, why):
    """The trees are those that a kubelet makes; of a runtime that says nothing there is nothing to compare."""
    options = f"""  [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
    SystemdCgroup = {says}
""" if says else ""  # fmt: skip
    config = tmp_path.parent / "config.toml"
    config.write_text(f"""version = 2
[plugins."io.containerd.grpc.v1.cri".containerd]
  default_runtime_name = "runc"
  [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
    runtime_type = "io.containerd.runc.v2"
{options}""")
    fault = f"mkdir -p /sys/fs/cgroup/{tree}; mount -t tmpfs none /run; mkdir /run/systemd; touch /run/systemd/private"
    found = alone(fault, "--config", config, "--containerd", shutil.which("containerd"))["cgroup-driver"]
    if why:
        assert (found["result"], found["why"]) == ("failed", why) and found["next"]
    else:
        assert found["result"] == "passed"


def test_a_process_without_a_shim(bench, pod):
    directory = pathlib.Path("/run/containerd/io.containerd.runtime.v2.task/component")
    directory.mkdir(parents=True, exist_ok=True)
    (directory / "one").symlink_to(bench.directory / "one")
    try:
        assert doctor()["processes-left"]["result"] == "passed"
        os.kill(pod.shim_pid, signal.SIGKILL)
        until(lambda: not pathlib.Path(f"/proc/{pod.shim_pid}/exe").exists())
        found = doctor()["processes-left"]
        assert found["result"] == "failed"
        assert re.match(r"process \d+ of container one has no shim", found["why"])
        assert "fix" not in doctor("--fix", "--dry-run")["processes-left"] and pathlib.Path(f"/proc/{pod.pid}").exists()
    finally:
        (directory / "one").unlink()
        directory.rmdir()
        bench.delete("one")
        pod.shim_pid = None


def test_every_row_has_its_fault():
    rows = json.loads(subprocess.run([REAPERCTL, "doctor", "--json"], capture_output=True, text=True).stdout)["checks"]
    tests = "".join((SOURCE / "tests" / name).read_text()
                    for name in ("component/test_doctor.py", "component/test_doctor_faults.py", "component/test_host.py",
                                 "containerd/test_doctor.py"))  # fmt: skip
    assert [row for row in rows if f'"{row}"' not in tests] == []
