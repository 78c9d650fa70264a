"""Volumes as Kubernetes promises them: exactly there, exactly so, gone with the container, and no trace on the host."""

import contextlib
import os
import pathlib
import subprocess

import pytest

from bench import spec
from running import Running, bind, mounted, said
from ttrpc import RpcError
from waiting import until

pytestmark = pytest.mark.submission("kubelet's volumes are these binds; each takes milliseconds")

HOLD = "echo ready; exec sleep 600"
ADMIN = {"process": {"capabilities": {k: ["CAP_SYS_ADMIN"] for k in ("bounding", "effective", "permitted")}}}


def missing(places):
    """Of each place the first part that the host does not have."""
    found = set()
    for place in places:
        parts = [pathlib.Path(place), *pathlib.Path(place).parents]
        found |= {str(p) for p in parts if not os.path.lexists(p) and os.path.lexists(p.parent)}
    return found


def mounts_of(pid):
    lines = pathlib.Path(f"/proc/{pid}/mountinfo").read_text().splitlines()
    return {line.split()[4]: line for line in lines}


DESTINATIONS = {
    "a new directory of the root": "/reaper-volume/a/b",
    "below /usr": "/usr/share/reaper-volume",
    "below another file system of the host": "{other}/a/b",
    "below the private /dev": "/dev/reaper/a",
    "below the private /run": "/run/reaper-volume/a",
    "through a link of the host": "/var/run/reaper-link",
    "instead of a directory of the host": "/usr/share/doc",
    "below another volume": "/reaper-volume/outer/inner/deep",
}


@pytest.mark.parametrize("what", ["directory", "file"])
def test_mount_points_are_made_and_never_on_the_host(bench, sources, what):
    """Also for a single file, as subPath makes it."""
    (sources / "dir").mkdir()
    (sources / "dir" / "file").write_text("of the volume\n")
    (sources / "outer").mkdir()
    with mounted() as other:
        places = [p.format(other=other) for p in DESTINATIONS.values()]
        if what == "file":
            places = [f"{p}/file.txt" for p in places]
            volumes = [bind(sources / "dir" / "file", p) for p in places]
            script = "cat " + " ".join(places)
        else:
            volumes = [bind(sources / "dir", p) for p in places]
            script = "cat " + " ".join(f"{p}/file" for p in places)
        before = missing(places)
        text = said(bench, script, bind(sources / "outer", "/reaper-volume/outer"), *volumes)
        assert text == "of the volume\n" * len(places)
        assert len(before) > 4 and missing(places) == before
        assert list(other.iterdir()) == []
    # in a volume the mount point is made: that is what the pod asked for
    assert (sources / "outer" / "inner").is_dir()


def test_a_mount_point_in_a_file_system_of_the_host_that_is_bound_is_not_made(bench, sources, monkeypatch):
    (sources / "dir").mkdir()
    with mounted() as other:
        monkeypatch.setenv("REAPER_SUBMOUNTS", f"{other}=bind")
        (other / "there").mkdir()
        assert said(bench, f"ls -d {other}/there", bind(sources / "dir", f"{other}/there")) == f"{other}/there\n"
        with pytest.raises(RpcError, match=f"{other}/new"):
            said(bench, "true", bind(sources / "dir", f"{other}/new"), name="two")
        assert sorted(p.name for p in other.iterdir()) == ["there"]


def test_what_a_pod_mounts_reaches_the_host_only_with_bidirectional(bench, sources):
    """rshared is Bidirectional, rslave HostToContainer, rprivate None; the volume is shared on the host."""
    volume = sources / "volume"
    volume.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "reaper-volume", volume], check=True)
    subprocess.run(["mount", "--make-shared", volume], check=True)
    for kind in ("rshared", "rslave", "rprivate"):
        (volume / kind).mkdir()
        script = f"mount -t tmpfs reaper-inner /v/{kind} && echo mounted; exec sleep 600"
        pod = Running(bench, script, bind(volume, "/v", kind), name=kind, **ADMIN)
        assert pod.line() == "mounted\n"
        assert os.path.ismount(volume / kind) == (kind == "rshared")
        pod.kill()
    # what the pod has mounted for the host stays: it is the host's now
    assert os.path.ismount(volume / "rshared")
    subprocess.run(["umount", volume / "rshared"], check=True)
    subprocess.run(["umount", volume], check=True)


def test_a_pod_that_may_mount_changes_nothing_elsewhere_on_the_host(bench):
    before = pathlib.Path("/proc/self/mountinfo").read_text()
    script = """
        mkdir -p /mnt/reaper-here; mount -t tmpfs x /mnt/reaper-here; mount -t tmpfs x /etc; mount -t tmpfs x /dev/shm
        mount --make-rshared / ; mount --bind /usr /srv; umount -l /sys; echo done; exec sleep 600
    """
    pod = Running(bench, script, **ADMIN)
    assert pod.line() == "done\n"
    after = pathlib.Path("/proc/self/mountinfo").read_text()
    pod.kill()
    assert [line for line in after.splitlines() if line not in before and "/run/reaper" not in line] == []


@pytest.mark.parametrize("place", ["/dev/termination-log", "/tmp/a/b/log", "/var/log/reaper/end", "/run/end", "/etc/hostname"])
def test_a_termination_message_at_any_path(bench, sources, place):
    message = sources / "message"
    message.write_text("")
    existed = os.path.exists(place)
    assert said(bench, f"echo the end >{place}", bind(message, place)) == ""
    assert message.read_text() == "the end\n"
    assert os.path.exists(place) == existed


