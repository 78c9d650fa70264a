"""The Sandbox service, as containerd calls it with `sandboxer = "shim"`."""

import os
import pathlib
import platform
import signal
import subprocess

import pytest

from bench import spec
from cri.client import SCHEMA as CRI
from machine import comm, is_zombie, stat_of
from ttrpc import EXISTS, INVALID, METRICS, NOT_FOUND, OK, PRECONDITION, UNIMPLEMENTED, RpcError, Sandbox, Task
from waiting import until

pytestmark = pytest.mark.submission("each method of the Sandbox service, without containerd; milliseconds each")

NEVER = -62135596800  # year 1: how Go's zero time looks on the wire
POD, CONTAINER, NODE = 0, 1, 2


def options(hostname="pod0", network=POD, pid=CONTAINER, ipc=POD, **more):
    """CRI's config of a pod, as it reaches CreateSandbox."""
    parent = f"/reaper-component-{os.getpid()}"
    config = {
        "metadata": {"name": "pod0", "uid": "u", "namespace": "default"},
        "hostname": hostname,
        "linux": {
            "cgroup_parent": parent,
            "security_context": {"namespace_options": {"network": network, "pid": pid, "ipc": ipc, **more}},
            "sysctls": {"net.ipv4.ip_unprivileged_port_start": "80"} if network == POD else {},
        },
    }
    return {"type_url": "runtime.v1.PodSandboxConfig", "value": CRI.encode("PodSandboxConfig", config)}


@pytest.fixture
def netns():
    """A network namespace as CNI leaves it, by path."""
    holder = subprocess.Popen(["unshare", "--net", "sleep", "600"])
    path = f"/proc/{holder.pid}/ns/net"
    until(lambda: os.readlink(path) != os.readlink("/proc/self/ns/net"))
    yield path
    holder.kill()
    holder.wait()


class Pod:
    """A sandbox without config.json, as containerd 2.x makes its bundle."""

    def __init__(self, bench, name="pod"):
        self.bench = bench
        self.name = name
        self.bundle = bench.directory / name
        self.path = bench.start(name, None)
        self.connection = bench.connect(self.path)
        self.sandbox = Sandbox(self.connection, name)
        self.task = Task(self.connection)
        self.shim_pid = self.task.call("Connect", id=name).shim_pid

    def create(self, **fields):
        return self.sandbox.call("CreateSandbox", bundle_path=str(self.bundle), **fields)

    def run(self, **fields):
        self.create(**fields)
        return self.sandbox.call("StartSandbox").pid

    def gone(self):
        return is_zombie(self.shim_pid)

    def hang_up(self):
        """containerd closes its connection when it has the answer of ShutdownSandbox."""
        self.connection.close()

    def end(self):
        """What containerd does at the end of a pod: ShutdownSandbox, the delete call."""
        self.sandbox.call("ShutdownSandbox")
        self.hang_up()
        until(self.gone, what="the shim's end")
        assert not os.path.exists(self.path), "the socket is still there"
        return self.bench.delete(self.name)


def namespace(pid, kind):
    return os.readlink(f"/proc/{pid}/ns/{kind}")


def test_life_of_a_sandbox(bench, netns):
    pod = Pod(bench)
    answer = pod.sandbox.call("Platform").platform
    assert answer.os == "linux"
    machine = platform.machine()
    assert answer.architecture == {"x86_64": "amd64", "aarch64": "arm64"}.get(machine, machine)
    pod.create(netns_path=netns, options=options())
    status = pod.sandbox.call("SandboxStatus")
    assert (status.sandbox_id, status.state) == ("pod", "SANDBOX_NOTREADY")
    assert status.created_at.seconds > 0 and status.exited_at.seconds == NEVER
    waiting = pod.sandbox.begin("WaitSandbox")
    started = pod.sandbox.call("StartSandbox")
    assert started.pid > 0 and started.created_at == status.created_at
    status = pod.sandbox.call("SandboxStatus", verbose=True)
    assert (status.pid, status.state) == (started.pid, "SANDBOX_READY")
    assert str(pod.shim_pid) in status.info["reaper"]
    pod.sandbox.call("PingSandbox")
    metrics = pod.sandbox.call("SandboxMetrics").metrics
    assert metrics.id == "pod" and metrics.timestamp.seconds > 0
    package, _, name = metrics.data.type_url.rpartition(".")
    pids = METRICS[package].decode(name, metrics.data.value).pids
    assert pids is None or pids.current == 1, "the sandbox is one process"
    # what containerd asks with the sandbox's id when it has been restarted
    assert pod.task.call("Connect", id="pod").task_pid == started.pid
    assert [p.pid for p in pod.task.call("Pids", id="pod").processes] == [started.pid]
    # it is no task
    assert pod.task.code("State", id="pod") == NOT_FOUND
    assert pod.task.code("Delete", id="pod") == NOT_FOUND
    pod.sandbox.call("StopSandbox", timeout_secs=10)
    answer = pod.sandbox.end("WaitSandbox", waiting)
    assert answer.exit_status == 137 and answer.exited_at.seconds > 0
    assert pod.sandbox.call("WaitSandbox") == answer
    status = pod.sandbox.call("SandboxStatus")
    assert (status.pid, status.state, status.exited_at) == (0, "SANDBOX_NOTREADY", answer.exited_at)
    assert pod.end().exit_status == 137
    assert bench.events.all() == [], "containerd publishes the events of sandboxes itself"


