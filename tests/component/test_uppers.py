"""REAPER_UPPER_BASE: what workloads write lies on a disk, and what a reboot does to it."""

import json
import os
import pathlib
import signal
import subprocess
import tempfile

import pytest

from bench import exec_spec
from machine import BINARIES
from running import Running, said
from trees import remove_tree
from ttrpc import RpcError
from waiting import until

pytestmark = pytest.mark.submission("writes on a disk outlive a boot: whose they are then must be clear")

WRITE = "echo x >/etc/reaper-test-was-here; echo y >/var/tmp/reaper-test"
READ = "cat /etc/reaper-test-was-here 2>/dev/null; true"


@pytest.fixture
def disk(bench):
    """A file system of its own on a loop device; gone with the test."""
    image, point = bench.directory / "disk.img", pathlib.Path(tempfile.mkdtemp(prefix="reaper-test-", dir="/mnt"))
    with open(image, "wb") as file:
        file.truncate(64 << 20)
    subprocess.run(["mkfs.ext4", "-q", image], check=True)
    subprocess.run(["mount", "-o", "loop", image, point], check=True)
    point.chmod(0o700)
    bench.settings["REAPER_UPPER_BASE"] = str(point)
    yield point
    reaperctl(bench, "overlay", "gc", "--all")
    subprocess.run(["umount", point], check=True)
    point.rmdir()


def reaperctl(bench, *argv):
    return subprocess.run(
        [BINARIES / "reaperctl", *argv], env=bench.environment(), check=True, capture_output=True, text=True
    ).stdout


def entries(disk):
    return {p.name for p in disk.iterdir()} - {"lost+found"}


def reboot(disk):
    """As after one: /run is empty, and the boot has another id."""
    for boot in disk.glob("*/boot"):
        identity, what = boot.read_text().split()
        boot.write_text(f"{identity[::-1]} {what}\n")
    subprocess.run(["umount", "/run/reaper/ns/node"], check=True)
    subprocess.run(["umount", "/run/reaper/overlay"], check=True)
    os.unlink("/run/reaper/ns/node")


def refusal(bench):
    with pytest.raises(RpcError) as error:
        said(bench, "true")
    return str(error.value)


def test_writes_are_on_the_disk_and_end_where_it_ends(bench, disk):
    fill = "head -c 200M /dev/zero 2>&1 >/opt/fill | grep -o 'No space'; stat -c %s /opt/fill"
    word, size = said(bench, fill, name="a").split("\n")[:2]
    assert word == "No space" and 16 << 20 < int(size) < 64 << 20
    assert os.path.getsize(disk / "node/upper/opt/fill") == int(size)
    assert json.loads(reaperctl(bench, "overlay", "list", "--json"))["node"]["size_bytes"] < 64 << 20
    assert "added    /opt/fill\n" in reaperctl(bench, "overlay", "diff")
    reaperctl(bench, "overlay", "gc")
    assert entries(disk) == set()


@pytest.mark.parametrize("boot", ["reset", "keep"])
def test_what_a_reboot_does(bench, disk, boot):
    bench.settings["REAPER_UPPER_BOOT"] = boot
    said(bench, WRITE, name="a")
    (disk / "node/upper/deep").mkdir()
    deep = os.open(disk / "node/upper/deep", os.O_RDONLY)
    for _ in range(300):  # deeper than a careless removal goes
        os.mkdir("x", dir_fd=deep)
        down = os.open("x", os.O_RDONLY, dir_fd=deep)
        os.close(deep)
        deep = down
    os.close(deep)
    reboot(disk)
    assert said(bench, READ, name="b") == ("x\n" if boot == "keep" else "")
    assert (disk / "node/upper/deep").exists() == (boot == "keep")
    # and within one boot it is there in any case
    said(bench, WRITE, name="c")
    assert said(bench, READ, name="d") == "x\n"


def test_pods_groups_and_what_was_put_aside_do_not_outlive_a_boot(bench, disk):
    bench.settings.update(REAPER_UPPER_BOOT="keep")
    running = Running(bench, f"{WRITE}; echo; exec sleep 600", name="a")
    running.line()
    reaperctl(bench, "overlay", "reset")
    (aside,) = entries(disk)
    assert aside.startswith(".old-")
    assert (pathlib.Path(f"/proc/{running.pid}/root") / "etc/reaper-test-was-here").read_text() == "x\n"
    assert said(bench, READ, name="b") == ""
    assert entries(disk) == {aside, "node"}
    running.kill()
    made = disk / "pod.k8s_2eio.gone"
    made.mkdir()
    (made / "upper").mkdir()
    (made / "boot").write_text("another-boot reset\n")
    reboot(disk)
    said(bench, "true", name="c")
    assert entries(disk) == {"node"}


