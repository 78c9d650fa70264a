"""The Debian package on stock nodes: apt alone makes a node that runs reaper pods, and apt alone
makes it what it was."""

import contextlib
import os
import pathlib
import signal
import subprocess

import pytest

import census

from installed import (
    CONFIG, add_pod_network, assert_does_not_serve, assert_serves, file_state, package, run_example,
)  # fmt: skip
from machine import PROGRAMS, SOURCE, descendants
from pods import Pods
from waiting import until

pytestmark = pytest.mark.submission("the way most nodes get Reaper; five to ten seconds each")

DEB = "/root/reaper.deb"


def copy_package(node):
    node.path(DEB).write_bytes(package().read_bytes())


def apt(node, *arguments, check=True):
    return node.run("apt-get", "-q", "-y", "-o", "Dpkg::Use-Pty=0", *arguments, check=check, timeout=300)


def dress(node, change):
    """Configurations as administrators leave them."""
    path = node.path(CONFIG)
    if change == "hand-made":
        path.write_bytes(b"# ours\t\r\n" + path.read_bytes() + b"# the last line has no end")
        path.chmod(0o640)
        node.run("chown", "root:daemon", CONFIG)
        node.restart_containerd()
    if change == "no file":
        path.unlink()
        # where containerd itself looks for the pod network's programs
        node.run("sh", "-c", "mkdir -p /opt/cni && ln -s /usr/lib/cni /opt/cni/bin")
        node.restart_containerd()


@pytest.mark.parametrize("change", ["as shipped", "hand-made", "no file"])
@pytest.mark.parametrize("suite", ["bookworm", "trixie"])
def test_install_run_remove(stock, suite, change):
    node = stock(suite)
    add_pod_network(node)
    dress(node, change)
    copy_package(node)
    node.run("sh", "-c", "mkdir -p /run/netns /run/containerd/fifo /run/containerd/s && touch /run/xtables.lock")
    before = file_state(node.path(CONFIG))
    taken = census.take(node)
    apt(node, "install", DEB)
    assert_serves(node)
    pods = Pods(node)
    try:
        run_example(pods)
    finally:
        pods.close()
    result = apt(node, "remove", "reaper")
    assert "warning" not in result.stderr
    assert file_state(node.path(CONFIG)) == before
    assert_does_not_serve(node)
    for program in PROGRAMS:
        assert node.run("sh", "-c", f"command -v {program}", check=False).returncode != 0
    lines = census.settle(node, taken)
    assert not lines, "\n".join(lines)


def test_purge_leaves_no_file(stock):
    node = stock("bookworm")
    copy_package(node)
    files = "find /etc /usr /opt /var/lib ! -path '/var/lib/dpkg/*' ! -path '/var/lib/containerd/*' ! -path '/var/lib/systemd/*' ! -path '/var/lib/apt/*' | sort"
    # apt makes directories and caches of its own at its first use
    apt(node, "install", DEB)
    apt(node, "purge", "reaper")
    before = node.run("sh", "-c", files).stdout
    apt(node, "install", DEB)
    assert node.path("/etc/reaper/reaper.conf").exists()
    apt(node, "purge", "reaper")
    assert node.run("sh", "-c", files).stdout == before
    assert "reaper" not in before.replace("/var/lib/reaper-test-empty", "")


def test_pods_run_on_through_an_upgrade(stock):
    node = stock("bookworm")
    copy_package(node)
    apt(node, "install", DEB)
    pods = Pods(node)
    try:
        pod = pods.sandbox()
        container = pod.start("/bin/sh", "-c", "trap 'exit 17' TERM; echo ready; while :; do sleep 0.1; done")
        shims = node.shims()
        apt(node, "install", "--reinstall", DEB)
        assert node.shims() == shims
        assert pod.exec(container, "/bin/echo", "on") == (0, "on\n", "")
        # and a new pod beside it
        assert pods.sandbox().run("/bin/echo", "new") == (0, "new\n")
        pods.cri.stop_container(container, 30)
        assert pods.cri.container_status(container).exit_code == 17
    finally:
        pods.close()


def test_remove_is_refused_while_pods_run(stock):
    node = stock("bookworm")
    copy_package(node)
    apt(node, "install", DEB)
    pods = Pods(node)
    try:
        pod = pods.sandbox()
        container = pod.start("/bin/sleep", "600")
        result = apt(node, "remove", "reaper", check=False)
        assert result.returncode != 0
        assert "reaper: error:" in result.stderr
        assert pod.exec(container, "/bin/echo", "on") == (0, "on\n", "")
        assert_serves(node)
    finally:
        pods.close()
    apt(node, "remove", "reaper")
    assert_does_not_serve(node)


@contextlib.contextmanager
def something_that_looks_like_a_shim(node, *prefix):
    name = "containerd-shim-reaper-v2"
    started = node.popen(*prefix, "bash", "-c", f"exec -a {name} sleep 600")

    def pids():
        return [p for p in descendants(started.pid) if pathlib.Path(f"/proc/{p}/cmdline").read_text().startswith(f"{name}\0")]

    (pid,) = until(pids)
    yield
    os.kill(pid, signal.SIGKILL)
    started.wait()


def test_pods_of_another_root_are_not_ours(stock):
    """Nodes in containers, and chroots that images are built in, see each other's processes."""
    node = stock("bookworm")
    copy_package(node)
    apt(node, "install", DEB)
    node.run("sh", "-ec", "mkdir /srv/other && mount -t tmpfs other /srv/other && cd /srv/other && mkdir usr && "
             "mount --bind /usr usr && cp -a /bin /lib /lib64 .")  # fmt: skip
    with something_that_looks_like_a_shim(node):
        refused = node.run("reaperctl", "containerd", "undo", check=False)
        assert refused.returncode == 3 and "E_IN_USE" in refused.stderr
    with something_that_looks_like_a_shim(node, "chroot", "/srv/other"):
        apt(node, "remove", "reaper")
        assert_does_not_serve(node)


def test_node_without_containerd(stock):
    """The package waits there until containerd comes; it does not fail."""
    node = stock("bookworm")
    copy_package(node)
    node.run("dpkg", "--purge", "containerd", timeout=120)
    apt(node, "install", DEB)
    assert not node.path("/etc/containerd").exists()
    said = node.run("reaperctl", "containerd", "apply", check=False)
    assert said.returncode == 3
    assert "E_NO_CONTAINERD: there is no containerd on this node" in said.stderr
    assert node.run("reaperctl", "containerd", "verify", check=False).returncode != 0
    apt(node, "purge", "reaper")


def test_the_package_is_clean():
    result = subprocess.run(
        ["lintian", "--fail-on", "error,warning", "--suppress-tags", "initial-upload-closes-no-bugs,no-manual-page",
         str(package())], cwd=SOURCE, capture_output=True, text=True, timeout=300,
    )  # fmt: skip
    assert result.returncode == 0, result.stdout + result.stderr
