"""needrestart, as it runs behind every apt on Ubuntu: an upgrade of ours is no reason to restart containerd."""

import os
import pathlib
import shutil

import pytest

import repack
from installed import package
from machine import run
from pods import Pods

pytestmark = pytest.mark.full("fetches needrestart from the distribution of this machine")

SNIPPET = "/etc/needrestart/conf.d/reaper.conf"


def fetch(node, status):
    """needrestart and what it needs on that node, out of this machine's archive: the node reaches none."""
    # a copy: apt follows the path's links in its own way, to this machine's file
    shutil.copy(node.path("/var/lib/dpkg/status"), status)
    kept = pathlib.Path(os.environ.get("REAPER_CI_STATE", "/var/lib/reaper-ci"), "debs/needrestart")
    (kept / "partial").mkdir(parents=True, exist_ok=True)
    run(["apt-get", "-q", "-y", "-o", f"Dir::State::status={status}", "-o", f"Dir::Cache::archives={kept}",
         "-o", "APT::Sandbox::User=root", "--no-install-recommends", "--download-only", "install", "needrestart"], timeout=300)  # fmt: skip
    place = node.path("/root/needrestart")
    shutil.copytree(kept, place, ignore=shutil.ignore_patterns("partial", "lock"))
    node.run("sh", "-c", "DEBIAN_FRONTEND=noninteractive dpkg --install /root/needrestart/*.deb", timeout=300)


def listed(node):
    """The services that needrestart would restart."""
    said = node.run("needrestart", "-b", "-r", "l", "-l", timeout=120).stdout
    assert "NEEDRESTART-VER:" in said
    return {line.split(": ")[1] for line in said.splitlines() if line.startswith("NEEDRESTART-SVC:")}


def test_a_shim_of_before_the_upgrade_is_no_reason(stock, tmp_path):
    release = dict(line.split("=", 1) for line in pathlib.Path("/etc/os-release").read_text().splitlines() if "=" in line)
    node = stock(release["VERSION_CODENAME"])
    fetch(node, tmp_path / "status")
    shutil.copy(repack.deb(tmp_path), node.path("/root/older.deb"))
    shutil.copy(package(), node.path("/root/this.deb"))
    node.run("apt-get", "-q", "-y", "install", "/root/older.deb", timeout=300)
    pods = Pods(node)
    try:
        pod = pods.sandbox()
        pod.start("/bin/sleep", "600")
        node.run("apt-get", "-q", "-y", "install", "/root/this.deb", timeout=300)
        (shim, *_) = node.shims()
        assert os.readlink(f"/proc/{shim}/exe").endswith(" (deleted)")
        assert "containerd.service" not in listed(node)
        # without the package's snippet it would be one
        node.path(SNIPPET).rename(node.path("/root/snippet"))
        assert "containerd.service" in listed(node)
    finally:
        pods.close()
