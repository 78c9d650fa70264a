"""The image of host pods under the kubelet's garbage collection, and what other images give to a pod."""

import gzip
import hashlib
import io
import json
import tarfile

import pytest

from cri import CriError
from machine import IMAGE

pytestmark = pytest.mark.submission("a pod that runs a host program must start on a node without a registry")


def names(cri):
    return {tag for image in cri.call("ListImages").images for tag in image.repo_tags}


def collect_garbage(cri):
    """What a kubelet on a full disk does: every image goes that no container uses and nobody has pinned.

    The pause image is kubelet's own to keep (--pod-infra-container-image)."""
    used = {c.image.image for c in cri.call("ListContainers").containers} | {
        c.image_ref for c in cri.call("ListContainers").containers
    }
    for image in cri.call("ListImages").images:
        pause = any("pause" in tag for tag in image.repo_tags)
        if not image.pinned and not pause and image.id not in used and not used & set(image.repo_tags):
            cri.call("RemoveImage", image={"image": image.id})


@pytest.fixture
def imported(node):
    """As the package imports it; the tests' own image of the same name is away meanwhile."""
    node.run("reaperctl", "image", "import")
    return node


def test_the_image_is_kept_or_comes_back(imported, pods):
    node, cri = imported, pods.cri
    assert {i.pinned for i in cri.call("ListImages").images if IMAGE in i.repo_tags} == {node.suite != "bookworm"}
    collect_garbage(cri)
    if node.suite == "bookworm":  # containerd 1.6 does not tell the kubelet what is pinned
        assert IMAGE not in names(cri)
        with pytest.raises(CriError, match=IMAGE):
            pods.sandbox().create("/bin/true")
    else:
        assert IMAGE in names(cri)
    answer = json.loads(node.run("reaperctl", "containerd", "verify", "--json", check=False).stdout)
    assert ("the image reaper.local/host:1 was imported" in answer["notes"]) == (node.suite == "bookworm"), answer
    assert IMAGE in names(cri)
    assert pods.sandbox().run("/bin/echo", "runs") == (0, "runs\n")


def test_an_image_in_use_is_never_collected(imported, pods):
    pod = pods.sandbox()
    pod.start("/bin/sleep", "600")
    collect_garbage(pods.cri)
    assert IMAGE in names(pods.cri)


# ---- images of others ----


def entry(tar, name, data):
    info = tarfile.TarInfo(name)
    info.size = len(data)
    tar.addfile(info, io.BytesIO(data))


def image_of_others(name):
    """An image with a file, a program of the host's name, a variable, an ENTRYPOINT and a CMD."""
    layer = io.BytesIO()
    with tarfile.open(fileobj=layer, mode="w") as tar:
        entry(tar, "etc/of-the-image", b"image\n")
        entry(tar, "bin/echo", b"not the host's\n")
    blobs = {}

    def blob(data, **fields):
        digest = f"sha256:{hashlib.sha256(data).hexdigest()}"
        blobs[digest] = data
        return {"digest": digest, "size": len(data), **fields}

    config = {
        "architecture": "amd64", "os": "linux",
        "config": {"Entrypoint": ["/bin/echo", "entrypoint"], "Cmd": ["cmd"], "Env": ["PATH=/usr/bin:/bin", "FROM_IMAGE=yes"]},
        "rootfs": {"type": "layers", "diff_ids": [f"sha256:{hashlib.sha256(layer.getvalue()).hexdigest()}"]},
    }  # fmt: skip
    kind = "application/vnd.oci.image"
    manifest = {
        "schemaVersion": 2, "mediaType": f"{kind}.manifest.v1+json",
        "config": blob(json.dumps(config).encode(), mediaType=f"{kind}.config.v1+json"),
        "layers": [blob(gzip.compress(layer.getvalue()), mediaType=f"{kind}.layer.v1.tar+gzip")],
    }  # fmt: skip
    index = {"schemaVersion": 2, "manifests": [blob(json.dumps(manifest).encode(), mediaType=manifest["mediaType"],
             annotations={"io.containerd.image.name": name})]}  # fmt: skip
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        entry(tar, "oci-layout", b'{"imageLayoutVersion":"1.0.0"}')
        for digest, data in blobs.items():
            entry(tar, f"blobs/sha256/{digest.removeprefix('sha256:')}", data)
        entry(tar, "index.json", json.dumps(index).encode())
    return out.getvalue()


@pytest.fixture
def other(node):
    name = "reaper.local/other:1"
    node.ctr("--namespace", "k8s.io", "images", "import", "-", input=image_of_others(name), text=False)
    yield {"image": name}
    node.ctr("--namespace", "k8s.io", "images", "remove", "--sync", name)


def test_files_of_an_image_are_not_seen_and_its_entrypoint_only_if_the_pod_names_no_command(pods, other):
    pod = pods.sandbox()
    script = "ls /etc/of-the-image 2>/dev/null; echo $FROM_IMAGE"
    # a command replaces the image's ENTRYPOINT and CMD; its variables are set, as for every pod
    assert pod.run("/bin/sh", "-c", script, image=other) == (0, "yes\n")
    # arguments alone, or nothing, ask for the image's: the host's program of that name
    assert pod.run(image=other, args=["argument"]) == (0, "entrypoint argument\n")
    assert pod.run(image=other) == (0, "entrypoint cmd\n")


def test_a_pod_without_any_command_is_refused_by_name(imported, pods):
    with pytest.raises(CriError, match="no command specified"):
        pods.sandbox().create()
