"""The way back, and the way without a playbook."""

import hashlib
import re

import pytest

from installed import CONFIG, GREETING, assert_does_not_serve, assert_serves, file_state
from kube_cluster import RUNTIME_CLASS, pod, shell
from machine import BINARIES, PROGRAMS, SOURCE, run

pytestmark = pytest.mark.submission("a node must be able to lose Reaper again")

# what docs/INSTALL.md tells those who write it themselves
STANZA = f"""
[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.{RUNTIME_CLASS}]
  runtime_type = "io.containerd.reaper.v2"
  pod_annotations = ["reaper.runtime/*"]
  container_annotations = ["reaper.runtime/*"]
"""


def test_rollback_refuses_while_a_pod_runs(cluster):
    cluster.ensure_installed()
    cluster.apply(pod("stays", shell("exec sleep infinity")))
    cluster.ready("stays")
    before = file_state(cluster.node_of("stays").path(CONFIG))
    try:
        refused = cluster.install("--rollback", "--", "--limit", cluster.node_of("stays").name, check=False)
        assert refused.returncode != 0
        assert "1 Reaper pods run" in refused.stderr
        assert file_state(cluster.node_of("stays").path(CONFIG)) == before
        assert cluster.exec("stays", "echo", "here").stdout == "here\n"
    finally:
        cluster.kubectl("delete", "pod", "stays")


def test_rollback_gives_each_node_its_file_back(cluster):
    cluster.ensure_absent()
    originals = {node.name: file_state(node.path(CONFIG)) for node in cluster.nodes.values()}
    cluster.ensure_installed()
    cluster.phase("reaper-example", "Succeeded")
    printed = cluster.ensure_absent()
    for node in cluster.nodes.values():
        assert file_state(node.path(CONFIG)) == originals[node.name]
        # as sha256sum of somebody's own copy says it
        sha256 = hashlib.sha256(originals[node.name][0]).hexdigest()
        assert re.search(rf"\] {node.name}: .*, config.toml is what it was without Reaper: sha256 {sha256}$", printed, re.M), printed
        assert_does_not_serve(node)
        assert node.run("sh", "-c", "ls -d /run/reaper /etc/reaper /usr/bin/reaperctl", check=False).stdout == ""
    cluster.kubectl("wait", "--for=condition=Ready", "nodes", "--all", "--timeout=120s", timeout=180)


def test_the_manual_way(cluster):
    """Build, copy, stanza, restart."""
    cluster.ensure_absent()
    node = cluster.workers[0]
    config = node.path(CONFIG)
    before = config.read_bytes()
    try:
        for program in PROGRAMS:
            run(["docker", "cp", "--quiet", BINARIES / program, f"{node.name}:/usr/local/bin/{program}"])
        config.write_bytes(before + STANZA.encode())
        node.restart_containerd()
        node.run("reaperctl", "image", "import")
        assert_serves(node)
        cluster.kubectl("apply", "-f", SOURCE / "kubernetes" / "runtimeclass.yaml")
        cluster.kubectl("delete", "pod", "reaper-example", "--ignore-not-found")
        cluster.apply(pod("by-hand", shell(f"echo {GREETING}"), nodeName=node.name))
        assert cluster.ended("by-hand") == (0, GREETING + "\n")
    finally:
        cluster.kubectl("delete", "pod", "by-hand", "--ignore-not-found")
        cluster.kubectl("delete", "runtimeclass", RUNTIME_CLASS, "--ignore-not-found")
        config.write_bytes(before)
        node.restart_containerd()
        node.run("sh", "-c", "reaperctl overlay gc --all; rm -f /usr/local/bin/reaper* /usr/local/bin/containerd-shim-reaper-v2")
