"""Groups of containers that share a view of the host: who is in one, what they share, how it ends."""

import errno
import json
import os
import pathlib
import signal
import subprocess
import sys

import pytest

import bench as benches
from bench import spec
from machine import BINARIES, SOURCE
from running import Running, bind, said, with_caps
from ttrpc import RpcError
from waiting import until

pytestmark = pytest.mark.submission("who shares files and mounts with whom is what isolation means here")

GROUPS = pathlib.Path("/run/reaper/groups")
PINS = pathlib.Path("/run/reaper/ns")
UPPER = pathlib.Path("/run/reaper/overlay/upper")


def cri(namespace, pod, sandbox, **annotations):
    """What containerd's CRI plugin writes into a container's annotations."""
    made = {
        "io.kubernetes.cri.container-type": "container",
        "io.kubernetes.cri.sandbox-id": sandbox,
        "io.kubernetes.cri.sandbox-namespace": namespace,
        "io.kubernetes.cri.sandbox-name": pod,
    }
    made.update({f"reaper.runtime/{k.replace('_', '-')}": v for k, v in annotations.items()})
    return {"annotations": made}


def reaperctl(bench, *argv):
    return subprocess.run(
        [BINARIES / "reaperctl", *argv], env=bench.environment(), check=True, capture_output=True, text=True
    ).stdout


def groups(bench):
    return json.loads(reaperctl(bench, "overlay", "list", "--json"))


def log_of(bench, number=-1):
    try:
        return os.read(bench.logs[number], 1 << 16).decode()
    except BlockingIOError:
        return ""


WRITE, READ = "echo x >/etc/reaper-test-was-here", "cat /etc/reaper-test-was-here 2>/dev/null; true"


# ---- scopes ----


@pytest.mark.parametrize("isolation, together", [("node", ["a", "b", "c"]), ("namespace", ["a", "b"]), ("pod", ["a"])])
def test_a_write_is_seen_in_its_scope_and_nowhere_else(bench, isolation, together):
    bench.settings["REAPER_OVERLAY_ISOLATION"] = isolation
    pods = {"a": cri("one", "a", "a"), "b": cri("one", "b", "b"), "c": cri("two", "c", "c")}
    keeper = Running(bench, f"{WRITE}; echo; exec sleep 600", name="a", **pods["a"])
    keeper.line()
    assert pathlib.Path(f"/proc/{keeper.pid}/root/etc/reaper-test-was-here").exists()
    seen = ["a"] + [name for name in "bc" if said(bench, READ, name=name, **pods[name])]
    keeper.kill()
    assert seen == together
    assert not os.path.exists("/etc/reaper-test-was-here")
    if isolation == "node":
        assert (UPPER / "etc/reaper-test-was-here").read_text() == "x\n"
        # it survives its pods: their next container still sees it
        assert said(bench, READ, name="d", **cri("three", "d", "d")) == "x\n"


def test_a_name_makes_a_group_within_its_scope(bench):
    bench.settings["REAPER_OVERLAY_ISOLATION"] = "namespace"
    assert said(bench, WRITE, name="a", **cri("one", "a", "a", overlay_name="build/../x y")) == ""
    seen = {
        "same": said(bench, READ, name="b", **cri("one", "b", "b", overlay_name="build/../x y")),
        "no name": said(bench, READ, name="c", **cri("one", "c", "c")),
        "other name": said(bench, READ, name="d", **cri("one", "d", "d", overlay_name="build")),
        "other namespace": said(bench, READ, name="e", **cri("two", "e", "e", overlay_name="build/../x y")),
    }
    assert {k for k, v in seen.items() if v} == {"same"}
    listed = groups(bench)
    key = "namespace.one.build_2f_2e_2e_2fx_20y"
    assert (listed[key]["scope"], listed[key]["namespace"], listed[key]["name"]) == ("namespace", "one", "build/../x y")
    assert listed[key]["upper"] == f"{GROUPS}/{key}/overlay/upper"
    assert json.loads(reaperctl(bench, "overlay", "gc", "--json"))["removed"] == len(listed)
    assert groups(bench) == {}
    assert list(GROUPS.iterdir()) == []


