"""Calls of the Task service as the wire sees them: deadlines, metadata, connections that come and go,
many at a time, and peers that are not containerd. What single frames may look like is test_wire.py's."""

import os
import resource
import socket
import subprocess
import sys

import pytest

from ttrpc import DEADLINE, NOT_FOUND, REQUEST, TASK, TTRPC, Connection, RpcError, Task, frame
from waiting import until

pytestmark = pytest.mark.submission("what containerd's client does to a shim on a bad day; a second at most each")

SLEEP = ("/bin/sleep", "600")
BOTH = pytest.mark.parametrize("version", ["v2", "v3"])
NOW = {"timeout_nano": 1}


def running(bench, *args, **more):
    c = bench.container(*(args or SLEEP), **more)
    c.create()
    c.call("Start")
    return c


def finish(c):
    c.call("Kill", signal=9)
    c.call("Wait")
    return c.end()


def code(task, method, stream):
    with pytest.raises(RpcError) as raised:
        task.end(method, stream)
    return raised.value.code


def hurry(task, method):
    """A call whose time is over at once; quick work may be done before that is noticed."""
    try:
        task.end(method, task.begin(method, id="one", wire=NOW))
    except RpcError as error:
        assert error.code == DEADLINE


def resident(pid):
    with open(f"/proc/{pid}/status") as file:
        return next(int(line.split()[1]) for line in file if line.startswith("VmRSS")) << 10


# --- deadlines


@BOTH
def test_a_wait_that_is_out_of_time_hears_so_and_others_wait_on(bench, version):
    c = running(bench, version=version)
    patient = c.task.begin("Wait", id="one")
    assert code(c.task, "Wait", c.task.begin("Wait", id="one", wire={"timeout_nano": 20_000_000})) == DEADLINE
    # one whose time was over before it arrived
    assert code(c.task, "Wait", c.task.begin("Wait", id="one", wire={"timeout_nano": -1})) == DEADLINE
    far = c.task.begin("Wait", id="one", wire={"timeout_nano": (1 << 63) - 1})
    c.call("Kill", signal=9)
    assert c.task.end("Wait", patient).exit_status == 137
    assert c.task.end("Wait", far).exit_status == 137
    c.end()


def test_work_goes_on_when_its_caller_is_out_of_time(bench):
    """containerd's issue 7496: what was begun must not be forgotten, or it is begun twice."""
    c = bench.container(*SLEEP)
    assert code(c.task, "Create", c.task.begin("Create", id="one", bundle=str(c.bundle), wire=NOW)) == DEADLINE
    pid = bench.events.wait("/tasks/create", container_id="one").pid
    hurry(c.task, "Start")
    # State says RUNNING from the release on; a Kill before the exec would rightly leave no start event
    assert bench.events.wait("/tasks/start", container_id="one").pid == pid
    assert c.call("State").status == "RUNNING"
    c.call("Kill", signal=9)
    c.call("Wait")
    hurry(c.task, "Delete")
    bench.events.wait("/tasks/delete", container_id="one")
    assert c.code("State") == NOT_FOUND
    assert [t for t, _ in bench.events.all()] == ["/tasks/create", "/tasks/start", "/tasks/exit", "/tasks/delete"]
    c.end(delete=False)


def test_a_caller_who_is_gone_leaves_its_work_behind(bench):
    c = bench.container(*SLEEP)
    other = c.another()
    other.begin("Create", id="one", bundle=str(c.bundle))
    other.connection.close()
    bench.events.wait("/tasks/create", container_id="one")
    c.call("Start")
    finish(c)


# --- what a request may carry


