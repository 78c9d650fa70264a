"""Who counts what a pod wrote: reaperctl, and where it is the pod's own, containerd and so the kubelet (OVERLAY_DESIGN, "Accounting")."""

import json
import time

import pytest

from waiting import until

pytestmark = pytest.mark.submission("a number that is believed and wrong is worse than none; ten seconds, containerd's own interval")

WRITTEN = 3 << 20


@pytest.fixture
def scope_of_pods(node):
    conf = node.path("/etc/reaper/reaper.conf")
    assert not conf.exists()
    conf.parent.mkdir(exist_ok=True)
    conf.write_text("REAPER_OVERLAY_ISOLATION=pod\n")
    yield
    conf.unlink()
    conf.parent.rmdir()


def layer_measured_after(pods, container, moment):
    """containerd looks at its snapshots every ten seconds."""

    def measured():
        found = pods.cri.call("ContainerStats", container_id=container).stats.writable_layer
        return found if found and found.timestamp > moment else None

    return until(measured, limit=120, what="a newer measurement of containerd's")


def groups(node):
    return json.loads(node.run("reaperctl", "overlay", "list", "--json").stdout)


def test_a_pods_writes_are_its_groups_and_outlive_the_container(node, scope_of_pods, pods):
    pod = pods.sandbox()
    first = pod.start("/bin/sh", "-c", f"head -c {WRITTEN} /dev/zero >/var/tmp/written; echo done; exec sleep 600")
    second = pod.start("/bin/sleep", "600")
    until(lambda: pod.output(first) == "done\n")
    layer = layer_measured_after(pods, first, time.time_ns())
    assert WRITTEN <= layer.used_bytes.value < 2 * WRITTEN and layer.inodes_used.value > 2
    (group,) = groups(node).values()
    assert group["scope"] == "pod" and WRITTEN <= group["used_bytes"] < 2 * WRITTEN
    # once: the other one is next to nothing
    layer = layer_measured_after(pods, second, time.time_ns())
    assert layer.used_bytes is None or layer.used_bytes.value < WRITTEN
    # a container that goes takes its snapshot with it, and nothing of the pod's
    snapshots = lambda: node.ctr("--namespace", "k8s.io", "snapshots", "ls").stdout
    assert first in snapshots()
    pods.cri.stop_container(first, 0)
    pods.cri.remove_container(first)
    assert first not in snapshots() and second in snapshots()
    assert pod.exec(second, "stat", "-c", "%s", "/var/tmp/written")[1] == f"{WRITTEN}\n"
    assert layer_measured_after(pods, second, time.time_ns()).used_bytes.value >= WRITTEN
    # while nothing of the pod runs the sandbox has it
    pods.cri.stop_container(second, 0)
    pods.cri.remove_container(second)
    third = pod.start("/bin/sleep", "600")
    assert pod.exec(third, "stat", "-c", "%s", "/var/tmp/written")[1] == f"{WRITTEN}\n"
    assert layer_measured_after(pods, third, time.time_ns()).used_bytes.value >= WRITTEN


def test_a_limit_of_its_own_is_memory_and_no_layer(node, scope_of_pods, pods):
    pod = pods.sandbox()
    sized = pod.start("/bin/sh", "-c", f"head -c {WRITTEN} /dev/zero >/var/tmp/written; echo done; exec sleep 600",
                      annotations={"reaper.runtime/upper-size": "8M"})  # fmt: skip
    until(lambda: pod.output(sized) == "done\n")
    layer = layer_measured_after(pods, sized, time.time_ns())
    assert layer.used_bytes is None or layer.used_bytes.value < WRITTEN
    (group,) = groups(node).values()
    assert WRITTEN <= group["used_bytes"] <= group["size_bytes"] == 8 << 20
