"""Images for others' suites, made of this machine's static busybox, as a registry serves them."""

import gzip
import hashlib
import io
import json
import platform
import re
import tarfile

ARCH = {"x86_64": "amd64", "aarch64": "arm64"}.get(platform.machine(), platform.machine())
PLATFORMS = [("amd64", {}), ("arm64", {"variant": "v8"}), ("ppc64le", {}), ("s390x", {})]
MANIFEST = "application/vnd.oci.image.manifest.v1+json"
INDEX = "application/vnd.oci.image.index.v1+json"

# what the suites' scripts call
APPLETS = (
    "sh ash cat chmod chown cp cut date dd df echo env expr false find grep head hostname id ip kill ln ls mkdir "
    "mkfifo mknod more mount mv nc nproc printf ps pwd readlink rm rmdir sed seq sleep sort stat stty sync tail tar "
    "tee test timeout top touch tr true tty umount uname vi wc wget which whoami xargs yes"
).split()

# as in busybox's own image: the suites ask for some of them by name
PASSWD = """root:x:0:0:root:/root:/bin/sh
daemon:x:1:1:daemon:/usr/sbin:/bin/false
bin:x:2:2:bin:/bin:/bin/false
sys:x:3:3:sys:/dev:/bin/false
sync:x:4:100:sync:/bin:/bin/sync
mail:x:8:8:mail:/var/spool/mail:/bin/false
www-data:x:33:33:www-data:/var/www:/bin/false
operator:x:37:37:Operator:/var:/bin/false
nobody:x:65534:65534:nobody:/home:/bin/false
"""
GROUP = """root:x:0:
daemon:x:1:
bin:x:2:
sys:x:3:
adm:x:4:
tty:x:5:
disk:x:6:
wheel:x:10:root
mail:x:8:
www-data:x:33:
operator:x:37:
users:x:100:
nobody:x:65534:
"""


