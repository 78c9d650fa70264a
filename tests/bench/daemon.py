"""containerd for the rows that need it: one daemon, a handler for each peer, images made here."""

import contextlib
import io
import json
import os
import pathlib
import re
import signal
import subprocess
import sys
import tarfile

from stage import BINARIES, HERE, until

sys.path.insert(0, str(HERE.parent / "conformance"))

import images  # noqa: E402
from cri.client import Cri, CriError  # noqa: E402

STATE = pathlib.Path("/run/containerd-bench")
SOCKET = f"{STATE}/containerd.sock"
BUSYBOX = "registry.test/busybox:1"

CONFIG = """
version = 2
[plugins."io.containerd.grpc.v1.cri"]
  restrict_oom_score_adj = true
  sandbox_image = "{pause}"
  stream_server_address = "127.0.0.1"
  [plugins."io.containerd.grpc.v1.cri".cni]
    conf_dir = "{state}/cni"
  [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.reaper]
    runtime_type = "io.containerd.reaper.v2"
    pod_annotations = ["reaper.runtime/*"]
  [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
    runtime_type = "io.containerd.runc.v2"
  [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.crun]
    runtime_type = "io.containerd.runc.v2"
    [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.crun.options]
      BinaryName = "/run/bin/crun"
"""


def archive(made):
    """An OCI layout of tests/conformance/images.py's images, as `ctr images import` takes it."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:

        def add(name, data):
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))

        for digest, data in made.blobs.items():
            add(f"blobs/sha256/{digest.removeprefix('sha256:')}", data)
        entries = [
            {"mediaType": images.INDEX, "digest": digest, "size": len(made.blobs[digest]),
             "annotations": {"io.containerd.image.name": name}}
            for name, digest in made.names.items()
        ]  # fmt: skip
        add("index.json", json.dumps({"schemaVersion": 2, "manifests": entries}).encode())
        add("oci-layout", b'{"imageLayoutVersion":"1.0.0"}')
    return out.getvalue()


def make_images(pause):
    made = images.Images()
    made.image(BUSYBOX, [images.busybox_layer(made), made.layer({"bin/workload": (BINARIES / "tests/support/bench-workload").read_bytes()})])
    layer = made.layer({"pause": (BINARIES / "tests/support/bench-pause").read_bytes()})
    made.image(pause, [layer], Entrypoint=["/pause"])
    return archive(made)


class Daemon:
    """Started at its first use; it ends with this pid namespace."""

    def __init__(self, programs, under=()):
        self.programs = programs
        self.under = list(under)
        self.process = None
        self.cri = None
        self.ctr = [f"{programs}/ctr", "-a", SOCKET]

    def start(self):
        if self.process:
            return self
        default = subprocess.run([f"{self.programs}/containerd", "config", "default"], capture_output=True, text=True).stdout
        pause = re.search(r"registry\.k8s\.io/pause:[0-9.]+", default).group()
        (STATE / "cni").mkdir(parents=True)
        (STATE / "config.toml").write_text(CONFIG.format(state=STATE, pause=pause))
        self.run()
        subprocess.run([*self.ctr, "-n", "k8s.io", "images", "import", "--all-platforms", "--no-unpack", "-"],
                       input=make_images(pause), check=True, capture_output=True)  # fmt: skip
        return self

    def run(self):
        words = [*self.under, f"{self.programs}/containerd", "--root", f"{STATE}/root", "--state", f"{STATE}/state",
                 "--address", SOCKET, "--config", f"{STATE}/config.toml"]  # fmt: skip
        env = {**os.environ, "PATH": f"{BINARIES}:{self.programs}:{os.environ['PATH']}"}
        with open("/run/out/containerd.log", "ab") as log:
            self.process = subprocess.Popen(words, env=env, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        self.cri = Cri(f"unix://{SOCKET}")
        until(self.answers, what="containerd")

    def answers(self):
        with contextlib.suppress(CriError):
            return self.cri.call("Version")

    def crash(self):
        """It dies without a word and is started again."""
        self.cri.close()
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()
        self.run()


class Pod:
    """A pod with one container, as a kubelet makes it; in the host's network."""

    count = 0

    def __init__(self, daemon, handler, profile="Unconfined", command=("/bin/busybox", "sleep", "100000"), parent=None):
        Pod.count += 1
        uid = f"bench-{os.getpid()}-{Pod.count}"
        self.cri = daemon.cri
        self.handler = handler
        self.config = {  # `parent`: the slice of a kubelet with the systemd driver
            "metadata": {"name": uid, "uid": uid, "namespace": "default"},
            "log_directory": f"/run/tmp/logs/{uid}",
            "linux": {"security_context": {"namespace_options": {"network": "NODE", "pid": "CONTAINER", "ipc": "POD"}},
                      **({"cgroup_parent": parent} if parent else {})},
        }
        self.container_config = {
            "metadata": {"name": "c"},
            "image": {"image": BUSYBOX},
            "command": list(command),
            "log_path": "c/0.log",
            "linux": {"security_context": {"namespace_options": {"network": "NODE", "pid": "CONTAINER", "ipc": "POD"},
                                           "seccomp": {"profile_type": profile}}},
        }  # fmt: skip
        self.sandbox = self.container = None

    def up(self):
        self.sandbox = self.cri.run_pod_sandbox(self.config, self.handler)
        self.container = self.cri.create_container(self.sandbox, self.container_config, self.config)
        self.cri.start_container(self.container)
        return self

    def down(self):
        self.cri.stop_container(self.container, 0)
        self.cri.remove_container(self.container)
        self.cri.stop_pod_sandbox(self.sandbox)
        self.cri.remove_pod_sandbox(self.sandbox)

    def bundle(self, name):
        return STATE / "state/io.containerd.runtime.v2.task/k8s.io" / name

    def spec(self):
        """The container's config.json."""
        return json.loads((self.bundle(self.container) / "config.json").read_text())