def test_nobody_sees_the_writes_of_other_groups(bench, disk):
    """Not even without the built-in list of hidden paths."""
    bench.settings.update(REAPER_OVERLAY_ISOLATION="pod", REAPER_FILTER_MODE="replace")
    other = Running(bench, f"{WRITE}; echo; exec sleep 600", name="a")
    other.line()
    (key,) = entries(disk)
    script = f"cat {disk}/{key}/upper/etc/reaper-test-was-here; find /mnt -name 'reaper-test-was-here' 2>/dev/null"
    assert said(bench, f"({script}) 2>/dev/null; true", name="b") == ""
    other.kill()
    assert entries(disk) == set()


def test_what_cannot_hold_uppers_is_refused_by_name(bench, disk):
    plain = disk / "plain"
    plain.mkdir(0o700)
    bench.settings["REAPER_UPPER_BASE"] = str(plain)
    assert f"{plain}: no mount point: workloads could fill the disk" in refusal(bench)
    disk.chmod(0o770)
    bench.settings["REAPER_UPPER_BASE"] = str(disk)
    assert "others than root may write it" in refusal(bench)
    disk.chmod(0o700)
    for part in "lower", "upper", "work", "merged":
        (disk / part).mkdir()
    layers = f"lowerdir={disk}/lower,upperdir={disk}/upper,workdir={disk}/work"
    subprocess.run(["mount", "-t", "overlay", "reaper-test", "-o", layers, disk / "merged"], check=True)
    bench.settings["REAPER_UPPER_BASE"] = str(disk / "merged")
    assert "overlay cannot hold the upper layer of an overlay" in refusal(bench)
    subprocess.run(["umount", disk / "merged"], check=True)


def test_a_limit_of_its_own_needs_project_quotas(bench, disk):
    """The file system here has none: tests/vm has one."""
    bench.settings.update(REAPER_OVERLAY_ISOLATION="pod")
    with pytest.raises(RpcError, match="has no project quotas"):
        said(bench, "true", name="a", annotations={"reaper.runtime/upper-size": "2M"})
    assert said(bench, "echo in", name="b") == "in\n"


# ---- what is a pod's own lies with its containers, where containerd counts it ----

POD = {"io.kubernetes.cri.container-type": "sandbox", "io.kubernetes.cri.sandbox-id": "pod",
       "io.kubernetes.cri.sandbox-namespace": "team", "io.kubernetes.cri.sandbox-name": "web-0"}  # fmt: skip
MEMBER = {**POD, "io.kubernetes.cri.container-type": "container", "io.kubernetes.cri.container-name": "main"}


class Pod:
    """A sandbox and its containers, each with a snapshot as containerd's overlay snapshotter makes them."""

    def __init__(self, bench, where):
        self.bench, self.where = bench, where
        self.sandbox = self.start("pod", "/bin/true", annotations=POD)

    def snapshot(self, name):
        return self.where / name / "fs"

    def place(self, name):
        return self.snapshot(name) / ".reaper"

    def create(self, name, script, kind="overlay", annotations=MEMBER):
        for each in ("fs", "work"):
            (self.where / name / each).mkdir(parents=True)
        mount = {
            # what containerd asks for when the image has layers, and when it has none
            "overlay": {"type": "overlay", "source": "overlay",
                        "options": ["index=off", f"workdir={self.where}/{name}/work", f"upperdir={self.snapshot(name)}", "lowerdir=/none"]},
            "bind": {"type": "bind", "source": str(self.snapshot(name)), "options": ["rw", "rbind"]},
            "readonly": {"type": "bind", "source": str(self.snapshot(name)), "options": ["ro", "rbind"]},
            "disk": {"type": "ext4", "source": "/dev/mapper/snapshot", "options": []},
        }[kind]  # fmt: skip
        c = self.bench.container("/bin/sh", "-c", script, name=name, annotations=annotations)
        c.create(rootfs=[mount])
        return c

    def start(self, name, script="exec sleep 600", **how):
        c = self.create(name, script, **how)
        c.call("Start")
        return c

    def stop(self, c):
        c.call("Kill", signal=9)
        c.call("Wait")
        c.call("Delete")

    def written(self, name):
        """Files of what containerd would count, but for those that an overlay is just making (work/)."""
        return sorted(file for top, _, files in os.walk(self.snapshot(name)) if "/upper" in top for file in files)

    def end(self):
        self.stop(self.sandbox)
        self.sandbox.call("Shutdown")
        until(self.sandbox.gone)


@pytest.fixture
def pod(bench, request):
    bench.settings.update(REAPER_OVERLAY_ISOLATION="pod", **getattr(request, "param", {}))
    where = pathlib.Path(tempfile.mkdtemp(prefix="reaper-test-", dir="/var/tmp"))
    made = Pod(bench, where)
    yield made
    made.end()
    for name in ("one", "two", "pod"):
        if (bench.directory / name).exists():
            bench.delete(name)
    # what was put aside goes with the sandbox's snapshot
    assert not list(where.glob("*/fs/.reaper/[!.]*")), "something is left in a snapshot"
    remove_tree(where)