def test_the_sandbox_has_what_cri_says(bench, netns):
    pod = Pod(bench)
    pid = pod.run(netns_path=netns, options=options(hostname="some-pod"))
    own = os.getpid()
    assert namespace(pid, "net") == os.readlink(netns)
    for kind in ("ipc", "uts", "pid"):
        assert namespace(pid, kind) != namespace(own, kind), kind
    assert pathlib.Path(f"/proc/{pid}/oom_score_adj").read_text() in ("-998\n", pathlib.Path(f"/proc/{pod.shim_pid}/oom_score_adj").read_text())  # fmt: skip
    cgroups = pathlib.Path(f"/proc/{pid}/cgroup").read_text().split()
    assert any(line.endswith(f"/reaper-component-{own}/pod") for line in cgroups), cgroups
    asked = ["nsenter", "--target", str(pid), "--uts", "--net", "cat", "/proc/sys/kernel/hostname",
             "/proc/sys/net/ipv4/ip_unprivileged_port_start"]  # fmt: skip
    assert subprocess.run(asked, capture_output=True, text=True, check=True).stdout.split() == ["some-pod", "80"]
    pod.end()


def test_a_pod_of_the_hosts_namespaces(bench):
    pod = Pod(bench)
    pid = pod.run(options=options(hostname="", network=NODE, pid=NODE, ipc=NODE))
    for kind in ("net", "ipc", "uts", "pid"):
        assert namespace(pid, kind) == namespace(os.getpid(), kind), kind
    pod.end()


def test_options_of_the_runtime_are_not_the_pods(bench):
    """containerd 2.0 to 2.2 may hand runc's options to any runtime."""
    pod = Pod(bench)
    pid = pod.run(options={"type_url": "containerd.runc.v1.Options", "value": b"\x08\x01"})
    assert namespace(pid, "net") == namespace(os.getpid(), "net")
    pod.end()


# method: the code in each state. ShutdownSandbox is tested at the end of each test.
CODES = {
    "none": {"StartSandbox": NOT_FOUND, "StopSandbox": NOT_FOUND, "SandboxStatus": NOT_FOUND,
             "PingSandbox": NOT_FOUND, "SandboxMetrics": NOT_FOUND, "WaitSandbox": NOT_FOUND, "Platform": OK},
    "created": {"PingSandbox": OK, "SandboxMetrics": OK, "SandboxStatus": OK, "Platform": OK, "CreateSandbox": EXISTS},
    "ready": {"PingSandbox": OK, "SandboxMetrics": OK, "SandboxStatus": OK, "Platform": OK, "CreateSandbox": EXISTS,
              "StartSandbox": PRECONDITION},
    "stopped": {"PingSandbox": OK, "SandboxMetrics": OK, "SandboxStatus": OK, "Platform": OK, "CreateSandbox": EXISTS,
                "StartSandbox": PRECONDITION, "StopSandbox": OK, "WaitSandbox": OK},
}  # fmt: skip


