"""What a container sees of the host, and what the host does not see of it.

Each test is one of the ways in which a view that all pods share has gone wrong elsewhere.
"""

import os
import pathlib
import subprocess

import pytest

from bench import SHIM, spec
from machine import descendants, is_zombie
from running import Running, bind, mounted, said, with_mounts
from ttrpc import RpcError
from waiting import until

pytestmark = pytest.mark.submission("the view is the product; each takes milliseconds")


def test_two_pods_have_different_volumes_at_one_path(bench, sources):
    for name in ("a", "b"):
        (sources / name).mkdir()
        (sources / name / "token").write_text(f"token of {name}\n")
    script = "cat /run/token-test/token; exec sleep 600"
    pods = [Running(bench, script, bind(sources / n, "/run/token-test", "ro"), name=n) for n in ("a", "b")]
    assert [p.line() for p in pods] == ["token of a\n", "token of b\n"]
    # the second did not take the first one's away
    for name, pod in zip("ab", pods):
        path = pathlib.Path(f"/proc/{pod.pid}/root/run/token-test/token")
        assert path.read_text() == f"token of {name}\n"
    for pod in pods:
        pod.kill()


def test_no_namespace_knows_a_volume_of_a_pod_that_is_gone(bench, sources):
    """A mount of it that stays anywhere keeps its device from being detached."""
    volume = sources / "disk"
    volume.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "reaper-volume", volume], check=True)
    assert said(bench, "echo seen >/mnt/disk/file", bind(volume, "/mnt/disk")) == ""
    assert (volume / "file").read_text() == "seen\n"
    # the group's namespace still is there; a look from inside of it
    assert "reaper-volume" not in said(bench, "cat /proc/self/mountinfo", name="two").replace(str(volume), "")
    subprocess.run(["umount", volume], check=True)  # EBUSY would raise


def test_run_is_the_containers_own(bench):
    secret = bench.directory / "secret"
    secret.write_text("of the host\n")
    text = said(bench, f"ls -A /run; test ! -e {secret} && echo x >/run/from-the-pod && ls /run")
    assert text == "from-the-pod\n"
    assert not os.path.exists("/run/from-the-pod")


def test_mounts_of_the_host_are_layered_too(bench):
    with mounted() as path:
        (path / "file").write_text("of the host\n")
        pod = Running(bench, f"cat {path}/file; exec sleep 600")
        assert pod.line() == "of the host\n"
        # written in the view, not on the host's file system
        assert said(bench, f"echo x >{path}/new; cat {path}/new", name="two") == "x\n"
        assert not (path / "new").exists()
        pod.kill()


def test_what_the_host_mounts_later_below_a_bound_file_system_appears(bench):
    """A read-only or network file system is bound into the view, as a slave of the host's mount."""
    with mounted() as path:
        (path / "later").mkdir()
        subprocess.run(["mount", "-o", "remount,bind,ro", path], check=True)
        # as systemd makes every mount of a host
        subprocess.run(["mount", "--make-shared", path], check=True)
        pod = Running(bench, "echo; exec sleep 600")
        pod.line()
        subprocess.run(["mount", "-t", "tmpfs", "reaper-test", path / "later"], check=True)
        (path / "later" / "file").write_text("later\n")
        seen = pathlib.Path(f"/proc/{pod.pid}/root{path}/later/file").read_text()
        pod.kill()
        assert seen == "later\n"


def test_nothing_that_a_container_mounts_reaches_the_host(bench, sources):
    pod = Running(bench, "echo; exec sleep 600", bind(sources, "/v"))
    pod.line()
    lines = pathlib.Path(f"/proc/{pod.pid}/mountinfo").read_text().splitlines()
    pod.kill()
    assert lines and all(" shared:" not in line for line in lines)


def test_each_pod_has_its_own_hosts_and_resolv_conf_and_termination_log(bench, sources):
    pods = []
    for name in ("a", "b"):
        files = {}
        for file in ("hosts", "resolv.conf", "hostname", "termination-log"):
            files[file] = sources / f"{name}-{file}"
            files[file].write_text(f"{file} of {name}\n")
        mounts = [bind(files["hosts"], "/etc/hosts"), bind(files["resolv.conf"], "/etc/resolv.conf"),
                  bind(files["hostname"], "/etc/hostname"), bind(files["termination-log"], "/dev/termination-log")]  # fmt: skip
        script = "cat /etc/hosts; echo bye >/dev/termination-log; exec sleep 600"
        pods.append((name, files, Running(bench, script, *mounts, name=name)))
    for name, files, pod in pods:
        assert pod.line() == f"hosts of {name}\n"
        until(lambda files=files: files["termination-log"].read_text() == "bye\n")
        for file in ("resolv.conf", "hostname"):
            assert pathlib.Path(f"/proc/{pod.pid}/root/etc/{file}").read_text() == f"{file} of {name}\n"
    for _, _, pod in pods:
        pod.kill()