FILE = "reaper-test-was-here"


def see(c, name="see"):
    """Whether the pod's file is there for the container, as an exec of it."""
    c.call("Exec", exec_id=name, spec=exec_spec("/bin/cat", f"/etc/{FILE}"))
    c.call("Start", exec_id=name)
    status = c.call("Wait", exec_id=name).exit_status
    c.call("Delete", exec_id=name)
    return status == 0


@pytest.mark.parametrize("kind", ["overlay", "bind"])
def test_a_pods_writes_are_its_containers_writable_layer(bench, pod, kind):
    """They outlive each of its containers, and containerd removes a snapshot with its container."""
    one = pod.start("one", f"{WRITE}; exec sleep 600", kind=kind)
    until(lambda: FILE in pod.written("one"))
    two = pod.start("two", kind=kind)
    assert see(two)
    assert (pod.written("pod"), pod.written("two")) == ([], [])
    pod.stop(one)
    assert pod.written("one") == [] and FILE in pod.written("two")
    remove_tree(pod.snapshot("one"))
    assert see(two, "again")
    two.call("Exec", exec_id="w", spec=exec_spec("/bin/sh", "-c", "echo x >/etc/reaper-test-second"))
    two.call("Start", exec_id="w")
    two.call("Wait", exec_id="w")
    two.call("Delete", exec_id="w")
    pod.stop(two)  # nothing runs: the sandbox keeps it
    assert {FILE, "reaper-test-second"} <= set(pod.written("pod")) and pod.written("two") == []
    for name in ("one", "two"):
        bench.delete(name)
        remove_tree(pod.where / name)
    again = pod.start("one", kind=kind)  # the kubelet starts a container anew
    assert see(again) and FILE in pod.written("one") and pod.written("pod") == []
    (key,) = json.loads(reaperctl(bench, "overlay", "list", "--json"))
    assert f"added    /etc/{FILE}\n" in reaperctl(bench, "overlay", "diff", "--group", key)
    pod.stop(again)


def test_a_create_that_fails_takes_no_writes_along(bench, pod):
    one = pod.start("one", f"{WRITE}; exec sleep 600")
    until(lambda: FILE in pod.written("one"))
    pod.stop(one)
    with pytest.raises(RpcError):
        pod.create("two", "true", annotations={**MEMBER, "reaper.runtime/user": "nobody-of-that-name"})
    assert FILE in pod.written("pod") and pod.written("two") == []


def test_a_generation_that_was_put_aside_moves_as_well(bench, pod):
    one = pod.start("one", f"{WRITE}; exec sleep 600")
    until(lambda: FILE in pod.written("one"))
    two = pod.start("two")
    (key,) = json.loads(reaperctl(bench, "overlay", "list", "--json"))
    reaperctl(bench, "overlay", "reset", "--group", key)
    pod.stop(one)
    remove_tree(pod.snapshot("one"))
    assert see(two)
    pod.stop(two)


@pytest.mark.parametrize(("pod", "why"), [
    ({}, "readonly"), ({}, "disk"), ({"REAPER_UPPER_BASE": "none"}, "none"), ({}, "size"), ({}, "filesystem"),
], indirect=["pod"], ids=["readonly", "disk", "none", "size", "filesystem"])  # fmt: skip
def test_where_a_snapshot_does_not_serve_they_are_in_memory(bench, pod, why):
    how = {}
    if why in ("readonly", "disk"):
        how["kind"] = why
    if why == "size":
        how["annotations"] = {**MEMBER, "reaper.runtime/upper-size": "4M"}
    if why == "filesystem":
        (pod.where / "one").mkdir()
        subprocess.run(["mount", "-t", "tmpfs", "reaper-test", pod.where / "one"], check=True)
    one = pod.start("one", f"{WRITE}; exec sleep 600", **how)
    until(lambda: see(one))
    assert pod.written("one") == []
    (group,) = json.loads(reaperctl(bench, "overlay", "list", "--json")).values()
    assert 0 < group["used_bytes"] < 1 << 20
    pod.stop(one)
    if why == "filesystem":
        subprocess.run(["umount", pod.where / "one"], check=True)


def test_a_killed_shim_leaves_nothing_in_a_snapshot(bench, pod):
    one = pod.start("one", f"{WRITE}; exec sleep 600")
    until(lambda: FILE in pod.written("one"))
    os.kill(one.shim_pid, signal.SIGKILL)
    until(one.gone)
    bench.delete("one")
    bench.delete("pod")
    assert not pod.place("one").exists()
    pod.end = lambda: None