def test_the_list_names_the_pods_of_each_group(bench):
    bench.settings["REAPER_OVERLAY_ISOLATION"] = "namespace"
    bodies = [("one", "a"), ("one", "b"), ("two", "c")]
    running = [Running(bench, "echo; exec sleep 600", name=pod, **cri(ns, pod, pod)) for ns, pod in bodies]
    for each in running:
        each.line()
    # one that has ended is not among them
    said(bench, "true", name="d", **cri("two", "d", "d"))
    listed = groups(bench)
    assert {key: g["pods"] for key, g in listed.items()} == {"namespace.one": ["one/a", "one/b"], "namespace.two": ["two/c"]}
    assert "namespace.one  one/a, one/b\n" in reaperctl(bench, "overlay", "list")
    for each in running:
        each.kill()
    assert [g["pods"] for g in groups(bench).values()] == [[], []]


def test_each_group_has_a_limit_of_its_own(bench):
    bench.settings.update(REAPER_OVERLAY_ISOLATION="namespace", REAPER_UPPER_SIZE="2M")
    full = "head -c 4M /dev/zero >/var/tmp/fill 2>/dev/null; stat -c %s /var/tmp/fill"
    assert 1 << 20 < int(said(bench, full, name="a", **cri("one", "a", "a"))) <= 2 << 20
    assert said(bench, "head -c 1M /dev/zero >/var/tmp/x && echo fits", name="b", **cri("two", "b", "b")) == "fits\n"


def test_a_pods_group_goes_with_the_pod(bench):
    bench.settings["REAPER_OVERLAY_ISOLATION"] = "pod"
    pod = Running(bench, f"{WRITE}; echo; exec sleep 600", name="a", **cri("one", "a", "a"))
    pod.line()
    (key,) = groups(bench)
    assert groups(bench)[key]["pod"] == "one/a"
    assert os.path.ismount(GROUPS / key / "overlay")
    pod.kill()  # and the shim is gone when this returns
    assert groups(bench) == {}
    assert not (GROUPS / key).exists() and not (PINS / key).exists()


def test_delete_removes_the_group_of_a_pod_whose_shim_was_killed(bench):
    bench.settings["REAPER_OVERLAY_ISOLATION"] = "pod"
    pod = Running(bench, "echo; exec sleep 600", name="a", **cri("one", "a", "a"))
    pod.line()
    (key,) = groups(bench)
    os.kill(pod.container.shim_pid, signal.SIGKILL)
    until(pod.container.gone)
    assert (GROUPS / key).exists()
    bench.delete("a")
    os.close(pod.reader)
    os.unlink(pod.container.path) if os.path.exists(pod.container.path) else None
    assert groups(bench) == {}
    assert not (GROUPS / key).exists() and not (PINS / key).exists()


def test_the_powerful_get_an_upper_of_their_own_if_the_node_says_so(bench):
    powerful = with_caps("CAP_SYS_ADMIN")
    assert said(bench, WRITE, name="a", **powerful) == ""
    assert said(bench, READ, name="b") == "x\n"  # the default: one trust domain
    bench.settings["REAPER_OVERLAY_TRUST"] = "separate"
    script = f"{READ}; echo y >/etc/reaper-test-was-here; ls -d /etc/reaper-test-was-here"
    assert said(bench, script, name="c", **powerful) == "/etc/reaper-test-was-here\n"
    assert said(bench, READ, name="d") == "x\n"
    assert list(groups(bench)) == ["node"]  # that of the powerful one went with it
    # a name cannot bring it to others, and it is told so
    named = Running(bench, "echo; exec sleep 600", name="e", **powerful, **cri("one", "e", "e", overlay_name="x"))
    named.line()
    assert log_of(bench).count("overlay-name does not count") == 1
    assert {g["scope"] for g in groups(bench).values()} == {"node", "separate"}
    named.kill()


