"""What the server does with frames: proper, unknown, broken and hostile ones."""

import os
import random
import resource
import socket
import struct

import pytest

from bench import give_up, spec
from ttrpc import (
    DATA, EXHAUSTED, INTERNAL, INVALID, MAX_DATA, NOT_FOUND, REQUEST, TASK, TTRPC, UNIMPLEMENTED,
    Connection, RpcError, Task, frame,
)  # fmt: skip
from waiting import until

pytestmark = pytest.mark.submission("anything may come through the socket; milliseconds each")

V2, V3 = "containerd.task.v2.Task", "containerd.task.v3.Task"


@pytest.fixture
def server(bench):
    """A shim without a task; it must be alive and well when the test has ended."""
    address = bench.start("one", spec("/bin/true"))
    yield address
    task = Task(Connection(address))
    pid = task.call("Connect", id="one").shim_pid
    assert task.code("State", id="one") == NOT_FOUND
    give_up(task, "one")
    task.connection.close()
    until(lambda: not os.path.exists(address))
    until(lambda: pid not in bench.shims())
    bench.delete("one")


@pytest.fixture
def connection(server):
    with Connection(server) as opened:
        yield opened


def alive(connection):
    """The same connection still answers."""
    Task(connection).call("Connect", id="one")


def code(call):
    with pytest.raises(RpcError) as raised:
        call()
    assert raised.value.message
    assert "\n" not in raised.value.message
    return raised.value.code


def test_unknown_service(connection):
    assert code(lambda: connection.call("containerd.task.v9.Task", "State")) == UNIMPLEMENTED
    alive(connection)


def test_unknown_method(connection):
    for service in (V2, V3):
        assert code(lambda: connection.call(service, "Dance")) == UNIMPLEMENTED
    alive(connection)


def test_even_stream_id(connection):
    stream = connection.send(V3, "Connect", TASK.encode("ConnectRequest", {"id": "one"}), stream=2)
    assert code(lambda: connection.finish(stream)) == INVALID
    alive(connection)


def test_stream_id_that_does_not_grow(connection):
    payload = TASK.encode("ConnectRequest", {"id": "one"})
    connection.finish(connection.send(V3, "Connect", payload, stream=9))
    stream = connection.send(V3, "Connect", payload, stream=7)
    assert code(lambda: connection.finish(stream)) == INVALID
    connection.next = 11
    alive(connection)


def test_request_that_does_not_decode(connection):
    connection.socket.sendall(frame(1, REQUEST, b"\xff\xff\xff\xff"))
    assert code(lambda: connection.finish(1)) == INVALID
    connection.next = 3
    alive(connection)


def test_payload_that_does_not_decode(connection):
    assert code(lambda: connection.call(V3, "Create", b"\x0a\xff\xff\xff\xff\x0f")) == INTERNAL
    alive(connection)


def test_empty_frame(connection):
    connection.socket.sendall(frame(1, REQUEST, b""))
    assert code(lambda: connection.finish(1)) in (INVALID, UNIMPLEMENTED)
    connection.next = 3
    alive(connection)


def test_frame_longer_than_4_mib_is_passed_over(connection):
    connection.socket.sendall(frame(1, REQUEST, b"x" * (MAX_DATA + 1)))
    assert code(lambda: connection.finish(1)) == EXHAUSTED
    connection.next = 3
    alive(connection)


def test_frame_of_just_4_mib_is_read(connection):
    empty = TTRPC.encode("Request", {"service": V3, "method": "Dance", "payload": b"x"})
    payload = b"x" * (MAX_DATA - len(empty) - 8)
    request = TTRPC.encode("Request", {"service": V3, "method": "Dance", "payload": payload})
    request += b"\x52" + bytes([0x80, 0])  # an unknown field, of length 0 in a long form
    request += b"\x50\x00" * ((MAX_DATA - len(request)) // 2)
    assert MAX_DATA - 1 <= len(request) <= MAX_DATA
    connection.socket.sendall(frame(1, REQUEST, request))
    assert code(lambda: connection.finish(1)) == UNIMPLEMENTED


def test_announced_length_of_4_gib_does_not_take_the_memory(connection, bench):
    connection.socket.sendall(struct.pack(">IIBB", 0xFFFFFFFF, 1, REQUEST, 0) + b"x" * 1000)
    (pid,) = bench.shims()
    with Connection(bench.socket_path("one")) as other:
        alive(other)
    with open(f"/proc/{pid}/status") as file:
        resident = next(int(line.split()[1]) for line in file if line.startswith("VmRSS"))
    assert resident < 32 * 1024


def test_data_on_an_unknown_stream(connection):
    connection.socket.sendall(frame(5, DATA, b"x"))
    assert code(lambda: connection.finish(5)) == INVALID
    connection.next = 7
    alive(connection)


def test_streaming_request_to_a_plain_method(connection):
    stream = connection.send(V3, "Connect", TASK.encode("ConnectRequest", {"id": "one"}), flags=2)
    assert code(lambda: connection.finish(stream)) == UNIMPLEMENTED
    alive(connection)


def test_unknown_frame_type_is_passed_over(connection):
    connection.socket.sendall(frame(1, 77, b"what"))
    connection.next = 3
    alive(connection)


def test_one_byte_at_a_time(connection):
    request = TTRPC.encode("Request", {
        "service": V2, "method": "Connect", "payload": TASK.encode("ConnectRequest", {"id": "one"}),
    })  # fmt: skip
    connection.socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1)
    for byte in frame(1, REQUEST, request):
        connection.socket.sendall(bytes([byte]))
    assert TASK.decode("ConnectResponse", connection.finish(1)).shim_pid > 0


