"""Clusters of one node with other containerds than trixie's: Debian bookworm's, and newer releases."""

import os
import re

import pytest

from installed import GREETING
from kube_cluster import Cluster, Kube, assert_untouched, container, init_pid, left_behind, pod, shell, traces
from machine import SOURCE, run


@pytest.mark.full("makes the node image and the cluster; five minutes each, and the build")
@pytest.mark.parametrize("version", ["1.6", "2.2", "2.4"])
def test_a_cluster_with_containerd(version):
    image = run([SOURCE / "ci/kube/node-image.sh", *(["bookworm"] if version == "1.6" else ["--containerd", version])], timeout=3600).stdout.strip()
    cluster = Cluster(f"reaper-test-{os.getpid()}-containerd", workers=0, image=image)
    try:
        (node,) = cluster.workers
        assert re.search(rf" v?{version}\.", node.run("containerd", "--version").stdout)
        cluster.ensure_installed()
        cluster.phase("reaper-example", "Succeeded")
        assert cluster.out("logs", "reaper-example") == GREETING + "\n"
        cluster.kubectl("delete", "pod", "reaper-example")
        cluster.wait_for_add_ons()
        before = traces(node)
        lives(Kube(cluster), node)
        assert left_behind(node, before, only_ours=True) == []
        cluster.ensure_absent()
        cluster.kubectl("wait", "--for=condition=Ready", "nodes", "--all", "--timeout=120s", timeout=180)
    finally:
        cluster.remove()


def lives(kube, node):
    """Streams, a token, a refusal, a restart of the daemon, an end."""
    kube.start("stays", "echo said; exec sleep infinity")
    assert kube.out("logs", "stays") == "said\n"
    told = kube.exec("stays", "sh", "-c", "cat /var/run/secrets/kubernetes.io/serviceaccount/namespace; exit 3", check=False)
    assert (told.returncode, told.stdout) == (3, "default")
    kube.make(pod("no-command", container("slurmd")), pod("fails", shell("exit 7")))
    kube.wait("pod/no-command", "jsonpath={.status.containerStatuses[0].state.terminated}")
    assert "slurmd: not found; searched" in kube.status("no-command")["state"]["terminated"]["message"]
    assert kube.ended("fails")[0] == 7
    # up to 2.1 it asks no shim but runc's for its features, and the kubelet then gives none
    if node.run("containerd", "--version").stdout.split()[2] > "v2.2":
        read_only_all_through(kube, node)
    process = init_pid(kube, "stays")
    node.restart_containerd()
    assert_untouched(kube, "stays", process)
    kube.make(pod("afterwards", shell("echo works")))
    assert kube.ended("afterwards") == (0, "works\n")
    kube.kubectl("delete", "pods", "-l", "test", timeout=120)


def read_only_all_through(kube, node):
    """`recursiveReadOnly`, which the kubelet gives only to runtimes that say that they can: what is mounted below is read-only too."""
    handlers = {each.get("name"): each.get("features", {}) for each in kube.get("node", node.name)["status"]["runtimeHandlers"]}
    assert handlers["reaper-v2"]["recursiveReadOnlyMounts"] is True, handlers
    node.run("sh", "-c", "mkdir -p /srv/reaper-kube/below && mount -t tmpfs below /srv/reaper-kube/below")
    try:
        mounts = [{"name": "h", "mountPath": "/h", "readOnly": True, "recursiveReadOnly": "Enabled"}]
        kube.make(pod("read-only", shell("touch /h/below/x 2>/dev/null || echo refused", volumeMounts=mounts),
                      volumes=[{"name": "h", "hostPath": {"path": "/srv/reaper-kube"}}]))  # fmt: skip
        assert kube.ended("read-only") == (0, "refused\n")
    finally:
        kube.kubectl("delete", "pod", "read-only", "--ignore-not-found")
        node.run("sh", "-c", "umount /srv/reaper-kube/below; rm -r /srv/reaper-kube", check=False)