@BOTH
def test_metadata_changes_nothing(bench, version):
    c = running(bench, version=version)
    metadata = [
        {"key": "containerd-namespace-ttrpc", "value": "another namespace"},
        {"key": "traceparent", "value": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"},
        {"key": "twice", "value": "a"}, {"key": "twice", "value": "b"},
        {"key": "", "value": ""}, {"key": "x" * 5000, "value": "y" * 50000},
    ]  # fmt: skip
    stream = c.task.begin("State", id="one", wire={"metadata": metadata})
    assert c.task.end("State", stream).status == "RUNNING"
    finish(c)


def test_an_empty_answer_is_an_empty_frame(bench):
    c = running(bench)
    stream = c.task.begin("Kill", id="one", signal=0)
    header = c.task.connection.read(10)
    assert header == bytes(4) + stream.to_bytes(4, "big") + b"\x02\x00"
    finish(c)


def test_both_versions_share_one_connection_and_one_task(bench):
    c = running(bench)
    v2 = Task(c.task.connection, "v2")
    waiting = v2.begin("Wait", id="one")
    assert v2.call("State", id="one") == c.call("State")
    c.call("Kill", signal=9)
    assert v2.end("Wait", waiting) == c.call("Wait")
    c.end()


# --- connections


def test_half_close_ends_a_connection_and_what_waits_on_it(bench):
    """As the reference server: end of file means that the client is gone."""
    c = running(bench)
    other = c.another()
    stream = other.begin("State", id="one")
    other.begin("Wait", id="one")
    other.connection.socket.shutdown(socket.SHUT_WR)
    assert other.end("State", stream).status == "RUNNING", "what came before it is answered"
    with pytest.raises(ConnectionError):
        other.connection.read(1)
    finish(c)


def test_a_kill_before_any_wait_is_not_lost(bench):
    """The Wait that comes after the end, and the one that is parked when the end comes."""
    c = running(bench)
    other = c.another()
    parked = other.begin("Wait", id="one")
    # one connection is served in order: when this is answered the Wait is parked
    assert other.call("State", id="one").status == "RUNNING"
    c.call("Kill", signal=9)
    first = other.end("Wait", parked)
    assert first.exit_status == 137
    assert c.call("Wait") == first, "as often as asked"
    assert c.another().call("Wait", id="one") == first
    c.end()


def test_calls_of_many_connections_at_once(bench):
    c = running(bench)
    tasks = [c.another(v) for v in ("v2", "v3") * 50]
    waits = [(t, t.begin("Wait", id="one")) for t in tasks for _ in range(20)]
    states = [(t, t.begin("State", id="one")) for t in tasks for _ in range(20)]
    assert all(t.end("State", s).status == "RUNNING" for t, s in states)
    c.call("Kill", signal=9)
    assert all(t.end("Wait", s).exit_status == 137 for t, s in waits)
    c.end()


def test_too_many_connections_cost_nobody_else_anything(bench):
    """Thousands; the limit is 256 at a time, and what is over it is closed at once."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = min(hard, 3000)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, wanted), hard))
    c = running(bench)
    before = len(os.listdir(f"/proc/{c.shim_pid}/fd"))
    crowd = []
    try:
        for _ in range(wanted - 200):
            each = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            each.connect(c.path)
            crowd.append(each)
        assert c.call("State").status == "RUNNING"
        assert len(os.listdir(f"/proc/{c.shim_pid}/fd")) <= before + 256
    finally:
        for each in crowd:
            each.close()
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    until(lambda: len(os.listdir(f"/proc/{c.shim_pid}/fd")) <= before)
    assert c.another().call("State", id="one").status == "RUNNING"
    finish(c)


def test_too_many_waits_on_one_connection_are_refused_one_by_one(bench):
    c = running(bench)
    other = c.another()
    streams = [other.begin("Wait", id="one") for _ in range(1030)]
    last = [code(other, "Wait", s) for s in streams[1024:]]
    assert last == [8] * 6
    assert c.call("State").status == "RUNNING"
    c.call("Kill", signal=9)
    assert all(other.end("Wait", s).exit_status == 137 for s in streams[:1024])
    c.end()


# --- peers that mean no good


def test_a_peer_that_reads_nothing_costs_little_memory(bench):
    c = running(bench)
    before = resident(c.shim_pid)
    hostile = Connection(c.path)
    hostile.socket.setblocking(False)
    request = TTRPC.encode("Request", {"service": "containerd.task.v3.Task", "method": "x" * 900})
    sent, stream = 0, 1
    while sent < 256 << 20:
        data = frame(stream, REQUEST, request)
        try:
            if hostile.socket.send(data) != len(data):
                break
        except BlockingIOError:
            break
        sent += len(data)
        stream += 2
    assert c.call("State").status == "RUNNING"
    assert resident(c.shim_pid) - before < 24 << 20, "16 MiB is where a connection is given up"
    hostile.close()
    finish(c)


def test_announced_and_dripping_frames_hold_what_has_arrived(bench):
    """A hundred peers that each promise 4 MiB and send a byte."""
    c = running(bench)
    before = resident(c.shim_pid)
    crowd = [Connection(c.path) for _ in range(100)]
    for each in crowd:
        each.socket.sendall((4 << 20).to_bytes(4, "big") + (1).to_bytes(4, "big") + bytes([REQUEST, 0]) + b"x")
    for _ in range(50):
        for each in crowd:
            each.socket.sendall(b"x")
    assert c.call("State").status == "RUNNING"
    assert resident(c.shim_pid) - before < 8 << 20
    for each in crowd:
        each.close()
    finish(c)


CONNECT = """
import os, socket, sys
os.setgroups([])
os.setresgid(*[int(sys.argv[3])] * 3)
os.setresuid(*[int(sys.argv[2])] * 3)
s = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
try:
    s.connect(sys.argv[1])
except PermissionError:
    sys.exit(10)
s.settimeout(60)
try:
    s.sendall(bytes.fromhex(sys.argv[4]))
    sys.exit(11 if s.recv(1) == b"" else 12)
except (BrokenPipeError, ConnectionResetError):
    sys.exit(11)
"""


def test_the_socket_is_roots_alone(bench):
    c = running(bench)
    request = TTRPC.encode("Request", {"service": "containerd.task.v3.Task", "method": "Connect",
                                       "payload": TASK.encode("ConnectRequest", {"id": "one"})})  # fmt: skip

    def connect(uid, gid):
        return subprocess.run([sys.executable, "-c", CONNECT, c.path, str(uid), str(gid),
                               frame(1, REQUEST, request).hex()]).returncode  # fmt: skip

    assert os.stat(c.path).st_mode & 0o777 == 0o600
    assert connect(0, 0) == 12, "the test's own client is right"
    assert connect(65534, 65534) == 10
    # even where a file mode was opened: containerd's peers ask the kernel who they talk to
    # (a shim of runc's that comes first makes both directories with mode 600)
    directories = [os.path.dirname(c.path), os.path.dirname(os.path.dirname(c.path))]
    modes = [os.stat(directory).st_mode & 0o777 for directory in directories]
    for directory in directories:
        os.chmod(directory, 0o755)
    os.chmod(c.path, 0o666)
    try:
        assert connect(65534, 65534) == 11
        assert connect(65534, 0) == 11
        assert connect(0, 65534) == 11
    finally:
        os.chmod(c.path, 0o600)
        for directory, mode in zip(directories, modes):
            os.chmod(directory, mode)
    finish(c)
