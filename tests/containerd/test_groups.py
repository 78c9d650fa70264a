"""Pods of one group through CRI: files and mounts are shared, tokens are not, and nothing of a pod stays."""

import pathlib
import subprocess

import pytest

from machine import comm
from waiting import until

pytestmark = pytest.mark.submission("one pod's token in another pod's hands is the worst that a runtime can do")

TOKEN = "/var/run/secrets/kubernetes.io/serviceaccount"
KEY = "node"


def projected(node, pod):
    """A ServiceAccount's token as kubelet leaves it: a tmpfs per volume."""
    volume = f"/var/lib/kubelet/pods/{pod.config['metadata']['uid']}/volumes/kubernetes.io~projected/kube-api-access"
    node.run("mkdir", "-p", volume)
    node.run("mount", "-t", "tmpfs", "tmpfs", volume)
    node.path(f"{volume}/token").write_text(f"token of {pod.config['metadata']['name']}\n")
    return volume


def mountinfo_of_group(node):
    """The mounts of the pinned namespace, which nobody lives in."""
    pin = node.path(f"/run/reaper/ns/{KEY}")
    visitor = subprocess.Popen(["nsenter", f"--mount={pin}", "--", "sleep", "600"])
    try:
        until(lambda: comm(visitor.pid) == "sleep")
        return pathlib.Path(f"/proc/{visitor.pid}/mountinfo").read_text()
    finally:
        visitor.kill()
        visitor.wait()


def mountinfos(node):
    texts = [mountinfo_of_group(node)]
    for pid in [node.mounts_pid(), *node.processes()]:
        try:
            texts.append(pathlib.Path(f"/proc/{pid}/mountinfo").read_text())
        except OSError:  # it has ended
            continue
    return texts


def test_two_service_accounts_at_one_path(node, pods):
    made, volumes = [], []
    for _ in range(2):
        pod = pods.sandbox()
        volumes.append(projected(node, pod))
        mounts = [{"container_path": TOKEN, "host_path": volumes[-1], "readonly": True}]
        made.append((pod, pod.start("/bin/sleep", "600", mounts=mounts)))
    for pod, container in made:
        assert pod.exec(container, "cat", f"{TOKEN}/token")[1] == f"token of {pod.config['metadata']['name']}\n"
    # one that binds its token to a place that all see: as long as it runs
    admin = {"capabilities": {"add_capabilities": ["SYS_ADMIN"]}}
    pod = pods.sandbox()
    volumes.append(projected(node, pod))
    mounts = [{"container_path": TOKEN, "host_path": volumes[-1], "readonly": True}]
    # the default AppArmor and seccomp profiles know SYS_ADMIN
    binder = pod.start("/bin/sh", "-c", f"mount --bind {TOKEN} /mnt && mount -t tmpfs all /media && exec sleep 600",
                       mounts=mounts, security=admin)  # fmt: skip
    first, container = made[0]
    until(lambda: first.exec(container, "grep", "-q", " /media ", "/proc/self/mountinfo")[0] == 0)
    assert first.exec(container, "cat", "/mnt/token")[1] == f"token of {pod.config['metadata']['name']}\n"
    pods.cri.stop_container(binder, 0)
    pods.cri.remove_container(binder)
    assert first.exec(container, "cat", "/mnt/token")[0] != 0
    assert first.exec(container, "grep", "-q", " /media ", "/proc/self/mountinfo")[0] == 0
    for each in [*(p for p, _ in made), pod]:
        each.remove()
    # what kubelet still has mounted, it has alone
    for volume in volumes:
        node.run("umount", volume)
    assert [text for text in mountinfos(node) if "/var/lib/kubelet" in text or TOKEN in text] == []
    node.run("rm", "-r", "/var/lib/kubelet/pods")


def test_a_group_survives_its_pods_and_containerd(node, pods):
    pod = pods.sandbox()
    assert pod.run("/bin/sh", "-c", "echo kept > /etc/reaper-test-was-here") == (0, "")
    pod.remove()
    node.kill_containerd()
    assert pods.sandbox().run("cat", "/etc/reaper-test-was-here") == (0, "kept\n")
    assert node.path("/run/reaper/overlay/upper/etc/reaper-test-was-here").read_text() == "kept\n"
    assert not node.path("/etc/reaper-test-was-here").exists()
