"""ttrpc on the wire: a client that can misbehave, and the Events server that a shim talks to."""

import pathlib
import socket
import struct
import threading

from wire import Schema

PROTO = pathlib.Path(__file__).parent / "proto"
TTRPC = Schema(PROTO / "ttrpc.proto")
TASK = Schema(PROTO / "task.proto")
METRICS = {s.package: s for s in (Schema(PROTO / "metrics_v1.proto"), Schema(PROTO / "metrics_v2.proto"))}
SANDBOX = Schema(PROTO / "sandbox.proto")

REQUEST, RESPONSE, DATA = 1, 2, 3
MAX_DATA = 4 << 20

OK, UNKNOWN, INVALID, DEADLINE, NOT_FOUND, EXISTS, PERMISSION = 0, 2, 3, 4, 5, 6, 7
EXHAUSTED, PRECONDITION, UNIMPLEMENTED, INTERNAL = 8, 9, 12, 13

REQUESTS = {"Create": "CreateTaskRequest", "Exec": "ExecProcessRequest", "Update": "UpdateTaskRequest",
            "Checkpoint": "CheckpointTaskRequest"}  # fmt: skip
RESPONSES = {"Create": "CreateTaskResponse"}
ANSWERED = {"Start", "Delete", "State", "Pids", "Wait", "Connect", "Stats"}


class RpcError(Exception):
    def __init__(self, code, message):
        super().__init__(f"code {code}: {message}")
        self.code = code
        self.message = message


def metrics(answer):
    """The Metrics of a StatsResponse, and which: "v1" or "v2"."""
    package, _, name = answer.stats.type_url.rpartition(".")
    assert name == "Metrics" and package in METRICS, answer.stats.type_url
    return METRICS[package].decode(name, answer.stats.value), package.rpartition(".")[2]


def frame(stream, kind, data, flags=0):
    return struct.pack(">IIBB", len(data), stream, kind, flags) + data


class Connection:
    """One connection of a client. Each request takes the next odd stream id."""

    def __init__(self, path, timeout=60):
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        # far beyond any answer: a shim that does not answer fails the test, not the machine's load
        self.socket.settimeout(timeout)
        self.socket.connect(str(path))
        self.next = 1
        self.kept = {}

    def close(self):
        self.socket.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def send(self, service, method, payload=b"", stream=None, flags=0, **more):
        """`more`: timeout_nano, metadata."""
        if stream is None:
            stream, self.next = self.next, self.next + 2
        request = TTRPC.encode("Request", {"service": service, "method": method, "payload": payload, **more})
        self.socket.sendall(frame(stream, REQUEST, request, flags))
        return stream

    def read(self, size):
        data = b""
        while len(data) < size:
            piece = self.socket.recv(size - len(data))
            if not piece:
                raise ConnectionError("the shim closed the connection")
            data += piece
        return data

    def receive(self, stream):
        """The response on that stream; those on others are kept."""
        while stream not in self.kept:
            size, number, kind, _ = struct.unpack(">IIBB", self.read(10))
            data = self.read(size)
            assert kind == RESPONSE, f"frame of type {kind}"
            assert number not in self.kept, f"two responses on stream {number}"
            self.kept[number] = TTRPC.decode("Response", data)
        return self.kept.pop(stream)

    def finish(self, stream):
        response = self.receive(stream)
        if response.status and response.status.code:
            assert response.payload == b"", "an error with a payload: clients read that first"
            raise RpcError(response.status.code, response.status.message)
        return response.payload

    def call(self, service, method, payload=b""):
        return self.finish(self.send(service, method, payload))


class Task:
    """The Task service on a connection, v2 or v3."""

    def __init__(self, connection, version="v3"):
        self.connection = connection
        self.service = f"containerd.task.{version}.Task"

    def begin(self, method, wire=None, **fields):
        """`wire`: what stands in the ttrpc request beside the payload."""
        payload = TASK.encode(REQUESTS.get(method, f"{method}Request"), fields)
        return self.connection.send(self.service, method, payload, **(wire or {}))

    def end(self, method, stream):
        payload = self.connection.finish(stream)
        if method in ANSWERED or method in RESPONSES:
            return TASK.decode(RESPONSES.get(method, f"{method}Response"), payload)
        assert payload == b""
        return None

    def call(self, method, **fields):
        return self.end(method, self.begin(method, **fields))

    def code(self, method, **fields):
        """The status code of a call that may fail."""
        try:
            self.call(method, **fields)
        except RpcError as error:
            return error.code
        return OK


