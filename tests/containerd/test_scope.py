"""Pods in slices, as a kubelet with the systemd cgroup driver makes them: every container is a scope."""

import json

import pytest

from cri import CriError
from waiting import until

pytestmark = pytest.mark.submission("systemd owns the cgroups of most clusters; each takes a second or two")

SLICE = "kubepods-besteffort-podreaper.slice"


@pytest.fixture
def sliced(node, pods):
    """pods.sandbox whose containers go to a slice of a kubelet's shape; the slices are stopped at the end."""

    def sandbox(**fields):
        linux = {"security_context": {"namespace_options": {"network": "NODE", "pid": "CONTAINER", "ipc": "POD"}}}
        return pods.sandbox(linux={"cgroup_parent": f"/kubepods.slice/{SLICE}", **linux}, **fields)

    yield sandbox
    pods.close()
    pods.made.clear()
    node.run("systemctl", "stop", "kubepods.slice")


def pid_of(pods, container):
    return json.loads(pods.cri.call("ContainerStatus", container_id=container, verbose=True).info["info"])["pid"]


def unit_of(container):
    return f"cri-containerd-{container}.scope"


def show(node, unit, *properties):
    text = node.run("systemctl", "show", unit, *[f"--property={p}" for p in properties]).stdout
    return dict(line.split("=", 1) for line in text.splitlines())


def cgroups_of(node, pid):
    """controller → directory of the process; "" is cgroup2."""
    lines = node.path(f"/proc/{pid}/cgroup").read_text().splitlines()
    paths = {name: path for _, names, path in (line.split(":", 2) for line in lines) for name in names.split(",")}
    if node.suite == "forky":  # the machine's v1 hierarchies are not the node's
        paths = {"": paths[""]}
    return {name: "/kubepods.slice" + path.partition("/kubepods.slice")[2] for name, path in paths.items()}


def limited(pod, *command, memory=64 << 20, shares=512, quota=20000):
    resources = {"cpu_period": 100000, "cpu_quota": quota, "cpu_shares": shares, "memory_limit_in_bytes": memory}
    security = pod.config["linux"]["security_context"]
    return pod.start(*command, linux={"security_context": security, "resources": resources})


def test_container_and_sandbox_are_delegated_scopes_in_the_slice(node, pods, sliced):
    pod = sliced()
    container = pod.start("/bin/sleep", "600")
    for name in (container, pod.id):
        state = show(node, unit_of(name), "ActiveState", "Slice", "Delegate", "TasksMax")
        assert state == {"ActiveState": "active", "Slice": SLICE, "Delegate": "yes", "TasksMax": "infinity"}
    wanted = f"/kubepods.slice/kubepods-besteffort.slice/{SLICE}/{unit_of(container)}"
    for controller, path in cgroups_of(node, pid_of(pods, container)).items():
        assert path.removesuffix("/workload") == wanted, controller
    assert pod.exec(container, "/bin/true") == (0, "", "")
    pods.cri.remove_container(container)
    assert show(node, unit_of(container), "LoadState") == {"LoadState": "not-found"}


def test_a_command_that_is_missing_leaves_no_scope(node, pods, sliced):
    pod = sliced()
    container = pod.create("no-such-command")
    with pytest.raises(CriError, match="no-such-command.*searched /"):
        pods.cri.start_container(container)
    assert show(node, unit_of(container), "LoadState") == {"LoadState": "not-found"}


def test_limits_and_device_rules_outlive_a_daemon_reload(node, pods, sliced):
    pod = sliced()
    container = limited(pod, "/bin/sleep", "600")
    cgroups = cgroups_of(node, pid_of(pods, container))

    def values():
        return [
            node.path(f"/sys/fs/cgroup/{controller}{cgroups[controller]}/{file}").read_text().strip()
            for controller, file in (
                ("memory", "memory.limit_in_bytes"),
                ("cpu", "cpu.shares"),
                ("cpu", "cpu.cfs_quota_us"),
                ("cpu", "cpu.cfs_period_us"),
                ("devices", "devices.list"),
            )
        ]

    enforced = node.suite != "forky"  # its cgroup2 has no controllers: the pod runs all the same
    if enforced:
        before = values()
        assert before[:4] == [str(64 << 20), "512", "20000", "100000"]
        assert "a *:* rwm" not in before[4]
    if enforced:  # what Update writes is systemd's to know as well
        pods.cri.call("UpdateContainerResources", container_id=container, linux={"cpu_shares": 256, "cpu_quota": 30000, "cpu_period": 100000})
        now = values()
        assert now == [before[0], "256", "30000", *before[3:]]
        before = now
    node.run("systemctl", "daemon-reload")
    # answered behind what the reload has queued
    show(node, unit_of(container), "ActiveState")
    if enforced:
        assert values() == before
    # a device that nobody has: open() says so where the rules let it, and is refused where they do not
    code, _, text = pod.exec(container, "/bin/sh", "-c", "mknod /dev/none c 1 99 && : < /dev/none")
    assert code == 2
    assert "Operation not permitted" in text


def test_the_end_of_a_scope_takes_everything_in_it(node, pods, sliced):
    pod = sliced()
    container = pod.start("/bin/sh", "-c", "setsid sleep 611 & setsid sleep 612 & exec sleep 613")
    cgroups = cgroups_of(node, pid_of(pods, container))
    pods.cri.stop_container(container, 0)
    pods.cri.remove_container(container)
    left = [p for path in set(cgroups.values()) for p in node.path("/sys/fs/cgroup").glob(f"*{path}")]
    assert left == []
    until(lambda: show(node, unit_of(container), "LoadState") == {"LoadState": "not-found"})