def test_garbage_harms_nobody_else(server):
    numbers = random.Random(20260101)  # the same garbage each time
    for _ in range(200):
        with Connection(server) as hostile:
            try:
                hostile.socket.sendall(numbers.randbytes(numbers.randrange(1, 4000)))
            except OSError:
                pass
    with Connection(server) as other:
        alive(other)


def test_half_a_frame_and_gone(server):
    request = TTRPC.encode("Request", {"service": V3, "method": "Connect"})
    for cut in range(1, 10 + len(request)):
        with Connection(server) as hostile:
            hostile.socket.sendall(frame(1, REQUEST, request)[:cut])
    with Connection(server) as other:
        alive(other)


def test_a_reader_that_does_not_read_stalls_only_itself(server):
    slow = Connection(server)
    payload = TTRPC.encode("Request", {"service": V3, "method": "Dance" + "x" * 900})
    slow.socket.setblocking(False)
    sent, stream = 0, 1
    # until neither side takes more: the shim has stopped reading, or we would have filled it
    while sent < 64 << 20:
        try:
            data = frame(stream, REQUEST, payload)
            if slow.socket.send(data) != len(data):
                break
        except BlockingIOError:
            break
        sent += len(data)
        stream += 2
    with Connection(server) as other:
        alive(other)
    slow.close()


@pytest.mark.parametrize("service, method", [
    ("containerd.services.events.ttrpc.v1.Events", "Forward"), ("grpc.health.v1.Health", "Check"), ("", ""), (V3, ""), ("", "State"),
    (V3 + "\n", "State"), ("x" * 1_000_000, "y" * 1_000_000), ("../" * 100, "%s%n"), (V3.lower(), "State"),
    (V3, "state"), ("containerd.task.v2.Task/State", "")], ids=range(11))  # fmt: skip
def test_wrong_services(connection, service, method):
    assert code(lambda: connection.call(service, method, TASK.encode("StateRequest", {"id": "one"}))) in (UNIMPLEMENTED, INVALID)
    alive(connection)


def test_many_that_drip(server):
    """A byte of each of two hundred requests at a time: one that is whole is answered between any two of them."""
    request = frame(1, REQUEST, TTRPC.encode("Request", {
        "service": V3, "method": "Connect", "payload": TASK.encode("ConnectRequest", {"id": "one"})}))  # fmt: skip
    slow = [Connection(server) for _ in range(200)]
    with Connection(server) as other:
        for at in range(len(request)):
            for each in slow:
                each.socket.sendall(request[at : at + 1])
            alive(other)
    for each in slow:
        assert TASK.decode("ConnectResponse", each.finish(1)).shim_pid > 0
        each.close()


def test_ten_thousand_connections(server, bench):
    """As many as are too many are closed at once; who was there is served, and so is who comes when they have gone."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(12_000, hard), hard))
    (pid,) = bench.shims()
    opened = []
    try:
        with Connection(server) as first:
            alive(first)
            for number in range(10_000):
                # without a time-out: one that has it does not wait for room in the backlog
                opened.append(socket.socket(socket.AF_UNIX, socket.SOCK_STREAM))
                opened[-1].connect(str(server))
                if number % 1000 == 0:
                    alive(first)
            alive(first)
            assert len(os.listdir(f"/proc/{pid}/fd")) < 300
    finally:
        for each in opened:
            each.close()
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))

    def comes_in():
        try:
            with Connection(server) as later:
                alive(later)
            return True
        except ConnectionError:
            return False  # it has not seen all of them go yet

    until(comes_in)


def test_many_connections(server):
    opened = [Connection(server) for _ in range(100)]
    for each in opened:
        alive(each)
    for each in opened:
        each.close()
