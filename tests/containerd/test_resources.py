"""Resources of a running task, through `ctr` and CRI on containerd 1.6, 1.7 and 2.1."""

import re

import pytest

from pods import Pods

pytestmark = pytest.mark.submission("metrics, pause, update and OOM as a daemon's clients see them; a second or two each")


@pytest.fixture
def task(node):
    """A detached container, removed at the end of the test."""
    node.ctr_run("t", "/bin/sh", "-c", "while :; do sleep 0.1; done", flags=["--detach", "--null-io"])
    yield "t"
    node.ctr("tasks", "rm", "--force", "t", check=False)
    node.ctr("containers", "rm", "t", check=False)


def listed(node):
    """The line of the task in `ctr tasks ls`."""
    return node.ctr("tasks", "ls").stdout


def test_metrics(node, task):
    """Decoded strictly by the daemon's own view of the host: v1 or v2."""
    seen = node.ctr("tasks", "metrics", task).stdout
    used = re.search(r"^(cpuacct\.usage|cpu\.usage_usec)\s+(\d+)", seen, re.MULTILINE)
    assert used, seen
    assert int(used.group(2)) > 0, seen
    # where memory is counted it is what the process uses, and not 0
    memory = re.search(r"^memory\.usage(_in_bytes)?\s+(\d+)", seen, re.MULTILINE)
    assert memory is None or int(memory.group(2)) > 0, seen
    assert memory or node.name != "trixie", "this node has a memory controller"


def test_pause_and_resume(node, task):
    node.ctr("tasks", "pause", task)
    assert "PAUSED" in listed(node)
    assert node.ctr("tasks", "pause", task, check=False).returncode != 0
    refused = node.ctr("tasks", "exec", "--exec-id", "e", task, "/bin/true", check=False)
    assert refused.returncode != 0
    assert "paused" in refused.stderr
    node.ctr("tasks", "resume", task)
    assert "RUNNING" in listed(node)
    assert node.ctr("tasks", "exec", "--exec-id", "f", task, "/bin/true").returncode == 0


def test_a_paused_task_survives_a_restart_and_can_be_removed(node, task):
    node.ctr("tasks", "pause", task)
    node.restart_containerd()
    assert "PAUSED" in listed(node)
    node.ctr("tasks", "rm", "--force", task)
    assert task not in node.ctr("tasks", "ls", "-q").stdout.split()


def test_checkpoint_is_refused_by_name(node, task):
    refused = node.ctr("tasks", "checkpoint", task, check=False)
    assert refused.returncode != 0
    assert "checkpointed" in refused.stderr or "not implemented" in refused.stderr, refused.stderr
    assert "RUNNING" in listed(node)


def test_update_through_cri(node, pods):
    pod = pods.sandbox()
    container = pod.start("/bin/sleep", "600")
    for memory in (64 << 20, 128 << 20):
        pods.cri.call("UpdateContainerResources", container_id=container,
                      linux={"cpu_period": 100000, "cpu_quota": 50000, "cpu_shares": 512, "memory_limit_in_bytes": memory})  # fmt: skip
    assert pod.state(container) == "CONTAINER_RUNNING"
    # the kernel's files are looked at in tests/component/test_update.py


@pytest.mark.parametrize("suite", ["bookworm", "trixie"])
def test_cri_says_oom_killed(checked, suite):
    """A forky node has no memory controller here: nothing is enforced, and nothing is killed."""
    made = Pods(checked(suite))
    try:
        pod = made.sandbox()
        # were the limit not enforced, the command would end by itself
        container = pod.start("/bin/sh", "-c", "ulimit -v 400000; exec tail /dev/zero", linux={
            "resources": {"memory_limit_in_bytes": 24 << 20, "memory_swap_limit_in_bytes": 24 << 20},
            "security_context": {"namespace_options": pod.config["linux"]["security_context"]["namespace_options"]},
        })  # fmt: skip
        assert pod.wait(container) == 137
        # at once: the kubelet keeps what it sees first
        assert made.cri.container_status(container).reason == "OOMKilled"
    finally:
        made.close()
