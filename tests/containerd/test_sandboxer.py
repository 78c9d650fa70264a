"""`sandboxer = "shim"` on containerd 2.x: pods without a pause container.

Pods with a network of their own: containerd 2.1.9 panics on others in its own NewBundle
(core/runtime/v2/bundle.go, a nil spec), before any shim is started.
"""

import os
import signal

import pytest

from machine import HANDLER, comm
from waiting import until

pytestmark = pytest.mark.submission("the Sandbox service against the daemon that calls it; a second or two each")


@pytest.fixture
def node(checked):
    return checked("forky")


@pytest.fixture
def make(pods):
    return lambda **options: pods.sandbox(host_network=False, handler=f"{HANDLER}-shim", **options)


def test_pod_from_run_to_remove(node, pods, make):
    pod = make()
    status = pods.cri.pod_sandbox_status(pod.id).status
    assert status.state == "SANDBOX_READY"
    assert status.network.ip.startswith("10.87.0.")
    # two processes per pod: the shim and the sandbox
    assert len(node.shims()) == 1
    assert [comm(p) for p in node.processes()].count("reaper-sandbox") == 1
    assert "k8s.io" in node.ctr("namespaces", "ls", "-q").stdout
    assert pod.id not in node.ctr("--namespace", "k8s.io", "tasks", "ls", "-q").stdout, "the sandbox is a task"
    code, output = pod.run("/bin/sh", "-c", "cat /proc/sys/kernel/hostname; ls /sys/class/net; exit 3")
    assert code == 3
    assert output.split() == ["pod0", "eth0", "lo"]
    other = pod.start("/bin/sleep", "600")
    assert pod.exec(other, "/bin/cat", "/proc/sys/kernel/hostname") == (0, "pod0\n", "")
    assert len(node.shims()) == 1, "a container of the pod has a shim of its own"
    pods.cri.stop_pod_sandbox(pod.id)
    assert pods.cri.pod_sandbox_status(pod.id).status.state == "SANDBOX_NOTREADY"
    pods.cri.remove_pod_sandbox(pod.id)
    assert pod.id not in [p.id for p in pods.cri.call("ListPodSandbox")["items"]]
    until(lambda: not node.shims())


def test_restart_of_containerd_keeps_the_pod(node, pods, make):
    pod = make()
    container = pod.start("/bin/sh", "-c", "trap 'exit 21' TERM; echo ready; while :; do sleep 0.1; done")
    until(lambda: "ready" in pod.output(container))
    before = node.shims()
    node.restart_containerd()
    assert node.shims() == before
    assert pods.cri.pod_sandbox_status(pod.id).status.state == "SANDBOX_READY"
    assert pod.state(container) == "CONTAINER_RUNNING"
    assert pod.exec(container, "/bin/echo", "still here")[:2] == (0, "still here\n")
    pods.cri.stop_container(container, 30)
    assert pods.cri.container_status(container).exit_code == 21


def test_a_sandbox_that_cannot_be_made_leaves_nothing(node, pods, make):
    """The census is the test's second half."""
    with pytest.raises(Exception, match="somewhere.else"):
        make(linux={"sysctls": {"somewhere.else": "1"}})


def test_the_end_of_the_sandbox_is_the_end_of_the_pod(node, pods, make):
    pod = make()
    (sandbox,) = [p for p in node.processes() if comm(p) == "reaper-sandbox"]
    os.kill(sandbox, signal.SIGKILL)
    until(lambda: pods.cri.pod_sandbox_status(pod.id).status.state == "SANDBOX_NOTREADY")
