"""Devices that somebody allotted to a pod: a device plugin's, as kubelet hands them to CRI, and CDI's."""

import contextlib
import json

import pytest

from pods import Pods

pytestmark = pytest.mark.submission("on a host's root every device is near: the sibling's must stay shut")

MINE, SIBLING = "/dev/reaper-test0", "/dev/reaper-test1"
OPEN = f"""
(: < {MINE}) 2>&1 && echo mine opens
ls {SIBLING} 2>&1
mknod /dev/sibling b 7 1 2>&1
(: < /dev/sibling) 2>&1
echo "$CDI_WORD"
"""


@contextlib.contextmanager
def two_loops(node):
    """Two block devices of one driver, as the GPUs of a node."""
    for minor, path in enumerate((MINE, SIBLING)):
        node.run("mknod", path, "b", "7", str(minor))
    try:
        yield
    finally:
        node.run("rm", MINE, SIBLING)


@pytest.fixture
def loops(node):
    with two_loops(node):
        yield


def judge(said, word=""):
    lines = said.splitlines()
    assert lines[0] == "mine opens", said
    assert "No such file" in lines[1], said
    assert "not permitted" in said.split("No such file", 1)[1], said
    assert lines[-1] == word, said


def test_a_device_plugins_device_opens_and_its_sibling_does_not(node, pods, loops):
    pod = pods.sandbox()
    devices = [{"host_path": MINE, "container_path": MINE, "permissions": "rw"}]
    code, said = pod.run("/bin/sh", "-c", OPEN, devices=devices)
    assert code == 0
    judge(said)
    # another pod of the same group has neither
    code, said = pods.sandbox().run("/bin/sh", "-c", f"ls {MINE} {SIBLING} 2>&1 | grep -c 'No such file'")
    assert said == "2\n"


LIBRARY = "/usr/lib/libreaper-test.so"


@pytest.fixture
def cdi(checked):
    node = checked("forky")
    spec = {
        "cdiVersion": "0.6.0",
        "kind": "reaper.test/loop",
        "devices": [
            {"name": "0", "containerEdits": {"deviceNodes": [{"path": MINE}], "env": ["CDI_WORD=allotted"]}},
            {"name": "1", "containerEdits": {"deviceNodes": [{"path": SIBLING}]}},
        ],
        "containerEdits": {
            "mounts": [{"hostPath": LIBRARY, "containerPath": LIBRARY, "options": ["ro", "nosuid", "nodev", "bind"]}]
        },
    }
    node.run("mkdir", "-p", "/etc/cdi")
    node.path("/etc/cdi/reaper-test.json").write_text(json.dumps(spec))
    node.path(LIBRARY).write_text("driver 1\n")
    with two_loops(node):
        yield node
    node.run("rm", "/etc/cdi/reaper-test.json", LIBRARY)


def test_cdi_gives_the_allotted_device_and_the_hosts_own_library(cdi):
    """containerd 2.1 applies /etc/cdi; what comes of it is devices, mounts and variables of the spec."""
    made = Pods(cdi)
    try:
        # somebody of the group has "upgraded" the driver in the view
        other = made.sandbox()
        assert other.run("/bin/sh", "-c", f"echo tampered > {LIBRARY}")[0] == 0
        pod = made.sandbox()
        script = OPEN.replace('echo "$CDI_WORD"', f'cat {LIBRARY}; (echo x > {LIBRARY}) 2>&1; echo "$CDI_WORD"')
        code, said = pod.run("/bin/sh", "-c", script, annotations={"cdi.k8s.io/test": "reaper.test/loop=0"})
        assert code == 0
        judge(said, word="allotted")
        assert "driver 1\n" in said and "Read-only file system" in said
        assert cdi.path(LIBRARY).read_text() == "driver 1\n"
        assert other.run("cat", LIBRARY)[1] == "tampered\n"
    finally:
        made.close()
