"""What the rows are made with: the register of rows, a peer under measurement, and a stage for it."""

import contextlib
import json
import os
import pathlib
import re
import shutil
import signal
import sys
import time

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "support"))

from bench import NAMESPACE, Bench, spec  # noqa: E402
from machine import BINARIES, is_zombie  # noqa: E402
from running import plain_pod  # noqa: E402, F401
from trees import remove_tree  # noqa: E402
from ttrpc import TASK, Events, Task  # noqa: E402
from waiting import until  # noqa: E402

ROWS = []
TICKS = os.sysconf("SC_CLK_TCK")
# programs of tests/bench, built beside the others: on the host for Reaper, copied for the peers
WORKLOAD = BINARIES / "tests/support/bench-workload"


def row(unit, rounds, better="less", parts=(), **what):
    """`rounds` is the number of measurements with --rounds 1; better: less or more. A function that measures
    several things at once names them in `parts` and returns a dictionary. alone: no peer has it. peers: which."""

    def register(function):
        ROWS.append((function.__name__, function, unit, rounds, better, {"parts": parts, **what}))
        return function

    return register


class Peer:
    """A shim under measurement: the program, and what its workloads need."""

    def __init__(self, name, shim, rootfs, binary=None):
        self.name = name
        self.shim = str(shim)
        self.rootfs = rootfs
        self.binary = binary  # of runc's shim: another OCI runtime
        # containerd.runc.v1.Options: binary_name is field 6
        value = bytes([6 << 3 | 2, len(binary)]) + binary.encode() if binary else b""
        self.options = {"options": {"type_url": "containerd.runc.v1.Options", "value": value}} if binary else {}

    def ctr(self):
        """What `ctr run` is told."""
        words = ["--runtime", "io.containerd.reaper.v2" if self.name == "reaper" else "io.containerd.runc.v2"]
        return words + (["--runc-binary", self.binary] if self.binary else [])

    def workload(self, *words):
        """tests/bench/workload.c, as its containers see it."""
        return ("/bin/workload" if self.rootfs else str(WORKLOAD), *map(str, words))


class TimedEvents(Events):
    """Events, and when each came: CLOCK_MONOTONIC, before anything is decoded."""

    def __init__(self, path):
        self.times = []
        super().__init__(path)

    def _read(self, connection, size):
        data = Events._read(connection, size)
        if size != 10:
            self.times.append((time.monotonic_ns(), data))
        return data

    def came(self, topic):
        """When the last event of that topic came, in ns."""
        for when, data in reversed(self.times):
            if topic.encode() in data:
                return when
        return None