@pytest.mark.parametrize("state", list(CODES))
def test_codes_in_each_state(bench, state):
    pod = Pod(bench)
    if state != "none":
        pod.create()
    if state in ("ready", "stopped"):
        pod.sandbox.call("StartSandbox")
    if state == "stopped":
        pod.sandbox.call("StopSandbox")
    for method, code in CODES[state].items():
        fields = {"bundle_path": str(pod.bundle)} if method == "CreateSandbox" else {}
        assert pod.sandbox.code(method, **fields) == code, method
    other = Sandbox(pod.connection, "other")
    for method in ("StartSandbox", "StopSandbox", "WaitSandbox", "SandboxStatus", "PingSandbox"):
        assert other.code(method) == NOT_FOUND, method
    if state != "none":
        assert other.code("CreateSandbox", bundle_path=str(pod.bundle)) == PRECONDITION
    pod.end()


@pytest.mark.parametrize("state", ["created", "ready"])
def test_stop_ends_the_waits(bench, state):
    pod = Pod(bench)
    pod.create()
    if state == "ready":
        pod.sandbox.call("StartSandbox")
    waits = [pod.sandbox.begin("WaitSandbox") for _ in range(3)]
    stops = [pod.sandbox.begin("StopSandbox") for _ in range(2)]
    for stop in stops:
        pod.sandbox.end("StopSandbox", stop)
    answers = [pod.sandbox.end("WaitSandbox", wait) for wait in waits]
    assert all(a == answers[0] for a in answers) and answers[0].exit_status == 137
    pod.end()


@pytest.mark.parametrize(
    ("fields", "code", "words"),
    [
        ({"options": options(network=NODE, userns_options={"mode": POD})}, UNIMPLEMENTED, "user namespaces"),
        ({"options": options(network=NODE)}, INVALID, 'hostname: "pod0": would be the node'),
        ({"options": options()}, INVALID, "netns_path"),
        ({"options": options(), "netns_path": "/no/such/netns"}, NOT_FOUND, "/no/such/netns"),
        ({"options": {"type_url": "runtime.v1.PodSandboxConfig", "value": b"\xff\xff"}}, INVALID, "PodSandboxConfig"),
        ({"bundle_path": "relative"}, INVALID, "relative"),
    ],
    ids=["user_namespace", "hostname_of_the_node", "no_netns", "missing_netns", "garbage", "relative_bundle"],
)
def test_what_cannot_be_made_is_refused_by_name(bench, fields, code, words):
    pod = Pod(bench)
    with pytest.raises(RpcError, match=words) as raised:
        pod.sandbox.call("CreateSandbox", **{"bundle_path": str(pod.bundle), **fields})
    assert raised.value.code == code
    # containerd's way out of a sandbox that could not be made
    pod.end()


def test_containers_join_the_sandbox_and_outlive_it(bench, netns):
    pod = Pod(bench)
    pid = pod.run(netns_path=netns, options=options(hostname="some-pod"))
    paths = {"network": "net", "ipc": "ipc", "uts": "uts"}
    namespaces = [{"type": t, "path": f"/proc/{pid}/ns/{n}"} for t, n in paths.items()]
    config = spec(
        "/bin/sleep", "600",
        annotations={"io.kubernetes.cri.container-type": "container", "io.kubernetes.cri.sandbox-id": "pod"},
        linux={"resources": {"devices": [{"allow": False, "access": "rwm"}]},
               "namespaces": [*namespaces, {"type": "pid"}, {"type": "mount"}]},
    )  # fmt: skip
    # version 2 of the shim: `start` for each container of the pod
    assert bench.start("one", config) == pod.path
    one = pod.task.call("Create", id="one", bundle=str(bench.directory / "one")).pid
    pod.task.call("Start", id="one")
    for name in paths.values():
        assert namespace(one, name) == namespace(pid, name), name
    # a Shutdown for a container says nothing while others are here
    pod.task.call("Shutdown", id="one")
    pod.sandbox.call("StopSandbox")
    assert pod.task.call("State", id="one").status == "RUNNING"
    pod.sandbox.call("ShutdownSandbox")
    assert pod.task.call("State", id="one").status == "RUNNING"
    assert pod.sandbox.code("PingSandbox") == NOT_FOUND
    pod.task.call("Kill", id="one", signal=9)
    assert pod.task.call("Wait", id="one").exit_status == 137
    pod.task.call("Delete", id="one")
    pod.task.call("Shutdown", id="one")
    pod.hang_up()
    until(pod.gone)
    bench.delete("one")
    bench.delete("pod")
    assert {e.container_id for _, e in bench.events.all()} == {"one"}


