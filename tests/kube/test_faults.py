"""What happens to a node, with a kubelet on it: pods as they should be, and nothing left behind."""

import os
import signal

import pytest

import repack
from installed import package
from kube_cluster import assert_untouched, init_pid, pod, ready_again, shell
from machine import comm, run, stat_of
from waiting import until

pytestmark = pytest.mark.submission("nightly updates restart these")
ADD_ONS_RESTART = True


def test_containerd_restarts_and_the_pod_runs_on(kube):
    kube.start("survives")
    node = kube.node_of("survives")
    before = init_pid(kube, "survives")
    node.restart_containerd()
    node.kill_containerd()
    assert_untouched(kube, "survives", before)
    # and the next one starts
    assert kube.run("after-restart", "echo works", nodeName=node.name) == (0, "works\n")


def test_an_end_while_containerd_is_away_is_told_afterwards(kube):
    mounts = [{"name": "w", "mountPath": "/w"}]
    kube.make(pod("ends-alone", shell("until [ -e /w/go ]; do sleep 0.1; done; echo last words; exit 7", volumeMounts=mounts),
                  volumes=[{"name": "w", "emptyDir": {}}]))  # fmt: skip
    kube.ready("ends-alone")
    node = kube.node_of("ends-alone")
    uid = kube.get("pod", "ends-alone")["metadata"]["uid"]
    node.stop_containerd()
    node.path(f"/var/lib/kubelet/pods/{uid}/volumes/kubernetes.io~empty-dir/w/go").touch()
    until(lambda: node.run("pgrep", "-f", "until .* -e /w/go", check=False).stdout == "", what="the command's end")
    node.start_containerd()
    assert kube.ended("ends-alone") == (7, "last words\n")


def test_kubelet_restarts_and_the_pod_runs_on(kube):
    kube.start("kubelet-away")
    node = kube.node_of("kubelet-away")
    before = init_pid(kube, "kubelet-away")
    node.run("systemctl", "restart", "kubelet")
    ready_again(kube, node)
    assert kube.run("after-kubelet", "echo works", nodeName=node.name) == (0, "works\n")
    assert_untouched(kube, "kubelet-away", before)


def test_a_killed_shim_costs_its_pod_and_nothing_else(kube):
    kube.make(pod("shim-dies", shell("exec sleep 86331"), restartPolicy="Always"))
    kube.ready("shim-dies")
    node = kube.node_of("shim-dies")
    kube.start("neighbour", nodeName=node.name)
    neighbour = init_pid(kube, "neighbour")
    workload, _ = init_pid(kube, "shim-dies")
    shim = stat_of(workload)[1]
    assert "shim-reaper" in comm(shim)
    os.kill(shim, signal.SIGKILL)
    until(lambda: kube.status("shim-dies")["restartCount"] >= 1, limit=90, what="the pod's restart")
    kube.ready("shim-dies")
    # the old workload did not outlive its pod
    assert len(node.run("pgrep", "-fx", "sleep 86331").stdout.split()) == 1
    assert_untouched(kube, "neighbour", neighbour)


@pytest.mark.full("half a minute to three")
def test_a_node_is_restarted(kube):
    """Pods that are to run always do so again, and nothing of the old ones is left."""
    node = kube.workers[1]
    kube.make(pod("comes-back", shell("exec sleep infinity"), restartPolicy="Always", nodeName=node.name))
    kube.ready("comes-back")
    run(["docker", "restart", "--time", "30", node.name], timeout=120)
    node.find()
    until(lambda: node.run("systemctl", "is-active", "kubelet", check=False).stdout.strip() == "active", limit=90, what="the kubelet")
    until(lambda: kube.status("comes-back")["restartCount"] >= 1, limit=180, what="the pod's second life")
    kube.ready("comes-back", limit=180)
    ready_again(kube, node)
    assert kube.exec("comes-back", "echo", "back").stdout == "back\n"
    assert kube.run("after-boot", "echo works", nodeName=node.name) == (0, "works\n")


@pytest.mark.full("half a minute to three")
def test_the_package_is_downgraded_and_upgraded_under_a_running_pod(kube, tmp_path):
    kube.start("upgraded")
    node = kube.node_of("upgraded")
    before = init_pid(kube, "upgraded")
    for name, each in (("after-downgrade", repack.deb(tmp_path)), ("after-upgrade", package())):
        run(["docker", "cp", "--quiet", each, f"{node.name}:/root/reaper.deb"])
        node.run("dpkg", "--install", "/root/reaper.deb", timeout=180)
        node.run("rm", "/root/reaper.deb")
        assert_untouched(kube, "upgraded", before)
        assert kube.run(name, "echo works", nodeName=node.name) == (0, "works\n")


@pytest.mark.full("half a minute to three")
def test_the_api_server_is_away(kube):
    """The node goes on by itself, and tells afterwards."""
    mounts = [{"name": "w", "mountPath": "/w"}]
    kube.start("offline")
    node = kube.node_of("offline")
    kube.make(pod("ends-offline", shell("until [ -e /w/go ]; do sleep 0.1; done; exit 3", volumeMounts=mounts),
                  volumes=[{"name": "w", "emptyDir": {}}], nodeName=node.name))  # fmt: skip
    kube.ready("ends-offline")
    uid = kube.get("pod", "ends-offline")["metadata"]["uid"]
    before = init_pid(kube, "offline")
    master = next(each for each in kube.nodes.values() if each not in kube.workers)
    master.run("sh", "-c", "mv /etc/kubernetes/manifests/kube-apiserver.yaml /etc/kubernetes/away.yaml")
    try:
        until(lambda: kube.kubectl("get", "--raw=/readyz", check=False).returncode != 0, limit=60, what="the API server's end")
        node.path(f"/var/lib/kubelet/pods/{uid}/volumes/kubernetes.io~empty-dir/w/go").touch()
        until(lambda: node.run("pgrep", "-f", "until .* -e /w/go", check=False).stdout == "", what="the command's end")
    finally:
        master.run("sh", "-c", "mv /etc/kubernetes/away.yaml /etc/kubernetes/manifests/kube-apiserver.yaml")
        kube.wait_for_api()
    assert kube.ended("ends-offline", limit=120)[0] == 3
    assert_untouched(kube, "offline", before)