class Stage(Bench):
    """component's bench, for any shim: containerd's calls without containerd."""

    def __init__(self, peer):
        super().__init__()
        self.events.close()
        self.events = TimedEvents(f"{self.address}.ttrpc")
        self.peer = peer
        self.count = 0

    def config(self, *args, **changes):
        config = spec(*args, **changes)
        config["root"] = {"path": self.peer.rootfs or "rootfs", "readonly": False}
        return config

    def bundle(self, *args, **changes):
        self.count += 1
        name = f"{self.peer.name}{os.getpid()}n{self.count}"
        self.make_bundle(name, self.config(*args, **changes))
        return name

    def argv(self, name, *words):
        return [self.peer.shim, "-namespace", NAMESPACE, "-address", self.address, "-publish-binary",
                "/bin/true", "-id", name, *words]  # fmt: skip

    def stdin(self, name):
        fields = {"instance_id": name, "namespace": NAMESPACE, "log_level": 0, "containerd_version": "2.4.2",
                  "containerd_ttrpc_address": f"{self.address}.ttrpc", "containerd_grpc_address": self.address,
                  "containerd_binary": "/bin/true"}  # fmt: skip
        return TASK.encode("BootstrapParams", fields)

    def spawn(self, argv, cwd, stdin=b""):
        """(seconds until its answer is whole and it has ended, the answer)."""
        read, write = os.pipe()
        source = os.memfd_create("stdin")
        os.write(source, stdin)
        os.lseek(source, 0, os.SEEK_SET)
        null = os.open("/dev/null", os.O_WRONLY)
        actions = [(os.POSIX_SPAWN_DUP2, source, 0), (os.POSIX_SPAWN_DUP2, write, 1), (os.POSIX_SPAWN_DUP2, null, 2)]
        here = os.getcwd()
        os.chdir(cwd)
        began = time.perf_counter()
        pid = os.posix_spawn(argv[0], argv, self.environment(), file_actions=actions)
        os.close(write)
        answer = b""
        while piece := os.read(read, 65536):
            answer += piece
        _, status = os.waitpid(pid, 0)
        took = time.perf_counter() - began
        os.chdir(here)
        for fd in (read, source, null):
            os.close(fd)
        assert status == 0, f"{argv}: {status}"
        return took, answer

    def begin(self, name):
        """`start`: (seconds, Task on the shim)."""
        took, answer = self.spawn(self.argv(name, "start"), self.directory / name, self.stdin(name))
        text = TASK.decode("BootstrapResult", answer).address
        return took, Task(self.connect(text.removeprefix("unix://")))

    def create(self, name, task, **fields):
        return task.call("Create", id=name, bundle=str(self.directory / name), **self.peer.options, **fields).pid

    def finish(self, name, task):
        with contextlib.suppress(ConnectionError):
            task.call("Shutdown", id=name, now=True)
        task.connection.close()
        self.connections.remove(task.connection)

    def remove(self, name):
        bundle = self.directory / name
        took, _ = self.spawn(self.argv(name, "-bundle", str(bundle), "delete"), bundle)
        remove_tree(bundle)
        return took

    @contextlib.contextmanager
    def running(self, *args, **changes):
        """A started task: (name, Task, pid of the shim, pid of the workload)."""
        name = self.bundle(*args, **changes)
        _, task = self.begin(name)
        pid = self.create(name, task)
        task.call("Start", id=name)
        shim = task.call("Connect", id=name).shim_pid
        try:
            yield name, task, shim, pid
        finally:
            task.call("Kill", id=name, signal=9)
            task.call("Wait", id=name)
            task.call("Delete", id=name)
            self.finish(name, task)
            until(lambda: is_zombie(shim) or not os.path.exists(f"/proc/{shim}"), what="the shim's end")
            self.remove(name)



# ---- what the kernel says of processes ----


def everybody():
    return [int(p) for p in os.listdir("/proc") if p.isdigit() and not is_zombie(int(p))]


def end_by_name(name):
    """A shim that had no task: it may stay after Shutdown, as containerd would then end it."""
    for pid in everybody():
        with contextlib.suppress(OSError):
            words = pathlib.Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
            if name.encode() in words and b"delete" not in words:
                os.kill(pid, signal.SIGKILL)
                until(lambda: is_zombie(pid) or not os.path.exists(f"/proc/{pid}"), what="its end")


def cpu(pid):
    """Processor seconds of all its threads, to the nanosecond."""
    total = 0
    for stat in pathlib.Path(f"/proc/{pid}/task").glob("*/schedstat"):
        total += int(stat.read_text().split()[0])
    return total / 1e9


def switches(pid):
    """Of all its threads, of both kinds."""
    total = 0
    for status in pathlib.Path(f"/proc/{pid}/task").glob("*/status"):
        total += sum(int(n) for n in re.findall(r"ctxt_switches:\s*(\d+)", status.read_text()))
    return total


def timers(pid):
    armed = len(re.findall(r"^ID:", pathlib.Path(f"/proc/{pid}/timers").read_text(), re.M))
    for info in pathlib.Path(f"/proc/{pid}/fdinfo").iterdir():
        value = re.search(r"it_value: \((\d+), (\d+)\)", info.read_text())
        armed += bool(value and (int(value.group(1)) or int(value.group(2))))
    return armed


def memory_of(pid, what):
    """`what`: Private_Dirty, Pss ...; in kB."""
    text = pathlib.Path(f"/proc/{pid}/smaps_rollup").read_text()
    return int(re.search(rf"^{what}:\s*(\d+)", text, re.M).group(1))
