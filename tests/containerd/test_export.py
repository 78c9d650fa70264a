"""What pods wrote, exported as a layer: containerd imports it as an image and unpacks the same files."""

import hashlib
import io
import json
import tarfile

import pytest

import layer

pytestmark = pytest.mark.submission("the layer must be one for those who are to take it")

NAME = "reaper.test/exported:1"
WRITE = """
mkdir -p /srv/made/dir && cd /srv/made && umask 0
echo text > dir/file && chmod 4750 dir/file && chown 7:3000000 dir/file
ln dir/file again && ln -s ../nowhere link && mkfifo fifo && mknod null c 1 3
name=$(printf 'new\\nline') && echo x > "$name"
rm /etc/debian_version && rm -r /usr/share/doc/base-files && echo new > /etc/motd
"""


def oci_archive(text, path):
    """An image of one layer, as an OCI layout in a tar."""
    blobs = {}

    def blob(data, media_type):
        digest = hashlib.sha256(data).hexdigest()
        blobs[digest] = data
        return {"mediaType": f"application/vnd.oci.image.{media_type}", "digest": f"sha256:{digest}", "size": len(data)}

    made = blob(text, "layer.v1.tar")
    config = {"architecture": "amd64", "os": "linux", "config": {},
              "rootfs": {"type": "layers", "diff_ids": [made["digest"]]}}  # fmt: skip
    manifest = {"schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json",
                "config": blob(json.dumps(config).encode(), "config.v1+json"), "layers": [made]}  # fmt: skip
    entry = blob(json.dumps(manifest).encode(), "manifest.v1+json")
    entry["annotations"] = {"io.containerd.image.name": NAME, "org.opencontainers.image.ref.name": "1"}
    files = {"oci-layout": b'{"imageLayoutVersion":"1.0.0"}',
             "index.json": json.dumps({"schemaVersion": 2, "manifests": [entry]}).encode()}  # fmt: skip
    files.update({f"blobs/sha256/{digest}": data for digest, data in blobs.items()})
    with tarfile.open(path, "w") as tar:
        for name, data in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))


def test_containerd_imports_and_unpacks_what_was_exported(node, pods):
    pod = pods.sandbox()
    assert pod.run("/bin/sh", "-e", "-c", WRITE)[0] == 0
    node.reaperctl("overlay", "export", "--output", "/root/layer.tar")
    oci_archive(node.path("/root/layer.tar").read_bytes(), node.path("/root/image.tar"))
    try:
        node.ctr("images", "import", "/root/image.tar")
        node.run("mkdir", "/mnt/exported")
        node.ctr("images", "mount", NAME, "/mnt/exported")
        got = layer.tree(node.path("/mnt/exported/srv/made"))
        assert got == layer.tree(node.path("/run/reaper/overlay/upper/srv/made"))
        assert len(got) == 7
        assert node.path("/mnt/exported/etc/motd").read_text() == "new\n"
        # an unpacker obeys the deletions: there is nothing of them in the image
        assert not node.path("/mnt/exported/etc/debian_version").exists()
        assert not node.path("/mnt/exported/usr/share/doc/base-files").exists()
    finally:
        node.run("umount", "/mnt/exported", check=False)
        node.ctr("images", "unmount", "--rm", "/mnt/exported", check=False)
        node.ctr("images", "rm", "--sync", NAME, check=False)
        node.run("rm", "-df", "/mnt/exported", "/root/layer.tar", "/root/image.tar")