def test_mounts_below_dev_proc_and_sys_are_made(bench, sources):
    (sources / "file").write_text("bound\n")
    (sources / "dir").mkdir()
    (sources / "dir" / "in").write_text("in\n")
    text = said(
        bench, "cat /dev/below/in /proc/sys/kernel/domainname /sys/kernel/in; echo x >/dev/shm/y && stat -f -c %b /dev/shm",
        ("/dev/shm", "tmpfs", "shm", ["nosuid", "nodev", "size=16k"]),
        bind(sources / "dir", "/dev/below"),
        bind(sources / "file", "/proc/sys/kernel/domainname"),
        bind(sources / "dir", "/sys/kernel"),
    )  # fmt: skip
    assert text == "in\nbound\nin\n4\n"


def test_a_source_that_is_not_there_is_an_error(bench, sources):
    with pytest.raises(RpcError, match=f"/mnt/none: {sources}/none does not exist"):
        said(bench, "true", bind(sources / "none", "/mnt/none"))


def test_flags_of_a_volume_hold_for_all_below_it(bench, sources):
    volume = sources / "volume"
    (volume / "below").mkdir(parents=True)
    subprocess.run(["mount", "-t", "tmpfs", "reaper-below", volume / "below"], check=True)
    script = "cat /proc/self/mountinfo; for d in /v /v/below; do echo x 2>/dev/null >$d/x && echo written; done; true"
    text = said(bench, script, bind(volume, "/v", "rro", "nosuid", "noexec", "rnodev"))
    subprocess.run(["umount", volume / "below"], check=True)
    lines = {line.split()[4]: line.split()[5].split(",") for line in text.splitlines() if " - " in line}
    assert "written" not in text
    assert {"ro", "nosuid", "noexec"} <= set(lines["/v"])
    assert {"ro", "nodev"} <= set(lines["/v/below"])


def test_a_slave_volume_sees_what_the_host_mounts_into_it_and_a_private_one_does_not(bench, sources):
    volume = sources / "volume"
    volume.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "reaper-volume", volume], check=True)
    subprocess.run(["mount", "--make-shared", volume], check=True)
    (volume / "later").mkdir()
    pods = {p: Running(bench, "echo; exec sleep 600", bind(volume, "/v", p), name=p) for p in ("rslave", "rprivate", "rshared")}
    for pod in pods.values():
        pod.line()
    subprocess.run(["mount", "-t", "tmpfs", "reaper-later", volume / "later"], check=True)

    def sees(pod):
        return "reaper-later" in pathlib.Path(f"/proc/{pod.pid}/mountinfo").read_text()

    assert {p: sees(pod) for p, pod in pods.items()} == {"rslave": True, "rprivate": False, "rshared": True}
    subprocess.run(["umount", volume / "later"], check=True)
    for pod in pods.values():
        pod.kill()
    subprocess.run(["umount", volume], check=True)


def test_the_shared_upper_has_a_limit(bench):
    """The writer gets ENOSPC, not the node its memory pressure."""
    text = said(bench, "head -c 1 /dev/zero >/var/tmp/x; stat -f -c '%b %S' /var/tmp")
    blocks, size = map(int, text.split())
    total = int(pathlib.Path("/proc/meminfo").read_text().split()[1]) * 1024
    assert 0 < blocks * size <= total // 5


def test_no_process_keeps_the_group(bench):
    before = descendants(os.getpid())
    pod = Running(bench, "echo; exec sleep 600")
    pod.line()
    pod.kill()
    # the group is there, for the next pod, and nobody runs for it
    assert os.path.ismount("/run/reaper/overlay")
    assert {p for p in descendants(os.getpid()) - before if not is_zombie(p)} == set()


def test_sources_are_those_of_containerds_namespace(bench):
    """containerd may run with MountFlags=slave: its bundles and volumes are then seen by it alone."""
    directory = bench.directory / "private"
    directory.mkdir()
    config = spec("/bin/sh", "-c", "cat /v/file", **with_mounts(bind(directory, "/v")))
    bundle = bench.make_bundle("one", config)
    (bundle / "stdout").touch()
    script = f"""
        set -e
        mount --make-rprivate /
        mount -t tmpfs reaper-private {directory}
        echo private >{directory}/file
        exec {SHIM} "$@"
    """
    result = subprocess.run(
        ["unshare", "--mount", "sh", "-c", script, "sh", "-namespace", "component", "-address", bench.address,
         "-publish-binary", "/usr/bin/containerd", "-id", "one", "start"],
        cwd=bundle, env=bench.environment(), stdin=subprocess.DEVNULL, capture_output=True, timeout=60,
    )  # fmt: skip
    assert result.returncode == 0, result.stderr
    c = bench.adopt("one", result.stdout.decode().removeprefix("unix://"))
    stdout = c.fifo("out")
    reader = os.open(stdout, os.O_RDONLY | os.O_NONBLOCK)
    c.create(stdout=stdout)
    c.call("Start")
    assert c.call("Wait").exit_status == 0
    os.set_blocking(reader, True)
    with os.fdopen(reader, "rb") as file:
        assert file.read() == b"private\n"
    c.end()