class Images:
    """Blobs by digest, and manifests by NAME:TAG."""

    def __init__(self):
        self.blobs = {}
        self.kinds = {}
        self.names = {}

    def blob(self, data, kind="application/octet-stream"):
        if isinstance(data, (dict, list)):
            data = json.dumps(data).encode()
        digest = "sha256:" + hashlib.sha256(data).hexdigest()
        self.blobs[digest] = data
        self.kinds[digest] = kind
        return {"mediaType": kind, "digest": digest, "size": len(data)}

    def layer(self, members):
        """members: path → bytes (file), ("link", target), None (directory), or (kind, …, uid, gid)."""
        raw = io.BytesIO()
        with tarfile.open(fileobj=raw, mode="w", format=tarfile.PAX_FORMAT) as tar:
            for path, what in members.items():
                info = tarfile.TarInfo(path)
                info.mode = 0o755
                if what is None:
                    info.type = tarfile.DIRTYPE
                    info.mode = 0o1777 if path.endswith("tmp") else 0o755
                    tar.addfile(info)
                elif isinstance(what, tuple) and what[0] == "link":
                    info.type = tarfile.SYMTYPE
                    info.linkname = what[1]
                    tar.addfile(info)
                else:
                    if isinstance(what, tuple):
                        what, info.uid, info.gid = what
                    info.size = len(what)
                    tar.addfile(info, io.BytesIO(what))
        diff = "sha256:" + hashlib.sha256(raw.getvalue()).hexdigest()
        packed = gzip.compress(raw.getvalue(), compresslevel=1, mtime=0)
        return self.blob(packed, "application/vnd.oci.image.layer.v1.tar+gzip"), diff

    def image(self, name, layers, **config):
        """An index under NAME:TAG. The images for other platforms hold a file: the suites look at how an
        index is fetched and exported, nobody runs them."""
        entries = []
        for arch, more in sorted(PLATFORMS, key=lambda p: p[0] != ARCH):
            if arch != ARCH:
                layers = [self.layer({arch: f"{name} for {arch}\n".encode()})]
            document = {
                "architecture": arch,
                **more,
                "os": "linux",
                "config": {"Env": ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"], **config},
                "rootfs": {"type": "layers", "diff_ids": [diff for _, diff in layers]},
                "history": [{"created_by": "tests/conformance/images.py"} for _ in layers],
            }
            manifest = {
                "schemaVersion": 2,
                "mediaType": MANIFEST,
                "config": self.blob(document, "application/vnd.oci.image.config.v1+json"),
                "layers": [descriptor for descriptor, _ in layers],
            }
            platform_of = {"architecture": arch, "os": "linux", **more}
            entries.append({**self.blob(manifest, MANIFEST), "platform": platform_of})
        index = {"schemaVersion": 2, "mediaType": INDEX, "manifests": entries}
        self.names[name] = self.blob(index, INDEX)["digest"]


def busybox_layer(images):
    with open("/bin/busybox", "rb") as file:
        program = file.read()
    members = {d: None for d in ("bin", "dev", "etc", "home", "proc", "root", "sys", "tmp", "usr", "var", "var/tmp")}
    members["bin/busybox"] = program
    members.update({f"bin/{applet}": ("link", "busybox") for applet in APPLETS})
    members["etc/passwd"] = PASSWD.encode()
    members["etc/group"] = GROUP.encode()
    return images.layer(members)


def make(names):
    """`names`: the references that a suite pulls, by kind."""
    images = Images()
    base = busybox_layer(images)
    images.image(names["busybox"], [base], Cmd=["sh"])
    images.image(names["alpine"], [base], Cmd=["/bin/sh"])
    # some tests run it as a container, and with Reaper the program is the host's
    images.image(names["pause"], [images.layer({"bin/busybox": open("/bin/busybox", "rb").read()})],
                 Entrypoint=["/bin/busybox", "sleep", "2147483647"])  # fmt: skip
    images.image(names["copy-up"], [base, images.layer({"test_dir": None, "test_dir/test_file": b"test_content\n"})],
                 Volumes={"/test_dir": {}}, Cmd=["sh"])  # fmt: skip
    owned = {"test_dir": None, "test_dir/test_file": (b"test_content\n", 65534, 65534)}
    images.image(names["ownership"], [base, images.layer(owned)], Volumes={"/test_dir": {}}, Cmd=["sh"],
                 User="65534:65534")  # fmt: skip
    images.image("registry.k8s.io/e2e-test-images/busybox:1.29-2", [base, images.layer({"other": b"layer\n"})], Cmd=["sh"])
    images.pause = names["pause"]
    images.base = base
    return images


# critest's images, whose names say what they are for; a user and a group where it asks for them
CRITEST_USERS = {
    "test-image-user-uid": "1002",
    "test-image-user-username": "www-data",
    "test-image-user-uid-group": "1003:1003",
    "test-image-user-username-group": "www-data:www-data",
    "test-image-predefined-group": "1000",
}
CRITEST_SERVERS = ("nginx", "httpd", "hostnet-nginx")
CRITEST = re.compile(r"(registry\.k8s\.io/e2e-test-images|gcr\.io/k8s-staging-cri-tools)/([^:/]+):.*")


def add_critest(images, name):
    """Makes the image at the first question for it; None if it is not one of critest's."""
    match = CRITEST.fullmatch(name)
    if not match:
        return None
    kind = match.group(2)
    config = {"Cmd": ["/bin/busybox", "sleep", "2147483647"] if kind == "busybox" else ["sh"]}
    if kind.startswith(CRITEST_SERVERS):
        config = {"Cmd": ["/bin/busybox", "httpd", "-f", "-p", "80", "-h", "/"]}
    if kind in CRITEST_USERS:
        config["User"] = CRITEST_USERS[kind]
    # a layer of its own: that images with different names are different is tested too
    images.image(name, [images.base, images.layer({"index.html": name.encode() + b"\n"})], **config)
    return images.names[name]


def hosts(names):
    return sorted({name.split("/")[0] for name in names.values()} | {"gcr.io"})
