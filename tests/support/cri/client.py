"""A client of the Container Runtime Interface, as small as the tests and try-reaper.sh need.

    cri = Cri("unix:///run/containerd/containerd.sock")
    cri.call("Version").runtime_version

The socket may be another machine's: /proc/PID/root/run/containerd/containerd.sock is that of the
node container whose init is PID. Files that CRI wants on the node (log directories) are made
below the same root.
"""

import pathlib

import grpc

from wire import Schema

SCHEMA = Schema(pathlib.Path(__file__).parent.parent / "proto" / "cri.proto")
IMAGE_METHODS = {"ListImages", "ImageStatus", "RemoveImage"}
DEFAULT_ENDPOINT = "unix:///run/containerd/containerd.sock"


class CriError(Exception):
    """What the daemon answered instead of a result: code (grpc.StatusCode name) and text."""

    def __init__(self, method, code, details):
        super().__init__(f"{method}: {details} ({code})")
        self.code = code
        self.details = details


class Cri:
    def __init__(self, endpoint=DEFAULT_ENDPOINT):
        self.endpoint = endpoint
        path = endpoint.removeprefix("unix://")
        # what stands before the first /run/ of the socket's path is the node's root
        self.root = pathlib.Path(path[: path.index("/run/")] or "/") if "/run/" in path else pathlib.Path("/")
        self.channel = grpc.insecure_channel(
            f"unix://{path}",
            options=[
                # without it the path is sent as the authority, which Go's server refuses
                ("grpc.default_authority", "localhost"),
                ("grpc.max_receive_message_length", 16 << 20),
            ],
        )

    def close(self):
        self.channel.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def call(self, method, deadline=120, **fields):
        service = "ImageService" if method in IMAGE_METHODS else "RuntimeService"
        invoke = self.channel.unary_unary(
            f"/runtime.v1.{service}/{method}",
            request_serializer=lambda values: SCHEMA.encode(f"{method}Request", values),
            response_deserializer=lambda data: SCHEMA.decode(f"{method}Response", data),
        )
        try:
            return invoke(fields, timeout=deadline, wait_for_ready=True)
        except grpc.RpcError as error:
            raise CriError(method, error.code().name, error.details()) from None

    # Names of their own where a call has one argument and one answer.

    def run_pod_sandbox(self, config, handler=""):
        log_directory = config.get("log_directory")
        if log_directory:
            self.node_path(log_directory).mkdir(parents=True, exist_ok=True)
        answer = self.call("RunPodSandbox", config=config, runtime_handler=handler)
        return answer.pod_sandbox_id

    def create_container(self, pod, config, pod_config):
        log_path = config.get("log_path")
        if log_path and pod_config.get("log_directory"):
            path = self.node_path(pod_config["log_directory"]) / log_path
            path.parent.mkdir(parents=True, exist_ok=True)
        answer = self.call("CreateContainer", pod_sandbox_id=pod, config=config, sandbox_config=pod_config)
        return answer.container_id

    def start_container(self, container):
        self.call("StartContainer", container_id=container)

    def stop_container(self, container, timeout=0):
        self.call("StopContainer", container_id=container, timeout=timeout)

    def remove_container(self, container):
        self.call("RemoveContainer", container_id=container)

    def container_status(self, container):
        return self.call("ContainerStatus", container_id=container).status

    def exec_sync(self, container, command, timeout=30):
        return self.call("ExecSync", container_id=container, cmd=command, timeout=timeout)

    def stop_pod_sandbox(self, pod):
        self.call("StopPodSandbox", pod_sandbox_id=pod)

    def remove_pod_sandbox(self, pod):
        self.call("RemovePodSandbox", pod_sandbox_id=pod)

    def pod_sandbox_status(self, pod):
        return self.call("PodSandboxStatus", pod_sandbox_id=pod)

    def node_path(self, path):
        """The path of a file of the node as this process sees it."""
        return self.root / str(path).lstrip("/")

    def logs(self, container):
        """The container's log as [(stream, text)]; partial lines are joined as kubelet does."""
        path = self.container_status(container).log_path
        return parse_log(self.node_path(path).read_bytes())


def parse_log(data):
    """CRI's log format: TIME STREAM P|F[:…] TEXT, P for a line that goes on."""
    lines = []
    open_line = {}
    for raw in data.split(b"\n"):
        if not raw:
            continue
        _, stream, tag, text = (raw + b" ").split(b" ", 3)
        stream = stream.decode()
        text = text[:-1]
        joined = open_line.pop(stream, b"") + text
        if tag.split(b":")[0] == b"P":
            open_line[stream] = joined
        else:
            lines.append((stream, joined.decode(errors="replace")))
    lines.extend((stream, text.decode(errors="replace")) for stream, text in open_line.items())
    return lines
