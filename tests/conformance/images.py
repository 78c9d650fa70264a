"""Images for others' suites, made of this machine's static busybox, as a registry serves them."""

import functools
import gzip
import hashlib
import io
import json
import os
import pathlib
import platform
import re
import subprocess
import tarfile
import tempfile

ARCH = {"x86_64": "amd64", "aarch64": "arm64"}.get(platform.machine(), platform.machine())
PLATFORMS = [("amd64", {}), ("arm64", {"variant": "v8"}), ("ppc64le", {}), ("s390x", {})]
MANIFEST = "application/vnd.oci.image.manifest.v1+json"
INDEX = "application/vnd.oci.image.index.v1+json"

# what the suites' scripts call
APPLETS = (
    "sh ash brctl cat chmod chown cp cut date dd df echo env expr false find grep head hostname httpd id ip kill ln ls mkdir "
    "mkfifo mknod more mount mv nc nproc pidof ping printf ps pwd readlink rm rmdir sed seq sleep sort stat stty sync tail tar "
    "tee test timeout top touch tr true tty umount uname vi wc wget which whoami xargs yes"
).split()

# What they call that busybox does not have, beside its applets.
SCRIPTS = {
    "pgrep": '#!/bin/sh\nexec pidof "$@"\n',
    "ipcs": "#!/bin/sh\ncat /proc/sysvipc/shm\n",
    # `stress -m 1 --vm-bytes 100M …`: a buffer that is filled, and is not taken
    "stress": "#!/bin/sh\ndd if=/dev/zero bs=110M count=1 2>/dev/null | sleep 30\n",
    # critest looks for nginx's pid in its file, its name among all processes, and for the words of its command line
    "nginx": """#!/bin/sh
# nginx 'master process' PORT
trap 'exit 0' TERM
echo $$ >/var/run/nginx.pid
httpd -f -p "$2" -h /usr/local/sbin/www &
wait
""",
}
WWW = {"www": None, "www/index.html": b"ok\n"}
SET_UID = r"""
#include <stdio.h>
#include <unistd.h>
int main(void) { return printf("Effective uid: %u\n", (unsigned)geteuid()) < 0; }
"""

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


@functools.cache
def set_uid_program():
    with tempfile.TemporaryDirectory(dir="/run") as directory:
        command = ["gcc", "-x", "c", "-Os", "-static", "-s", "-o", f"{directory}/program", "-"]
        subprocess.run(command, input=SET_UID.encode(), env={**os.environ, "TMPDIR": directory}, check=True)
        return pathlib.Path(directory, "program").read_bytes()


def programs():
    """What goes beside the applets, as Images.layer() has it: path → bytes, or None for a directory."""
    scripts = {name: text.encode() for name, text in SCRIPTS.items()}
    return {**scripts, **WWW, "nnp": ("set-uid", set_uid_program())}


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
        """members: path → bytes (file), ("link", target), ("set-uid", bytes), None (directory), or (bytes or None, uid, gid)."""
        raw = io.BytesIO()
        with tarfile.open(fileobj=raw, mode="w", format=tarfile.PAX_FORMAT) as tar:
            for path, what in members.items():
                info = tarfile.TarInfo(path)
                info.mode = 0o755
                if isinstance(what, tuple) and len(what) == 3:
                    what, info.uid, info.gid = what
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
                        what, info.mode = what[1], 0o4755
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
    directories = "bin dev etc home proc root run sys tmp usr usr/local usr/local/sbin var var/tmp".split()
    members = {d: None for d in directories}
    members["var/run"] = ("link", "../run")
    members["bin/busybox"] = program
    members.update({f"bin/{applet}": ("link", "/bin/busybox") for applet in APPLETS})
    members.update({f"usr/local/sbin/{name}": what for name, what in programs().items()})
    members["etc/os-release"] = b'NAME="Alpine Linux"\nID=alpine\n'
    members["etc/passwd"] = PASSWD.encode()
    members["etc/group"] = GROUP.encode()
    return images.layer(members)


# ends by SIGTERM also as the first process of a pid namespace: else each stop takes the whole grace period
PAUSE = "trap 'exit 0' TERM; sleep 2147483647 & wait"


def make(names):
    """`names`: the references that a suite pulls, by kind."""
    images = Images()
    base = busybox_layer(images)
    images.image(names["busybox"], [base], Cmd=["sh"])
    images.image(names["alpine"], [base], Cmd=["/bin/sh"])
    images.image(names["nginx"], [base], Cmd=["nginx", "master process", "80"])
    images.image(names["consumer"], [base], Cmd=["/bin/busybox", "sleep", "2147483647"])
    # some tests run it as a container, and with Reaper the program is the host's; one of another version is another image
    images.other_pause = "other-pause:3"
    for name in (names["pause"], images.other_pause):
        layers = [images.layer({"bin/busybox": open("/bin/busybox", "rb").read(), "pause": name.encode()})]
        images.image(name, layers, Entrypoint=["/bin/busybox", "sh", "-c", PAUSE])
    one = {"test_dir": "test_file"}
    three = {**one, ":colon_prefixed": "colon_prefixed_file", "C:/weird_test_dir": "weird_test_file"}
    for name, places in ((names["copy-up 1.7"], one), (names["copy-up"], three)):
        files = {f"{place}/{file}": b"test_content\n" for place, file in places.items()}
        images.image(name, [base, images.layer({"C:": None, **dict.fromkeys(places), **files})],
                     Volumes={f"/{place}": {} for place in places}, Cmd=["sh"])  # fmt: skip
    owned = {"test_dir": (None, 65534, 65534), "test_dir/test_file": (b"test_content\n", 65534, 65534)}
    images.image(names["ownership"], [base, images.layer(owned)], Volumes={"/test_dir": {}}, Cmd=["sh"],
                 User="65534:65534")  # fmt: skip
    images.image("registry.k8s.io/e2e-test-images/busybox:1.29-2", [base, images.layer({"other": b"layer\n"})], Cmd=["sh"])
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
CRITEST_PASSWD = "default-user:x:1000:1000::/home:/bin/sh\n"
CRITEST_GROUP = "default-user:x:1000:\ngroup-defined-in-image:x:50000:default-user\n"
CRITEST_PORTS = {"nginx": "80", "httpd": "80", "hostnet-nginx": "12003"}
CRITEST = re.compile(r"(registry\.k8s\.io/e2e-test-images|gcr\.io/k8s-staging-cri-tools)/([^:/]+):.*")


def add_critest(images, name):
    """Makes the image at the first question for it; None if it is not one of critest's."""
    match = CRITEST.fullmatch(name)
    if not match:
        return None
    kind = match.group(2)
    config = {"Cmd": ["/bin/busybox", "sleep", "2147483647"]}
    for server, port in CRITEST_PORTS.items():
        if kind.startswith(server):
            config["Cmd"] = ["sh", "-c", f"echo {kind} started; exec nginx 'master process' {port}"]
    if kind == "nonewprivs":
        config["Cmd"] = ["nnp"]
    if kind in CRITEST_USERS:
        config["User"] = CRITEST_USERS[kind]
    # that images with different names are different is tested, and that one image has three tags
    names = {"etc/passwd": PASSWD + CRITEST_PASSWD, "etc/group": GROUP + CRITEST_GROUP, "name": name}
    if kind == "test-image-tags":
        names["name"] = kind
    layer = images.layer({path: text.encode() for path, text in names.items()})
    images.image(name, [images.base, layer], **config)
    return images.names[name]


def hosts(names):
    return sorted({name.split("/")[0] for name in names.values()} | {"gcr.io", "k8s.gcr.io"})