def test_a_shutdown_of_tasks_leaves_the_sandbox_alone(bench):
    pod = Pod(bench)
    pod.run()
    pod.task.call("Shutdown", id="pod")
    assert pod.sandbox.call("SandboxStatus").state == "SANDBOX_READY"
    pod.end()


def test_shutdown_of_a_running_sandbox_ends_it(bench):
    pod = Pod(bench)
    pid = pod.run()
    waiting = pod.sandbox.begin("WaitSandbox")
    pod.sandbox.call("ShutdownSandbox")
    assert pod.sandbox.end("WaitSandbox", waiting).exit_status == 137
    assert is_zombie(pid)
    # Go's client forgets an answer when the connection closes at once behind it: the shim is there
    # until its caller has hung up
    assert pod.sandbox.code("PingSandbox") == NOT_FOUND
    assert not pod.gone()
    pod.hang_up()
    until(pod.gone)
    bench.delete("pod")


def test_the_sandboxs_end_is_told(bench):
    """An OOM kill or an operator: WaitSandbox is how CRI learns that the pod is dead."""
    pod = Pod(bench)
    pid = pod.run()
    waiting = pod.sandbox.begin("WaitSandbox")
    os.kill(pid, signal.SIGTERM)
    assert pod.sandbox.end("WaitSandbox", waiting).exit_status == 128 + signal.SIGTERM
    assert pod.sandbox.call("SandboxStatus").state == "SANDBOX_NOTREADY"
    pod.end()


def test_delete_alone_ends_the_sandbox(bench, netns):
    pod = Pod(bench)
    pid = pod.run(netns_path=netns, options=options())
    os.kill(pod.shim_pid, signal.SIGKILL)
    until(pod.gone)
    answer = bench.delete("pod")
    assert (answer.pid, answer.exit_status) == (pid, 137)
    until(lambda: is_zombie(pid))
    assert not os.path.exists(pod.path)


@pytest.mark.parametrize("state", ["running", "shutting down"])
def test_delete_ends_the_sandbox_of_a_lost_shim(bench, netns, state):
    """It lives, and containerd has lost its connection: the sandbox goes, the containers of its pod are CRI's to end."""
    pod = Pod(bench)
    pid = pod.run(netns_path=netns, options=options())
    annotations = {"io.kubernetes.cri.container-type": "container", "io.kubernetes.cri.sandbox-id": "pod"}
    member = bench.container("/bin/sleep", "600", name="member", annotations=annotations)
    assert member.path == pod.path
    member.create()
    member.call("Start")
    if state == "shutting down":  # nobody hears the answer
        pod.sandbox.begin("ShutdownSandbox")
    pod.connection.close()
    answer = bench.delete("pod")
    assert (answer.pid, answer.exit_status) == (pid, 137)
    assert not os.path.exists(f"/proc/{pid}")
    assert member.call("State").status == "RUNNING"
    member.call("Kill", signal=9)
    assert member.call("Wait").exit_status == 137
    member.end()
    assert not os.path.exists(pod.path)


# ---- the podsandbox controller's way: the sandbox is a task ----


def test_the_sandbox_task_is_a_process_with_pids(bench):
    annotations = {"io.kubernetes.cri.container-type": "sandbox", "io.kubernetes.cri.sandbox-id": "one"}
    c = bench.container("/pause", annotations=annotations)
    pid = c.create()
    assert [p.pid for p in c.call("Pids").processes] == [pid]
    c.call("Start")
    assert [p.pid for p in c.call("Pids").processes] == [pid]
    assert (comm(pid), stat_of(pid)[1]) == ("reaper-sandbox", c.shim_pid)
    c.call("Kill", signal=9)
    end = c.call("Wait")
    state = c.call("State")
    assert (state.status, state.exit_status, state.exited_at) == ("STOPPED", 137, end.exited_at)
    c.end()


@pytest.mark.parametrize("kind", ["container", None])
def test_a_command_called_pause_is_run(bench, kind):
    """What is a sandbox is said by the annotation alone."""
    program = pathlib.Path(f"/var/tmp/reaper-test-{os.getpid()}-pause")
    program.write_text("#!/bin/sh\nexit 14\n")
    program.chmod(0o755)
    annotations = {"io.kubernetes.cri.container-type": kind} if kind else {}
    c = bench.container(str(program), annotations=annotations)
    c.create()
    c.call("Start")
    assert c.call("Wait").exit_status == 14
    c.end()
    program.unlink()
