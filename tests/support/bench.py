"""A real shim with no containerd: the calls that containerd makes, made by a test."""

import hashlib
import json
import os
import pathlib
import subprocess
import tempfile

from machine import BINARIES, Bare, is_zombie
from ttrpc import EXISTS, NOT_FOUND, OK, TASK, Connection, Events, Task
from trees import remove_tree
from waiting import until

SHIM = BINARIES / "containerd-shim-reaper-v2"
NAMESPACE = "component"

# what CRI says of a container
POD = {
    "io.kubernetes.cri.container-type": "container",
    "io.kubernetes.cri.sandbox-id": "one",
    "io.kubernetes.cri.sandbox-namespace": "team",
    "io.kubernetes.cri.sandbox-name": "web-0",
    "io.kubernetes.cri.sandbox-uid": "u-1",
    "io.kubernetes.cri.container-name": "main",
}


def spec(*args, **changes):
    """config.json as `ctr run --rootfs DIR` makes it, with the given command."""
    process = {
        "terminal": False,
        "user": {"uid": 0, "gid": 0},
        "args": list(args),
        "env": ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"],
        "cwd": "/",
        "noNewPrivileges": True,
        "capabilities": {k: ["CAP_CHOWN", "CAP_KILL"] for k in ("bounding", "effective", "permitted")},
        "rlimits": [{"type": "RLIMIT_NOFILE", "hard": 1024, "soft": 1024}],
    }
    process.update(changes.pop("process", {}))
    mounts = [
        ("/proc", "proc", "proc", ["nosuid", "noexec", "nodev"]),
        ("/dev", "tmpfs", "tmpfs", ["nosuid", "strictatime", "mode=755", "size=65536k"]),
        ("/dev/pts", "devpts", "devpts", ["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5"]),
        ("/dev/shm", "tmpfs", "shm", ["nosuid", "noexec", "nodev", "mode=1777", "size=65536k"]),
        ("/dev/mqueue", "mqueue", "mqueue", ["nosuid", "noexec", "nodev"]),
        ("/sys", "sysfs", "sysfs", ["nosuid", "noexec", "nodev", "ro"]),
        ("/run", "tmpfs", "tmpfs", ["nosuid", "strictatime", "mode=755", "size=65536k"]),
    ]
    config = {
        "ociVersion": "1.0.2-dev",
        "process": process,
        "root": {"path": "rootfs"},
        "mounts": [dict(zip(("destination", "type", "source", "options"), m)) for m in mounts],
        "linux": {
            "resources": {"devices": [{"allow": False, "access": "rwm"}]},
            "namespaces": [{"type": t} for t in ("pid", "ipc", "uts", "mount", "network")],
        },
    }
    config.update(changes)
    return config


def exec_spec(*args, **changes):
    """The process object of an Exec request."""
    return {"type_url": "types.containerd.io/opencontainers/runtime-spec/1/Process",
            "value": json.dumps(spec(*args, process=changes)["process"]).encode()}  # fmt: skip


