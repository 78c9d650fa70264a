"""What an installation is judged by, on any machine: containerd's state and its configuration."""

import json
import pathlib

import yaml

from cri import manifest as manifests
from machine import CONFLIST, HANDLER, SOURCE
from pods import Pod

CONFIG = "/etc/containerd/config.toml"
RPM_ARCH = {"amd64": "x86_64", "arm64": "aarch64"}
GREETING = "Hello from Reaper runtime!"


def package(kind="deb", arch="amd64"):
    """The package that ci/build-packages.sh made of this checkout."""
    pattern = {"deb": f"reaper_*_{arch}.deb", "rpm": f"reaper-*.{RPM_ARCH[arch]}.rpm"}[kind]
    found = list((SOURCE / "dist").glob(pattern))
    assert len(found) == 1, f"{len(found)} packages in dist/: run ci/build-packages.sh --arch {arch} {kind}"
    return found[0]


def file_state(path):
    """Bytes, mode and owner; None where there is no file."""
    path = pathlib.Path(path)
    if not path.exists():
        return None
    status = path.stat()
    return path.read_bytes(), oct(status.st_mode), status.st_uid, status.st_gid


def containerd_main_pid(node):
    """What changes whenever containerd is restarted."""
    return node.run("systemctl", "show", "--property=MainPID", "--value", "containerd").stdout


def handlers(cri):
    """The runtime handlers of a CRI plugin that is well."""
    answer = cri.call("Status", verbose=True)
    conditions = {c.type: c for c in answer.status.conditions}
    assert conditions["RuntimeReady"].status, conditions["RuntimeReady"].message
    return set(json.loads(answer.info["config"])["containerd"]["runtimes"])


def assert_serves(node):
    with node.cri() as cri:
        assert {"runc", HANDLER} <= handlers(cri)
        images = {tag for image in cri.call("ListImages").images for tag in image.repo_tags}
        assert "reaper.local/host:1" in images


def assert_does_not_serve(node):
    with node.cri() as cri:
        found = handlers(cri)
    assert "runc" in found
    assert HANDLER not in found


def example():
    """The pod that users are told to try, from kubernetes/."""
    for path in sorted(pathlib.Path(SOURCE, "kubernetes").glob("*.y*ml")):
        for document in yaml.safe_load_all(path.read_text()):
            if document and document.get("kind") == "Pod" and document["metadata"]["name"] == "reaper-example":
                return document
    raise AssertionError("no file under kubernetes/ holds the pod reaper-example")


def make_pod(pods, manifest):
    """A sandbox and its one container of a manifest, created: (pod, container)."""
    config, handler = manifests.pod_config(manifest)
    pod = Pod(pods.cri, config, handler)
    pods.made.append(pod)
    (container,) = manifests.container_configs(manifest)
    return pod, pods.cri.create_container(pod.id, container, config)


def run_example(pods):
    pod, container = make_pod(pods, example())
    pods.cri.start_container(container)
    assert pod.wait(container) == 0
    assert pod.output(container) == GREETING + "\n"
    pod.remove()


def add_pod_network(node):
    """What a cluster's network add-on does."""
    path = node.path("/etc/cni/net.d/10-reaper-test.conflist")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(CONFLIST)