def test_without_an_overlay_the_container_is_refused_with_the_reason(bench):
    """Nothing ever runs on the host's own files."""
    reaperctl(bench, "overlay", "gc", "--all")
    GROUPS.parent.mkdir(exist_ok=True)
    (GROUPS.parent / "ns").write_text("in the way\n")
    try:
        with pytest.raises(RpcError, match="/run/reaper/ns: is not a directory: remove it, Reaper makes it anew"):
            said(bench, "true")
    finally:
        (GROUPS.parent / "ns").unlink()


# ---- mounts at run time ----


MOUNT = "mount -t tmpfs reaper-run-time /mnt && echo of the first >/mnt/file && echo"


def mounts_of(pid):
    return pathlib.Path(f"/proc/{pid}/mountinfo").read_text()


def sees(pod):
    return pathlib.Path(f"/proc/{pod.pid}/root/mnt/file").exists()


def test_what_one_mounts_while_it_runs_appears_in_the_others(bench, sources):
    for name in ("b", "c"):
        (sources / name).mkdir()
        (sources / name / "token").write_text(f"token of {name}\n")
    volume = {name: bind(sources / name, "/srv/token-test", "ro") for name in ("b", "c")}
    other = Running(bench, "echo; exec sleep 600", volume["b"], name="b")
    other.line()
    first = Running(bench, f"{MOUNT}; exec sleep 600", volume["c"], name="c", **with_caps("CAP_SYS_ADMIN"))
    first.line()
    assert sees(other), mounts_of(other.pid)
    # one that is started later; the mount outlives the one who made it
    first.kill()
    assert said(bench, "cat /mnt/file", name="d") == "of the first\n"
    # and a volume does not get out, in neither direction
    assert pathlib.Path(f"/proc/{other.pid}/root/srv/token-test/token").read_text() == "token of b\n"
    assert said(bench, "ls -A /srv/token-test; cat /proc/self/mountinfo | grep token-test; true", name="e") == ""
    # nor anything to the host
    assert "reaper-run-time" not in mounts_of(os.getpid())
    assert said(bench, "umount /mnt; ls /mnt/file 2>/dev/null; true", name="f", **with_caps("CAP_SYS_ADMIN")) == ""
    assert not sees(other)
    other.kill()


@pytest.mark.parametrize("annotation, isolation", [("private", "node"), (None, "namespace")])
def test_private_mounts_stay_where_they_are(bench, annotation, isolation):
    bench.settings["REAPER_OVERLAY_ISOLATION"] = isolation
    more = {"mounts": annotation} if annotation else {}
    admin = with_caps("CAP_SYS_ADMIN")
    other = Running(bench, "echo; exec sleep 600", name="b", **cri("one", "b", "b", **more))
    first = Running(bench, f"{MOUNT}; exec sleep 600", name="a", **admin, **cri("one", "a", "a", **more))
    other.line()
    first.line()
    assert sees(first) and not sees(other)
    assert said(bench, "ls /mnt/file 2>/dev/null; true", name="c", **cri("one", "c", "c", **more)) == ""
    first.kill()
    other.kill()


def test_a_private_container_does_not_see_what_sharing_ones_mount_later(bench):
    private = Running(bench, "echo; exec sleep 600", name="b", **cri("one", "b", "b", mounts="private"))
    private.line()
    first = Running(bench, f"{MOUNT}; exec sleep 600", name="a", **with_caps("CAP_SYS_ADMIN"))
    first.line()
    assert not sees(private)
    first.kill()
    private.kill()


def test_shared_mounts_by_annotation_in_a_scope_that_has_them_private(bench):
    bench.settings["REAPER_OVERLAY_ISOLATION"] = "namespace"
    admin = with_caps("CAP_SYS_ADMIN")
    other = Running(bench, "echo; exec sleep 600", name="b", **cri("one", "b", "b", mounts="shared"))
    other.line()
    first = Running(bench, f"{MOUNT}; exec sleep 600", name="a", **admin, **cri("one", "a", "a", mounts="shared"))
    first.line()
    assert sees(other)
    assert said(bench, "ls /mnt/file 2>/dev/null; true", name="c", **cri("two", "c", "c", mounts="shared")) == ""
    first.kill()
    other.kill()