class Sandbox:
    """The Sandbox service on a connection, for one sandbox."""

    def __init__(self, connection, name):
        self.connection = connection
        self.name = name

    def begin(self, method, **fields):
        payload = SANDBOX.encode(f"{method}Request", {"sandbox_id": self.name, **fields})
        return self.connection.send("containerd.runtime.sandbox.v1.Sandbox", method, payload)

    def end(self, method, stream):
        return SANDBOX.decode(f"{method}Response", self.connection.finish(stream))

    def call(self, method, **fields):
        return self.end(method, self.begin(method, **fields))

    def code(self, method, **fields):
        try:
            self.call(method, **fields)
        except RpcError as error:
            return error.code
        return OK


class Events:
    """Takes what a shim forwards, as containerd does, and keeps it in order."""

    def __init__(self, path):
        self.path = pathlib.Path(path)
        self.received = []
        self.changed = threading.Condition()  # its lock is reentrant
        self.connections = []
        self.held = None  # the topic whose events are taken and not answered
        self.listener = None
        self.open()

    def open(self):
        self.path.unlink(missing_ok=True)
        self.listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.listener.bind(str(self.path))
        self.listener.listen(16)
        threading.Thread(target=self._accept, args=(self.listener,), daemon=True).start()

    def close(self):
        self.hold(None)
        # shutdown first: it wakes the thread that waits in accept or recv
        for each in (self.listener, *self.connections):
            try:
                each.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
            each.close()
        self.connections.clear()
        self.path.unlink(missing_ok=True)

    def _accept(self, listener):
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            self.connections.append(connection)
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection):
        try:
            while True:
                header = self._read(connection, 10)
                size, stream, kind, _ = struct.unpack(">IIBB", header)
                request = TTRPC.decode("Request", self._read(connection, size))
                with self.changed:
                    self.received.append((request.service, request.method, request.payload, stream, kind))
                    self.changed.notify_all()
                    topic = TASK.decode("ForwardRequest", request.payload).envelope.topic
                    self.changed.wait_for(lambda topic=topic: self.held != topic)
                connection.sendall(frame(stream, RESPONSE, b""))
        except OSError:
            pass

    def hold(self, topic):
        """None: everything is answered again."""
        with self.changed:
            self.held = topic
            self.changed.notify_all()

    @staticmethod
    def _read(connection, size):
        data = b""
        while len(data) < size:
            piece = connection.recv(size - len(data))
            if not piece:
                raise OSError("closed")
            data += piece
        return data

    def all(self):
        """[(topic, event)] so far; what is not a proper event fails here."""
        result = []
        with self.changed:
            received = list(self.received)
        for service, method, payload, stream, kind in received:
            assert (service, method) == ("containerd.services.events.ttrpc.v1.Events", "Forward")
            assert kind == REQUEST and stream % 2 == 1
            envelope = TASK.decode("ForwardRequest", payload).envelope
            assert envelope.timestamp and envelope.timestamp.seconds > 0
            name = envelope.event.type_url
            assert name.startswith("containerd.events."), name
            result.append((envelope.topic, TASK.decode(name.removeprefix("containerd.events."), envelope.event.value)))
            assert envelope.namespace, envelope.topic
        return result

    def wait(self, topic, limit=60, **fields):
        """The first event of that topic whose fields fit."""

        def find():
            return [e for seen, e in self.all() if seen == topic and all(e[k] == v for k, v in fields.items())]

        with self.changed:
            if not self.changed.wait_for(find, timeout=limit):
                raise AssertionError(f"no {topic} {fields} among {[seen for seen, _ in self.all()]}")
            return find()[0]
