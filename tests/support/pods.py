"""Pods through CRI, as a kubelet makes them."""

import contextlib
import uuid

from cri import Cri, CriError
from machine import HANDLER, IMAGE
from waiting import until


class Pod:
    """A sandbox with its containers. Made by Pods.run or Pods.sandbox, removed by its fixture."""

    def __init__(self, cri, config, handler=HANDLER):
        self.cri = cri
        self.config = config
        self.containers = []
        self.id = cri.run_pod_sandbox(config, handler)

    def create(self, *command, name=None, **fields):
        name = name or f"c{len(self.containers)}"
        security = {"namespace_options": self.config["linux"]["security_context"]["namespace_options"]}
        security.update(fields.pop("security", {}))
        container = {
            "metadata": {"name": name},
            "image": {"image": IMAGE},
            "command": list(command),
            "log_path": f"{name}/0.log",
            "labels": {"io.kubernetes.container.name": name},
            "linux": {"security_context": security},
            **fields,
        }
        made = self.cri.create_container(self.id, container, self.config)
        self.containers.append(made)
        return made

    def start(self, *command, **fields):
        container = self.create(*command, **fields)
        self.cri.start_container(container)
        return container

    def state(self, container):
        return self.cri.container_status(container).state

    def wait(self, container):
        """The exit code. CRI of containerd 1.6 has no event for it, so the state is asked for."""

        def status():
            now = self.cri.container_status(container)
            return now if now.state == "CONTAINER_EXITED" else None

        return until(status, limit=60, what=f"the end of {container}").exit_code

    def output(self, container, stream="stdout"):
        return "".join(text + "\n" for where, text in self.cri.logs(container) if where == stream)

    def run(self, *command, **fields):
        """Runs the command to its end: (exit code, its standard output)."""
        container = self.start(*command, **fields)
        return self.wait(container), self.output(container)

    def exec(self, container, *command):
        answer = self.cri.exec_sync(container, list(command))
        return answer.exit_code, answer.stdout.decode(), answer.stderr.decode()

    def remove(self):
        self.cri.stop_pod_sandbox(self.id)
        self.cri.remove_pod_sandbox(self.id)


class Pods:
    def __init__(self, machine):
        self.machine = machine
        self.made = []
        self.cri = Cri(f"unix://{machine.path(machine.socket)}")

    def sandbox(self, host_network=True, host_pid=False, host_ipc=False, handler=HANDLER, **fields):
        number = len(self.made)
        uid = str(uuid.uuid4())
        options = {
            "network": "NODE" if host_network else "POD",
            "pid": "NODE" if host_pid else "CONTAINER",
            "ipc": "NODE" if host_ipc else "POD",
        }
        config = {
            "metadata": {"name": f"pod{number}", "uid": uid, "namespace": "default"},
            "hostname": "" if host_network else f"pod{number}",
            "log_directory": f"/var/log/pods/default_pod{number}_{uid}",
            "linux": {"security_context": {"namespace_options": options}},
            **fields,
        }
        pod = Pod(self.cri, config, handler)
        self.made.append(pod)
        return pod

    def close(self):
        """Every pod goes, whatever state the test left it in; what cannot go is an error."""
        troubles = []
        for pod in self.made:
            try:
                pod.remove()
            except CriError as error:
                if error.code != "NOT_FOUND":
                    troubles.append(str(error))
            with contextlib.suppress(OSError):
                _remove_tree(self.machine.path(pod.config["log_directory"]))
        self.cri.close()
        if troubles:
            raise AssertionError("pods that could not be removed: " + "; ".join(troubles))


def _remove_tree(path):
    for child in sorted(path.rglob("*"), reverse=True):
        child.rmdir() if child.is_dir() and not child.is_symlink() else child.unlink()
    path.rmdir()