MOVE_MOUNT, MOVE_MOUNT_SET_GROUP = 429, 0x100


@pytest.mark.parametrize("error", ["EINVAL", "EPERM", "ENOSYS"])
def test_before_linux_5_15_mounts_stay_private_and_the_log_says_so(bench, tmp_path, monkeypatch, error):
    other = Running(bench, "echo; exec sleep 600", name="b")
    other.line()
    wrapper = tmp_path / "shim"
    words = [sys.executable, SOURCE / "tests/support/deny.py", MOVE_MOUNT, 4, MOVE_MOUNT_SET_GROUP, getattr(errno, error)]
    wrapper.write_text(f"#!/bin/sh\nexec {' '.join(map(str, words))} -- {benches.SHIM} \"$@\"\n")
    wrapper.chmod(0o755)
    monkeypatch.setattr(benches, "SHIM", wrapper)
    first = Running(bench, f"{MOUNT}; exec sleep 600", name="a", **with_caps("CAP_SYS_ADMIN"))
    first.line()
    assert sees(first) and not sees(other)
    log = log_of(bench)
    assert "what it mounts stays private" in log and "Linux 5.15" in log
    first.kill()
    other.kill()


def test_unmounting_its_own_volumes_takes_nothing_from_the_others(bench, sources):  # noqa: F811
    """Unmounts travel as mounts do: to whatever lies at the same place of a peer."""
    (sources / "dir").mkdir()
    (sources / "dir" / "token").write_text("token\n")
    (sources / "resolv.conf").write_text("of the pod\n")
    volumes = [bind(sources / "dir", "/srv/token-test"), bind(sources / "resolv.conf", "/etc/resolv.conf")]
    places = "/srv/token-test /proc /sys /dev /run"
    other = Running(bench, "echo; exec sleep 600", *volumes, name="b")
    other.line()
    before = mounts_of(other.pid)
    # more often than there is anything to unmount, by several, in each way that there is
    script = "for i in 1 2 3 4; do for p in %s; do umount -R $p; umount -l $p; umount $p; done; done 2>/dev/null; true"
    for name in ("c", "d", "e"):
        said(bench, script % places, *volumes, name=name, **with_caps("CAP_SYS_ADMIN"))
    assert mounts_of(other.pid) == before
    # a file as well, as long as it is its own that each of them unmounts
    for name in ("f", "g", "h"):
        said(bench, "umount -l /etc/resolv.conf", *volumes, name=name, **with_caps("CAP_SYS_ADMIN"))
    assert mounts_of(other.pid) == before
    said(bench, script % "/etc/resolv.conf", *volumes, name="i", **with_caps("CAP_SYS_ADMIN"))
    assert pathlib.Path(f"/proc/{other.pid}/root/etc/resolv.conf").read_text() == "of the pod\n"
    other.kill()


@pytest.mark.parametrize("how", ["Delete", "delete"])
def test_a_volume_that_was_bound_elsewhere_goes_with_its_container(bench, sources, how):
    """Its token would stay readable, and its device attached."""
    pod, host = sources / "pods/uid/volumes/token", sources / "of-the-host"
    for directory in (pod, host):
        directory.mkdir(parents=True)
        (directory / "file").write_text(f"{directory.name}\n")
    volumes = [bind(pod, "/srv/token-test"), bind(host, "/srv/host-test")]
    other = Running(bench, "echo; exec sleep 600", name="b")
    other.line()
    script = "mount --bind /srv/token-test /mnt && mount --bind /srv/host-test /media && echo; exec sleep 600"
    first = Running(bench, script, *volumes, name="a", **with_caps("CAP_SYS_ADMIN"))
    first.line()
    assert pathlib.Path(f"/proc/{other.pid}/root/mnt/file").read_text() == "token\n"
    if how == "delete":
        os.kill(first.container.shim_pid, signal.SIGKILL)
        until(first.container.gone)
        bench.delete("a")
        os.close(first.reader)
        os.unlink(first.container.path) if os.path.exists(first.container.path) else None
    else:
        first.kill()
    assert not sees(other)
    assert "pods/uid" not in said(bench, "cat /proc/self/mountinfo", name="c")
    # a hostPath is nobody's, and its mount is the group's
    assert said(bench, "cat /media/file; umount /media", name="d", **with_caps("CAP_SYS_ADMIN")) == "of-the-host\n"
    other.kill()