class Bench(Bare):
    """A state directory with bundles, an Events server, and the shims started from it."""

    name = "bench"

    def __init__(self):
        super().__init__()
        self.directory = pathlib.Path(tempfile.mkdtemp(prefix="reaper-test-", dir="/run"))
        # containerd's own address, of which the shim's socket name is made
        self.address = str(self.directory / "containerd.sock")
        self.events = Events(f"{self.address}.ttrpc")
        self.connections = []
        self.logs = []
        # its history is its own
        self.settings = {"REAPER_HISTORY_FILE": f"{self.directory}/history.jsonl"}  # REAPER_…: what the node's administrator has set

    def close(self):
        for connection in self.connections:
            connection.close()
        for log in self.logs:
            os.close(log)
        self.events.close()
        remove_tree(self.directory)

    def environment(self):
        env = super().environment()
        env.update({"TTRPC_ADDRESS": f"{self.address}.ttrpc", "GRPC_ADDRESS": self.address,
                    "NAMESPACE": NAMESPACE, "GOMAXPROCS": "2", "MAX_SHIM_VERSION": "2", **self.settings})  # fmt: skip
        return env

    def make_bundle(self, name, config):
        """A bundle as containerd leaves it before `start`; config may be text to be taken as is."""
        bundle = self.directory / name
        (bundle / "rootfs").mkdir(parents=True)
        if config is not None:
            text = config
            if isinstance(config, dict):
                config = dict(config)
                config["linux"] = {"cgroupsPath": f"/reaper-component-{os.getpid()}/{name}", **config["linux"]}
                text = json.dumps(config)
            (bundle / "config.json").write_text(text)
        os.mkfifo(bundle / "log", 0o700)
        # containerd holds the log open so that no writer ever waits for a reader
        self.logs.append(os.open(bundle / "log", os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC))
        return bundle

    def shim(self, *arguments, bundle=None, stdin=b"", check=True, namespace=NAMESPACE, name=None):
        flags = ["-namespace", namespace, "-address", self.address, "-publish-binary", "/usr/bin/containerd"]
        if name is not None:
            flags += ["-id", name]
        result = subprocess.run(
            [str(SHIM), *flags, *arguments], cwd=bundle, env=self.environment(), input=stdin,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=120,
        )  # fmt: skip
        if check:
            assert result.returncode == 0, result.stderr.decode(errors="replace")
        return result

    def start(self, name, config, stdin=b""):
        """Bundle and `start`; the socket's path."""
        bundle = self.make_bundle(name, config)
        result = self.shim("start", bundle=bundle, stdin=stdin, name=name)
        assert result.stderr == b""
        address = result.stdout.decode()
        assert address.startswith("unix:///"), address
        return address.removeprefix("unix://")

    def connect(self, path):
        connection = Connection(path)
        self.connections.append(connection)
        return connection

    def delete(self, name):
        """The `delete` call, after which containerd removes the bundle."""
        bundle = self.directory / name
        result = self.shim("-bundle", str(bundle), "delete", bundle=bundle, name=name)
        assert result.stderr.decode() == "", result.stderr.decode()
        answer = TASK.decode("DeleteResponse", result.stdout)
        remove_tree(bundle)
        return answer

    def socket_path(self, group):
        digest = hashlib.sha256(os.path.join(self.address, NAMESPACE, group).encode()).hexdigest()
        return f"/run/containerd/s/{digest}"

    def container(self, *args, version="v3", name="one", **changes):
        return Container(self, name, self.start(name, spec(*args, **changes)), version)

    def adopt(self, name, path, version="v3"):
        """The container of a shim that the test has started by itself; its bundle is the bench's."""
        return Container(self, name, path, version)


def give_up(task, name):
    """How containerd leaves a shim whose Create failed: without one, a place is kept for the task
    that `start` promised."""
    assert task.code("Create", id=name, bundle="/no/such/bundle") not in (OK, EXISTS)
    assert task.code("Delete", id=name) in (OK, NOT_FOUND)
    task.call("Shutdown", id=name)


class Container:
    """A container of its own pod, and the calls on it."""

    def __init__(self, bench, name, path, version="v3"):
        self.bench = bench
        self.name = name
        self.bundle = bench.directory / name
        self.path = path
        self.task = Task(bench.connect(self.path), version)
        self.shim_pid = self.task.call("Connect", id=name).shim_pid

    def call(self, method, **fields):
        return self.task.call(method, id=self.name, **fields)

    def code(self, method, **fields):
        return self.task.code(method, id=self.name, **fields)

    def another(self, version="v3"):
        return Task(self.bench.connect(self.path), version)

    def create(self, **fields):
        return self.call("Create", bundle=str(self.bundle), **fields).pid

    def fifo(self, name):
        path = self.bundle / name
        os.mkfifo(path)
        return str(path)

    def end(self, delete=True):
        """What containerd does after an exit: Delete, Shutdown, the delete call."""
        answer = self.call("Delete") if delete else None
        self.call("Shutdown") if delete else give_up(self.task, self.name)
        until(self.gone, what="the shim's end")
        assert not os.path.exists(self.path), "the socket is still there"
        self.bench.delete(self.name)
        return answer

    def gone(self):
        return is_zombie(self.shim_pid)
