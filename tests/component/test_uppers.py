"""REAPER_UPPER_BASE: what workloads write lies on a disk, and what a reboot does to it."""

import json
import os
import pathlib
import subprocess
import tempfile

import pytest

from machine import BINARIES
from running import Running, said
from ttrpc import RpcError

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
    fill = "head -c 200M /dev/zero 2>&1 >/var/tmp/fill | grep -o 'No space'; stat -c %s /var/tmp/fill"
    word, size = said(bench, fill, name="a").split("\n")[:2]
    assert word == "No space" and 16 << 20 < int(size) < 64 << 20
    assert os.path.getsize(disk / "node/upper/var/tmp/fill") == int(size)
    assert json.loads(reaperctl(bench, "overlay", "list", "--json"))["node"]["size_bytes"] < 64 << 20
    assert "added    /var/tmp/fill\n" in reaperctl(bench, "overlay", "diff")
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