# ---- how much a group may write ----


FILL = "head -c 64M /dev/zero 2>&1 >/var/tmp/fill | grep -o 'No space'; stat -c %s /var/tmp/fill"


def refusal(bench, **fields):
    with pytest.raises(RpcError) as error:
        said(bench, "true", **fields)
    return str(error.value)


def test_an_annotation_narrows_what_a_named_group_may_write(bench):
    bench.settings["REAPER_UPPER_SIZE"] = "32M"
    ask = {"overlay_name": "small", "upper_size": "3M"}
    word, size = said(bench, FILL, name="a", **cri("one", "a", "a", **ask)).split("\n")[:2]
    assert word == "No space" and 2 << 20 < int(size) <= 3 << 20
    # another pod of the group that asks for as much, or for nothing, is in it
    assert said(bench, "echo in", name="b", **cri("one", "b", "b", **ask)) == "in\n"
    assert said(bench, "echo in", name="c", **cri("one", "c", "c", overlay_name="small")) == "in\n"
    # less than it has cannot be had, and a second limit is nobody's to set
    text = refusal(bench, name="d", **cri("one", "d", "d", overlay_name="small", upper_size="2M"))
    assert "the group node.small is there already and may write 3145728 bytes" in text
    # the node's own group is as it was
    word, size = said(bench, FILL, name="e", **cri("one", "e", "e")).split("\n")[:2]
    assert word == "No space" and 16 << 20 < int(size) <= 32 << 20


def test_an_annotation_widens_nothing_and_is_not_for_everybodys_group(bench):
    bench.settings["REAPER_UPPER_SIZE"] = "8M"
    text = refusal(bench, name="a", **cri("one", "a", "a", overlay_name="large", upper_size="9M"))
    assert "9437184 bytes are more than the node's REAPER_UPPER_SIZE, 8388608" in text
    text = refusal(bench, name="b", **cri("one", "b", "b", upper_size="2M"))
    assert "this pod writes where all pods of the node write" in text
    text = refusal(bench, name="c", **cri("one", "c", "c", overlay_name="odd", upper_size="10%"))
    assert 'upper-size: "10%": must be bytes' in text
    assert groups(bench) == {}


def test_inodes_have_a_limit_too(bench):
    bench.settings.update(REAPER_OVERLAY_ISOLATION="namespace", REAPER_UPPER_INODES="1024")
    script = "cd /var/tmp && i=0; while : 2>/dev/null >f$i; do i=$((i + 1)); done; echo $i"
    made = int(said(bench, f"sh -c '{script}' 2>/dev/null || ls /var/tmp | wc -l", name="a", **cri("one", "a", "a")))
    assert 900 < made < 1024


def test_a_writer_beyond_its_own_memory_is_killed_and_nobody_else(bench):
    """What lies on the tmpfs is charged to the container that wrote it."""
    bench.settings.update(REAPER_OVERLAY_ISOLATION="namespace", REAPER_UPPER_SIZE="512M")
    limit = {"memory": {"limit": 32 << 20, "swap": 32 << 20}, "devices": [{"allow": False, "access": "rwm"}]}
    other = Running(bench, "echo; exec sleep 600", name="other", **cri("one", "other", "other"))
    other.line()
    writer = Running(bench, "exec head -c 200M /dev/zero >/var/tmp/fill", name="writer",
                     linux={**spec("x")["linux"], "resources": limit}, **cri("one", "writer", "writer"))  # fmt: skip
    assert writer.container.call("Wait").exit_status == 137
    assert os.path.exists(f"/proc/{other.pid}/root")
    other.kill()
    os.close(writer.reader)
    writer.container.end()
