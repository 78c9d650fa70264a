"""The attacks of tests/support/attack from pods as CRI makes them by default, on a node."""

import contextlib
import shutil
import subprocess
import sys

import pytest

from attacks import ATTACK, EXPECTED, MASKED, READONLY, WITH_HOST_NETWORK, WITH_HOST_PID, differences

SERVER = "import socket; s = socket.socket(socket.AF_UNIX); s.bind('\\0reaper-attacked'); s.listen(); print(flush=True); input()"
VICTIM = "echo $$; exec setpriv --reuid 12345 --regid 12345 --clear-groups sleep 1000"


@contextlib.contextmanager
def running(argv):
    process = subprocess.Popen([str(word) for word in argv], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        yield process.stdout.readline().strip()
    finally:
        process.kill()
        process.wait()
        process.stdin.close()
        process.stdout.close()


@pytest.fixture
def target(node):
    """A secret of the built-in list, a daemon without capabilities and a socket of the node."""
    node.run("mkdir", "-p", "/etc/kubernetes/reaper-test")
    node.path("/etc/kubernetes/reaper-test/admin.conf").write_text("secret\n")
    shutil.copy2(ATTACK, node.path("/usr/local/bin/attack"))
    server = ["nsenter", "--target", node.pid, "--net", "--", sys.executable, "-c", SERVER]
    with running(node.argv(["sh", "-c", VICTIM])) as victim, running(server):
        yield ["/etc/kubernetes/reaper-test/admin.conf", "7:0", "reaper-attacked", "0", f"{victim}:12345"]
    node.run("rm", "-r", "/usr/local/bin/attack", "/etc/kubernetes/reaper-test")


@pytest.mark.submission("what a kubelet's pods can do to their node, with hostNetwork and hostPID too")
@pytest.mark.parametrize("options, changes", [
    ({"host_network": False}, {}),
    ({"host_network": True, "host_pid": True, "host_ipc": True}, {**WITH_HOST_NETWORK, **WITH_HOST_PID}),
], ids=["plain", "host"])  # fmt: skip
def test_every_attack_of_a_pod_fails(node, pods, target, options, changes):
    code, text = pods.sandbox(**options).run(
        "/usr/local/bin/attack", *target, security={"masked_paths": MASKED, "readonly_paths": READONLY})  # fmt: skip
    assert code == 0, text
    assert differences(dict(line.split() for line in text.splitlines()), {**EXPECTED, **changes}) == {}