def test_an_atomically_written_volume_is_seen_to_change(bench, sources):
    """A ConfigMap, a Secret or a token: kubelet renames ..data below the bound directory."""
    volume = sources / "config"
    for version in ("one", "two"):
        (volume / f"..{version}").mkdir(parents=True)
        (volume / f"..{version}" / "key").write_text(f"{version}\n")
    (volume / "..data").symlink_to("..one")
    (volume / "key").symlink_to("..data/key")
    pod = Running(bench, HOLD, bind(volume, "/config", "ro"))
    pod.line()
    seen = pathlib.Path(f"/proc/{pod.pid}/root/config/..data/key")
    assert seen.read_text() == "one\n"
    (volume / "..data_tmp").symlink_to("..two")
    (volume / "..data_tmp").rename(volume / "..data")
    assert seen.read_text() == "two\n"
    pod.kill()


def test_a_read_only_volume_with_a_writable_one_below(bench, sources):
    for name in ("outer", "inner", "outer/inner"):
        (sources / name).mkdir()
    script = "echo x 2>/dev/null >/v/x || echo refused; echo x >/v/inner/x && echo written"
    text = said(bench, script, bind(sources / "outer", "/v", "ro"), bind(sources / "inner", "/v/inner", "rw"))
    assert text == "refused\nwritten\n"
    assert (sources / "inner" / "x").exists()


def test_a_mount_that_is_read_only_on_the_host_stays_it(bench, sources):
    (sources / "dir").mkdir()
    subprocess.run(["mount", "--bind", sources / "dir", sources / "dir"], check=True)
    subprocess.run(["mount", "-o", "remount,bind,ro", sources / "dir"], check=True)
    try:
        assert said(bench, "echo x 2>/dev/null >/v/x || echo refused", bind(sources / "dir", "/v", "rw")) == "refused\n"
    finally:
        subprocess.run(["umount", sources / "dir"], check=True)


def test_a_memory_volume_has_its_size_and_modes(bench):
    """`emptyDir: medium: Memory` comes as a bind; what an OCI client mounts itself as a tmpfs."""
    text = said(
        bench, "stat -f -c %b /cache; stat -c '%a %u' /cache; head -c 20000 /dev/zero 2>&1 >/cache/x | grep -o 'No space'",
        ("/cache", "tmpfs", "tmpfs", ["nosuid", "nodev", "size=16k", "mode=1770", "uid=7"]),
    )  # fmt: skip
    assert text == "4\n1770 7\nNo space\n"


@contextlib.contextmanager
def loop_device(directory):
    image = directory / "disk"
    image.write_bytes(b"of the disk\n".ljust(1 << 20, b"\0"))
    device = subprocess.run(["losetup", "--find", "--show", image], check=True, capture_output=True, text=True).stdout.strip()
    try:
        yield device
    finally:
        subprocess.run(["losetup", "--detach", device], check=True)


def test_a_raw_block_volume_is_that_device_and_no_other(bench, tmp_path):
    with loop_device(tmp_path) as device:
        number = os.stat(device).st_rdev
        major, minor = os.major(number), os.minor(number)
        linux = {
            **spec("x")["linux"],
            "devices": [{"path": "/dev/xvda", "type": "b", "major": major, "minor": minor, "fileMode": 0o660, "uid": 0, "gid": 6}],
            "resources": {"devices": [{"allow": False, "access": "rwm"},
                                      {"allow": True, "type": "b", "major": major, "minor": minor, "access": "rwm"}]},
        }  # fmt: skip
        script = "stat -c '%F %a %g' /dev/xvda; head -n 1 /dev/xvda; echo by the pod >/dev/xvda; ls /dev/loop* 2>/dev/null; true"
        assert said(bench, script, linux=linux) == "block special file 660 6\nof the disk\n"
        subprocess.run(["blockdev", "--flushbufs", device], check=True)
        with open(device, "rb") as disk:
            assert disk.read(11) == b"by the pod\n"
    # nothing of the pod keeps it: the detach was not put off
    assert subprocess.run(["losetup", device], capture_output=True).returncode != 0


def test_a_device_of_the_host_can_be_detached_when_the_pod_is_gone(bench, tmp_path):
    with loop_device(tmp_path) as device:
        subprocess.run(["mkfs.ext4", "-q", device], check=True)
        with mounted(fstype="ext4", device=device) as volume:
            pod = Running(bench, "echo x >/v/x; echo ready; exec sleep 600", bind(volume, "/v"))
            assert pod.line() == "ready\n"
            assert str(volume) in mounts_of(pod.pid)["/v"] or "/v" in mounts_of(pod.pid)
            pod.kill()
            # the view has a layer of it as of every mount of the host, which follows at the next start
            subprocess.run(["umount", volume], check=True)
            assert said(bench, "echo next", name="two") == "next\n"
            # EBUSY would mean that somebody still has the file system
            until(lambda: subprocess.run(["e2fsck", "-n", device], capture_output=True).returncode == 0, what="a clean end")
            os.close(os.open(device, os.O_RDONLY | os.O_EXCL))


def test_dev_of_the_host_as_a_volume_gets_no_mount_point(bench, sources):
    """Node tools bind /dev; kubelet's termination log lies below it."""
    message = sources / "message"
    message.write_text("")
    script = "test -e /dev/null && echo x >/dev/termination-log; echo y >/dev/shm/y; ls -d /dev/loop-control"
    text = said(bench, script, bind("/dev", "/dev"), ("/dev/shm", "tmpfs", "shm", ["size=64k"]), bind(message, "/dev/termination-log"),
                linux={**spec("x")["linux"], "resources": {"devices": [{"allow": True, "access": "rwm"}]}})  # fmt: skip
    assert text == "/dev/loop-control\n"
    assert message.read_text() == "x\n"
    assert not os.path.exists("/dev/termination-log")
    assert not os.path.exists("/dev/shm/y")
